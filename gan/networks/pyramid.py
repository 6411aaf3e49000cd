"""Images at several scales in one tensor, for networks that draw and judge all of them at once.

A pyramid of an image (C, H, W) is (scales * C, H, W): the image, then its halves, quarters and so on, each
resized to H x W by nearest neighbour. So a step, its regularizers and its packs see one tensor, and nothing
is lost: the mean over the equal pixels is the pixel.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def stacked(images: list[Tensor]) -> Tensor:
    """Images of sides H, H / 2, ..., each (N, C, side, side) -> their pyramids (N, scales * C, H, H)."""
    side = images[0].shape[-1]
    return torch.cat([resized(image, side // image.shape[-1]) for image in images], dim=1)


def pyramids(images: Tensor, scales: int) -> Tensor:
    """Images (N, C, H, W) -> their pyramids (N, scales * C, H, W), by means of 2x2 pixels."""
    levels = [images]
    for _ in range(scales - 1):
        levels.append(pooled(levels[-1], 2))
    return stacked(levels)


def split(stack: Tensor, scales: int, packing: int = 1) -> list[Tensor]:
    """Packs of pyramids (N, packing * scales * C, H, W) -> (N, packing * C, side, side) for each scale."""
    each = stack.unflatten(1, (packing, scales, -1)).unbind(2)
    return [pooled(level.flatten(1, 2), 2**index) for index, level in enumerate(each)]


def resized(images: Tensor, factor: int) -> Tensor:
    """(N, C, H, W) -> (N, C, factor H, factor W), each pixel repeated."""
    return F.interpolate(images, scale_factor=factor, mode="nearest") if factor > 1 else images


def pooled(images: Tensor, factor: int) -> Tensor:
    """(N, C, H, W) -> (N, C, H / factor, W / factor), the mean of each cell."""
    return F.avg_pool2d(images, factor) if factor > 1 else images
