"""Random crops and colours, different for each picture of a batch, as tensor arithmetic on any device.

torchvision 0.29's v2 transforms use the same random numbers for a whole batch. Applied picture by picture
(RandomResizedCrop, RandomHorizontalFlip, ColorJitter, RandomGrayscale) they take 20 times as long as the two
functions here, measured with 256 pictures of 64 pixels on 2 CPU cores; even applied to the batch at once,
they take 3 times as long.
"""

import math

import torch
import torch.nn.functional as F

AREA = (0.25, 1.0)  # of a crop, relative to the picture
ASPECT = (3 / 4, 4 / 3)
BRIGHTNESS, CONTRAST, SATURATION = 0.4, 0.4, 0.4  # factors are 1 +- these
HUE = 0.1  # of a turn
GREY = 0.1  # share of pictures that become grey
_LUMINANCE = (0.299, 0.587, 0.114)


def random_crops(images: torch.Tensor, side: int, random: torch.Generator) -> torch.Tensor:
    """Crop each picture at a random place, with random area, aspect and mirroring: (N, C, side, side).

    images: (N, C, H, W) floats; interpolation is bilinear. The ranges are those of Szegedy et al. 2015 (Going
    Deeper with Convolutions), section 6, except that crops cover at least a quarter of the area instead of
    8 %, because small pictures have little detail.
    """
    count = len(images)
    area = _uniform(count, *AREA, random)
    stretch = _uniform(count, math.log(ASPECT[0]), math.log(ASPECT[1]), random).exp().sqrt()
    # relative to the picture, at most 1; the coordinates of grid_sample run from -1 to 1
    width, height = (area.sqrt() * stretch).clamp_max(1), (area.sqrt() / stretch).clamp_max(1)
    mirrored = torch.where(torch.rand(count, generator=random) < 0.5, -1.0, 1.0)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = width * mirrored, height
    theta[:, 0, 2] = _uniform(count, -1, 1, random) * (1 - width)
    theta[:, 1, 2] = _uniform(count, -1, 1, random) * (1 - height)
    grid = F.affine_grid(theta.to(images.device), [count, images.shape[1], side, side], align_corners=False)
    return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def random_colours(images: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Change brightness, contrast, saturation and hue at random: (N, 3, H, W) in [0, 1].

    All changes of a picture together are one 3 x 3 matrix and one offset: hue (a rotation about the grey
    axis), then saturation, contrast about the mean luminance, and brightness. A share GREY of the pictures
    loses all colour.
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
    """Matrices (N, 3, 3) that rotate RGB about grey by angles (N,) in radians (Rodrigues' formula)."""
    cross = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    cosine, sine = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return cosine * torch.eye(3) + (1 - cosine) / 3 + sine * cross


def _uniform(count: int, low: float, high: float, random: torch.Generator) -> torch.Tensor:
    return low + (high - low) * torch.rand(count, generator=random)
