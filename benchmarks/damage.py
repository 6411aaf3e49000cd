"""Ways to damage a set of pictures by degrees, for `metric_ranking`."""

import io
from collections.abc import Callable

import numpy as np
import scipy.ndimage
from PIL import Image

Pixels = np.ndarray
"""uint8 (N, H, W, C)."""


def blurred(pictures: Pixels, sigma_px: float, seed: int) -> Pixels:
    """Gaussian blur with a standard deviation of `sigma_px` pixels."""
    wide = scipy.ndimage.gaussian_filter(pictures.astype(np.float32), (0, sigma_px, sigma_px, 0))
    return wide.round().astype(np.uint8)


def noisy(pictures: Pixels, sigma: float, seed: int) -> Pixels:
    """Gaussian noise with a standard deviation of `sigma` of 255 levels."""
    noise = np.random.default_rng(seed).normal(0, sigma, pictures.shape)
    return (pictures + noise).round().clip(0, 255).astype(np.uint8)


def recompressed(pictures: Pixels, quality: float, seed: int) -> Pixels:
    """JPEG compression of that quality; its blocks are shifted, since the data may have been JPEGs before."""
    side = pictures.shape[1]
    shifted = np.pad(pictures, ((0, 0), (3, 0), (3, 0), (0, 0)), mode="reflect")
    return np.stack([_through_jpeg(picture, int(quality))[-side:, -side:] for picture in shifted])


def _through_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(picture.squeeze()).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer)).reshape(picture.shape)


PIXELS: dict[str, tuple[Callable[[Pixels, float, int], Pixels], tuple[float, ...]]] = {
    "blur, sigma in pixels": (blurred, (0.5, 0.75, 1, 2)),
    "noise, sigma of 255": (noisy, (4, 8, 16, 32)),
    "JPEG quality": (recompressed, (75, 50, 25, 10)),
}
"""Damage to every picture: function and degrees, the mildest first."""

MISSING_CLASSES = (1, 3, 5)
UNIQUE_SHARES = (0.5, 0.25, 0.1, 0.05)


def without_classes(order: np.ndarray, labels: np.ndarray, missing: int, count: int) -> np.ndarray:
    """The first `count` places of `order` whose class is not among the first `missing` ones."""
    return order[labels[order] >= missing][:count]


def repeated(order: np.ndarray, share: float, count: int) -> np.ndarray:
    """`count` places, of which only that share are different, each equally often."""
    different = order[: max(1, round(share * count))]
    return np.resize(different, count)
