"""Random crops and colours for a whole batch at once, as tensor arithmetic on any device; nothing is read."""

import math

import torch
import torch.nn.functional as F

AREA = (0.25, 1.0)  # of the picture that a crop shows
ASPECT = (3 / 4, 4 / 3)
BRIGHTNESS, CONTRAST, SATURATION = 0.4, 0.4, 0.4  # factors are 1 +- these
HUE = 0.1  # of a turn
GREY = 0.1  # share of pictures shown without colour
_LUMINANCE = (0.299, 0.587, 0.114)


def random_crops(images: torch.Tensor, side: int, random: torch.Generator) -> torch.Tensor:
    """One crop a picture of random place, area, aspect and mirroring, bilinear: (N, C, side, side).

    images: (N, C, H, W) floats. The ranges of Szegedy et al. 2015 (Going Deeper with Convolutions), section
    6, with crops of at least a quarter of the area instead of 8 %: small pictures hold no more.
    """
    count = len(images)
    area = _uniform(count, *AREA, random)
    stretch = _uniform(count, math.log(ASPECT[0]), math.log(ASPECT[1]), random).exp().sqrt()
    # as shares of the picture, 1 at most; the coordinates of grid_sample run from -1 to 1
    width, height = (area.sqrt() * stretch).clamp_max(1), (area.sqrt() / stretch).clamp_max(1)
    mirrored = torch.where(torch.rand(count, generator=random) < 0.5, -1.0, 1.0)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = width * mirrored, height
    theta[:, 0, 2] = _uniform(count, -1, 1, random) * (1 - width)
    theta[:, 1, 2] = _uniform(count, -1, 1, random) * (1 - height)
    grid = F.affine_grid(theta.to(images.device), [count, images.shape[1], side, side], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def random_colours(images: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Random brightness, contrast, saturation and hue, some pictures grey: (N, 3, H, W) in [0, 1].

    One 3 x 3 matrix and one offset a picture: hue, a rotation about the grey axis, then saturation, contrast
    about the mean luminance, and brightness. A share GREY of the pictures loses all colour.
    """
    count = len(images)
    luminance = torch.tensor(_LUMINANCE)
    grey = luminance.expand(3, 3)
    saturation = 1 + _uniform(count, -SATURATION, SATURATION, random)
    saturation[torch.rand(count, generator=random) < GREY] = 0
    strength = saturation[:, None, None]
    matrix = hue_rotations(_uniform(count, -HUE, HUE, random) * 2 * math.pi)
    matrix = (strength * torch.eye(3) + (1 - strength) * grey) @ matrix
    contrast = 1 + _uniform(count, -CONTRAST, CONTRAST, random)
    brightness = 1 + _uniform(count, -BRIGHTNESS, BRIGHTNESS, random)
    matrix = (matrix * (contrast * brightness)[:, None, None]).to(images.device)
    means = images.mean(dim=(2, 3)) @ luminance.to(images.device)
    offset = means * ((1 - contrast) * brightness).to(images.device)
    changed = torch.einsum("nij,njhw->nihw", matrix, images) + offset[:, None, None, None]
    return changed.clamp_(0, 1)


def hue_rotations(angle: torch.Tensor) -> torch.Tensor:
    """Rotations of RGB about grey, (1, 1, 1), by angles (N,) in radians, Rodrigues' formula: (N, 3, 3)."""
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return cosine * torch.eye(3) + (1 - cosine) / 3 + sine * cross


def _uniform(count: int, low: float, high: float, random: torch.Generator) -> torch.Tensor:
    return low + (high - low) * torch.rand(count, generator=random)
