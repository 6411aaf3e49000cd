"""Images at several scales in one tensor, for networks that draw and judge all of them at once.

A pyramid of an image (C, H, H) is (C, H + H / 2, H), as textures are kept for drawing (Williams 1983,
"Pyramidal parametrics"): the image, below it its half, its quarter and so on from left to right, and zeros
where none is. So a step, its regularizers and its packs see one tensor, half as large again as the images.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def stacked(images: list[Tensor]) -> Tensor:
    """Images of sides H, H / 2, ..., each (N, C, side, side) -> their pyramids (N, C, H + H / 2, H)."""
    first, *smaller = images
    if not smaller:
        return first
    side, height = first.shape[-1], smaller[0].shape[-1]
    band = torch.cat([F.pad(image, (0, 0, 0, height - image.shape[-1])) for image in smaller], dim=3)
    return torch.cat([first, F.pad(band, (0, side - band.shape[-1]))], dim=2)


def split(stack: Tensor, scales: int) -> list[Tensor]:
    """Pyramids (N, C, H + H / 2, H) of so many scales -> their images, the largest first.

    Those of packs, (N, packing * C, ...), give packs.
    """
    if scales == 1:
        return [stack]
    side = stack.shape[-1]
    first, band = stack.split([side, side // 2], dim=2)
    sides = [side >> index for index in range(1, scales)]
    # one split: the gradients of its parts are put beside each other, those of slices would be added up
    *smaller, _ = band.split([*sides, side - sum(sides)], dim=3)
    return [first, *(image[:, :, :height] for image, height in zip(smaller, sides, strict=True))]


def pyramids(images: Tensor, scales: int) -> Tensor:
    """Images (N, C, H, H) -> their pyramids (N, C, H + H / 2, H), by means of 2x2 pixels."""
    levels = [images]
    for _ in range(scales - 1):
        levels.append(pooled(levels[-1], 2))
    return stacked(levels)


def enlarged(stack: Tensor, scales: int) -> Tensor:
    """Pyramids of N images -> their scales in one size, (N * scales, C, H, H), those of an image together.

    By nearest neighbour, so that nothing is lost: the mean over the equal pixels is the pixel.
    """
    levels = [resized(level, 2**index) for index, level in enumerate(split(stack, scales))]
    return torch.stack(levels, dim=1).flatten(0, 1)


def shrunk(images: Tensor, scales: int) -> Tensor:
    """What `enlarged` gave, changed or not -> pyramids, by means of the pixels."""
    levels = images.unflatten(0, (-1, scales)).unbind(1)
    return stacked([pooled(level, 2**index) for index, level in enumerate(levels)])


def seen_shape(channels: int, side: int, scales: int) -> tuple[int, int, int]:
    """(C, H, W) of what a discriminator sees of images of a side, with more than one scale their pyramids."""
    return channels, side + (side // 2 if scales > 1 else 0), side


def resized(images: Tensor, factor: int) -> Tensor:
    """(N, C, H, W) -> (N, C, factor H, factor W), each pixel repeated."""
    return F.interpolate(images, scale_factor=factor, mode="nearest") if factor > 1 else images


def pooled(images: Tensor, factor: int) -> Tensor:
    """(N, C, H, W) -> (N, C, H / factor, W / factor), the mean of each cell."""
    return F.avg_pool2d(images, factor) if factor > 1 else images
