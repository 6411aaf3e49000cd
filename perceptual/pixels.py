"""Pictures as feature networks take them: checked, in colour, floats, of one size."""

import torch
import torch.nn.functional as F

from common.errors import require


def check_pictures(images: torch.Tensor) -> None:
    """Raise `ConfigError` unless images are uint8 (N, H, W, C) with C 1 or 3 and at least one pixel."""
    require(
        images.dtype == torch.uint8
        and images.ndim == 4
        and images.shape[3] in (1, 3)
        and min(images.shape[1:3]) > 0,
        "features are taken from uint8 pictures (N, H, W, 1 or 3), "
        f"not {images.dtype} {tuple(images.shape)}; convert them",
    )


def in_colour(images: torch.Tensor, side: int, device: torch.device) -> torch.Tensor:
    """Float32 (N, 3, side, side) in [0, 1] on the device, channels last, of uint8 (N, H, W, 1 or 3).

    Grey is repeated, and pictures of another size are resized (bilinear, antialiased).
    """
    pictures = images.to(device).permute(0, 3, 1, 2).float().div_(255)
    if pictures.shape[1] == 1:
        pictures = pictures.expand(-1, 3, -1, -1)
    if pictures.shape[2:] != (side, side):
        pictures = F.interpolate(pictures, (side, side), mode="bilinear", antialias=True, align_corners=False)
    return pictures.contiguous(memory_format=torch.channels_last)
