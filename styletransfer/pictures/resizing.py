"""Resizes 8-bit sRGB with alpha, keeping its brightness, and composes it on white or black."""

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
_Floats = npt.NDArray[np.float32]

# A picture is averaged down to this many times its final size before Lanczos's filter, as with Pillow's
# reducing_gap of 3, at which the result is indistinguishable from the filter alone.
_GAP = 3
_BAND_PX = 2**21  # a large picture is averaged in bands of so many pixels, to save memory


def _linear_of_srgb() -> _Floats:
    # IEC 61966-2-1, section 5.2
    encoded = np.arange(256) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


_LINEAR = _linear_of_srgb()


def fitted_size(size: tuple[int, int], long_side_px: int | None, *, enlarge: bool = False) -> tuple[int, int]:
    """(width, height) with the longer side at `long_side_px`, in proportion, each side at least one pixel.

    Unchanged when it is smaller already, unless `enlarge`, and for None.
    """
    longer = max(size)
    if long_side_px is None or longer == long_side_px or (longer < long_side_px and not enlarge):
        return size
    width, height = (max(1, round(side * long_side_px / longer)) for side in size)
    return width, height


def resize(rgb: Pixels, alpha: Pixels | None, size: tuple[int, int]) -> tuple[Pixels, Pixels | None]:
    """(H, W, 3) sRGB and (H, W) alpha at `size` (width, height), by Lanczos's filter.

    A picture that shrinks is averaged in linear light, so that fine texture keeps its brightness. One that
    grows is not, because the filter's undershoot would leave dark rims. Colours are weighted by their alpha.
    """
    height, width = rgb.shape[:2]
    if size == (width, height):
        return rgb, alpha
    shrinks = size[0] <= width and size[1] <= height
    curve = _LINEAR if shrinks else np.linspace(0, 1, 256, dtype=np.float32)
    factors = (max(1, width // (size[0] * _GAP)), max(1, height // (size[1] * _GAP)))
    box = (0.0, 0.0, width / factors[0], height / factors[1])
    planes = [
        np.asarray(plane.resize(size, Image.Resampling.LANCZOS, box=box))
        for plane in _planes(_averaged(rgb, alpha, curve, factors))
    ]
    colours = np.stack(planes[:3], axis=-1)
    if alpha is None:
        return _encoded(colours, is_linear=shrinks), None
    straight = colours / np.maximum(planes[3], 1 / 1024)[..., None]
    opacity = np.rint(np.clip(planes[3], 0, 1) * 255).astype(np.uint8)
    return _encoded(straight, is_linear=shrinks), opacity


def on_white(rgb: Pixels, alpha: Pixels) -> Pixels:
    """(H, W, 3) sRGB composed on white; encoded values are mixed, as browsers and Pillow do."""
    weight = alpha[..., None].astype(np.uint32)
    # rounded to the nearest
    return ((rgb * weight + 255 * (255 - weight) + 127) // 255).astype(np.uint8)


def on_black(grey: Pixels, alpha: Pixels) -> Pixels:
    """Grey (H, W) composed on black."""
    return ((grey.astype(np.uint32) * alpha + 127) // 255).astype(np.uint8)


def _averaged(rgb: Pixels, alpha: Pixels | None, curve: _Floats, factors: tuple[int, int]) -> _Floats:
    """Means over blocks of `factors` (horizontal, vertical) pixels: (H', W', 3), or 4 with alpha.

    Colours are mapped by `curve` and multiplied by alpha. In bands of rows: as floats a large picture would
    take four times its memory.
    """
    height, width = rgb.shape[:2]
    rows = factors[1] * max(1, _BAND_PX // (width * factors[1]))
    bands = []
    for top in range(0, height, rows):
        band = curve[rgb[top : top + rows]]
        if alpha is not None:
            opacity = alpha[top : top + rows, :, None].astype(np.float32) / 255
            band = np.concatenate([band * opacity, opacity], axis=-1)
        if factors != (1, 1):
            # blocks cut off by the edge are averaged over the pixels they have
            band = np.stack([np.asarray(plane.reduce(factors)) for plane in _planes(band)], axis=-1)
        bands.append(band)
    return np.concatenate(bands)


def _planes(values: _Floats) -> list[Image.Image]:
    return [Image.fromarray(np.ascontiguousarray(plane)) for plane in np.moveaxis(values, -1, 0)]


def _encoded(values: _Floats, *, is_linear: bool) -> Pixels:
    """Values in [0, 1] as sRGB bytes, rounded; values outside are clipped."""
    values = np.clip(values, 0, 1)
    if is_linear:
        values = np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)
    return np.rint(values * 255).astype(np.uint8)
