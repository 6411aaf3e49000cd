"""Pictures as tensors, resizing, and the sizes from coarse to fine at which a picture is optimized."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from common.errors import require
from styletransfer.config import StyleConfig

_ROUNDING = 1e-3  # what resizing and colour profiles may leave beyond [0, 1]
_MOST_SHRINKING = 8  # of a side in one step of `resized`

ImageArray = np.ndarray | Tensor
"""RGB (H, W, 3), as floats in [0, 1] or as bytes."""


class Scale(NamedTuple):
    """One size on the way from coarse to fine."""

    height: int
    width: int
    iterations: int


def content_scales(config: StyleConfig, height: int, width: int) -> list[Scale]:
    """The scales for a content picture of this size; the last one's longer side is `config.longer_side`.

    They are the same for a picture that has the last size already.
    """
    finest = fitted(height, width, config.longer_side(height, width))
    steps = zip(config.scale_shares(), config.iterations_by_scale(), strict=True)
    return [Scale(*fitted(*finest, max(finest) * share), iterations) for share, iterations in steps]


def style_sizes(config: StyleConfig, height: int, width: int) -> list[tuple[int, int]]:
    """Heights and widths of a style picture at the scales: never larger than its own."""
    own = max(height, width)  # enlarged, it would lack detail
    finest = fitted(height, width, min(own, config.size * config.style_scale))
    return [
        fitted(*finest, min(max(finest), config.size * config.style_scale * share))
        for share in config.scale_shares()
    ]


def fitted(height: int, width: int, longer_side: float) -> tuple[int, int]:
    """Height and width with this longer side and the same aspect ratio, at least 1 pixel each."""
    factor = longer_side / max(height, width)
    return max(1, math.floor(height * factor + 0.5)), max(1, math.floor(width * factor + 0.5))


def as_tensor(
    picture: ImageArray, *, name: str = "the picture", device: torch.device | str = "cpu"
) -> Tensor:
    """(H, W, 3) -> float32 (1, 3, H, W) in [0, 1] on the device, in the memory format channels_last.

    Raises: ConfigError for another shape or type, for values outside [0, 1], and for an empty picture.
    """
    values = _floats(_shared(picture), name, device)
    require(
        values.ndim == 3 and values.shape[2] == 3,
        f"{name} must have the shape (height, width, 3), not {tuple(values.shape)}; give RGB",
    )
    return channels_last(values.permute(2, 0, 1).unsqueeze(0))


def mask_tensor(mask: ImageArray, *, name: str = "a mask", device: torch.device | str = "cpu") -> Tensor:
    """Grey (H, W) -> float32 (1, 1, H, W) in [0, 1] on the device.

    Raises: ConfigError for another shape or type, for values outside [0, 1], and for an empty mask.
    """
    values = _floats(_shared(mask), name, device)
    require(
        values.ndim == 2,
        f"{name} must have the shape (height, width), not {tuple(values.shape)}; give one channel of grey",
    )
    return values[None, None]


def _shared(picture: ImageArray) -> Tensor:
    """The same numbers as a tensor; a read-only array is copied, since PyTorch warns about it."""
    if isinstance(picture, np.ndarray) and not picture.flags.writeable:
        picture = picture.copy()
    return torch.as_tensor(picture)


def as_array(pictures: Tensor) -> np.ndarray:
    """(1, 3, H, W) on any device -> float32 (H, W, 3)."""
    array: np.ndarray = pictures[0].permute(1, 2, 0).contiguous().cpu().numpy()
    return array


def resized(pictures: Tensor, height: int, width: int) -> Tensor:
    """Pictures (N, C, H, W) resized by an antialiased bicubic filter, clamped to [0, 1].

    A side that must shrink to less than an eighth is first halved until it need not: the filter of a step
    from 4096 to 64 pixels does not fit into a GPU's shared memory.
    """
    wanted = (height, width)
    if pictures.shape[2:] == wanted:
        return pictures
    height, width = pictures.shape[2:]
    for size in _halvings(height, width, wanted):
        pictures = _interpolated(pictures, size)
    return channels_last(_interpolated(pictures, wanted).clamp_(0, 1))


def _halvings(height: int, width: int, wanted: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Sizes that halve the sides that are more than `_MOST_SHRINKING` times those wanted."""
    while height > _MOST_SHRINKING * wanted[0] or width > _MOST_SHRINKING * wanted[1]:
        height = math.ceil(height / 2) if height > _MOST_SHRINKING * wanted[0] else height
        width = math.ceil(width / 2) if width > _MOST_SHRINKING * wanted[1] else width
        yield height, width


def _interpolated(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(pictures, size, mode="bicubic", antialias=True, align_corners=False)


def channels_last(pictures: Tensor) -> Tensor:
    """The same values in the memory format in which convolutions and moments are fastest."""
    return pictures.contiguous(memory_format=torch.channels_last)


def _floats(values: Tensor, name: str, device: torch.device | str) -> Tensor:
    """Bytes or floats as float32 in [0, 1]."""
    require(
        (values.is_floating_point() or values.dtype == torch.uint8) and values.numel() > 0,
        f"{name} must be floats in [0, 1] or bytes, not {values.dtype} {tuple(values.shape)}; convert it",
    )
    if values.dtype == torch.uint8:
        return values.to(device).float().div_(255)
    low, high = (float(end) for end in values.aminmax())
    require(
        low >= -_ROUNDING and high <= 1 + _ROUNDING,  # false for NaN too
        f"{name} must have values in [0, 1], not from {low:g} to {high:g}; divide 8 bits by 255",
    )
    return values.to(device, torch.float32).clamp(0, 1)
