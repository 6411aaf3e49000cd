"""The sliced Wasserstein distance between two sets of images on Laplacian pyramids.

Karras et al. 2018 (Progressive Growing of GANs), section 5 and the released `metrics/sliced_wasserstein.py`:
every image becomes a Laplacian pyramid from full resolution down to 16 x 16; of each level, random 7 x 7
patches of all channels are the descriptors, normalized per channel to mean 0 and standard deviation 1 within
their set; the distance of a level is the mean Wasserstein-1 distance of the two sets projected on random
directions, times 1000. The metric that a run measures is `gan.metrics.named.swd`.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F

PATCH_SIDE = 7
SMALLEST_SIDE = 16
PATCHES_PER_IMAGE = 32
NUM_DIRECTIONS = 256
_CHUNK_PIXELS = 128**3  # of the images whose pyramids are in memory at once
_LEAST_STD = 0.01  # of 255 grey levels; a smaller one is rounding, not structure
_PURPOSE_POSITIONS, _PURPOSE_DIRECTIONS = 0, 1

Tensors = list[torch.Tensor]


def level_sides(resolution: int) -> list[int]:
    """Sides of the pyramid's levels in pixels, the full resolution first, the last at least 16."""
    sides = [resolution]
    while math.ceil(sides[-1] / 2) >= SMALLEST_SIDE:
        sides.append(math.ceil(sides[-1] / 2))
    return sides


def laplacian_pyramid(images: torch.Tensor) -> Tensors:
    """Differences between successive Gaussian levels, the last level the blurred image itself.

    images: (N, C, H, W) floats; returns one (N, C, h, w) a level. Burt and Adelson 1983.
    """
    pyramid = [images]
    for _ in level_sides(images.shape[-1])[1:]:
        coarse = _halve(pyramid[-1])
        pyramid[-1] = pyramid[-1] - _double(coarse, pyramid[-1].shape[-1])
        pyramid.append(coarse)
    return pyramid


def _blur(images: torch.Tensor) -> torch.Tensor:
    """Convolve with the 5 x 5 binomial kernel [1 4 6 4 1]^2 / 256, mirrored at the borders."""
    for axis, padding in ((-1, (2, 2, 0, 0)), (-2, (0, 0, 2, 2))):
        padded = F.pad(images, padding, mode="reflect")
        size = images.shape[axis]
        a, b, c, d, e = (padded.narrow(axis, start, size) for start in range(5))
        images = (a + e).add_(b + d, alpha=4).add_(c, alpha=6).div_(16)
    return images


def _halve(images: torch.Tensor) -> torch.Tensor:
    return _blur(images)[:, :, ::2, ::2]


def _double(images: torch.Tensor, side: int) -> torch.Tensor:
    sparse = images.new_zeros(*images.shape[:2], side, side)
    sparse[:, :, ::2, ::2] = images
    return _blur(sparse).mul_(4)


def descriptors(images: np.ndarray, *, seed: int, patches_per_image: int, device: torch.device) -> Tensors:
    """One (N * patches_per_image, C * 7 * 7) tensor a level, each channel with mean 0 and std 1 over it.

    images: uint8 (N, H, W, C). The places of the patches depend only on the seed, the level and the image's
    index, so that two sets are cut alike and the distance of a set to itself is exactly 0.
    """
    places = [
        _positions(len(images), patches_per_image, side, seed=seed, level=level)
        for level, side in enumerate(level_sides(images.shape[1]))
    ]
    parts: list[Tensors] = [[] for _ in places]
    size = max(1, _CHUNK_PIXELS // images.shape[1] ** 2)
    for start in range(0, len(images), size):
        chunk = torch.from_numpy(np.array(images[start : start + size])).to(device)
        for level, detail in enumerate(laplacian_pyramid(chunk.permute(0, 3, 1, 2).float())):
            parts[level].append(_cut(detail, places[level][start : start + size].to(device)))
    return [_normalize(torch.cat(part)) for part in parts]


def _positions(num_images: int, patches: int, side: int, *, seed: int, level: int) -> torch.Tensor:
    """Random top left corners, int64 (num_images, patches, 2); on the CPU, so that devices agree."""
    random = np.random.default_rng([seed, _PURPOSE_POSITIONS, level])
    return torch.from_numpy(random.integers(side - PATCH_SIDE + 1, size=(num_images, patches, 2)))


def _cut(images: torch.Tensor, corners: torch.Tensor) -> torch.Tensor:
    windows = images.unfold(2, PATCH_SIDE, 1).unfold(3, PATCH_SIDE, 1)  # a view: (N, C, y, x, 7, 7)
    index = torch.arange(len(images), device=images.device)[:, None]
    cut = windows[index, :, corners[..., 0], corners[..., 1]]
    return cut.flatten(0, 1)


def _normalize(patches: torch.Tensor) -> torch.Tensor:
    std, mean = torch.std_mean(patches, dim=(0, 2, 3), correction=0, keepdim=True)
    # a channel without structure stays 0 instead of becoming 0/0
    return patches.sub_(mean).div_(std.clamp_min(_LEAST_STD)).flatten(1)


def directions(length: int, count: int, *, seed: int, level: int) -> torch.Tensor:
    """Random unit vectors, uniform on the sphere: float32 (count, length)."""
    random = np.random.default_rng([seed, _PURPOSE_DIRECTIONS, level])
    vectors = random.standard_normal((count, length))
    return torch.from_numpy((vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32))


def sorted_projections(
    images: np.ndarray,
    *,
    seed: int,
    device: torch.device,
    share: slice = slice(None),
    patches_per_image: int = PATCHES_PER_IMAGE,
    num_directions: int = NUM_DIRECTIONS,
) -> Iterator[torch.Tensor]:
    """Level by level, the set's descriptors projected on a share of the directions, each sorted ascending.

    images: uint8 (N, H, W, C); yields float32 (directions in the share, N * patches_per_image).
    """
    cut = descriptors(images, seed=seed, patches_per_image=patches_per_image, device=device)
    for level, points in enumerate(cut):
        onto = directions(points.shape[1], num_directions, seed=seed, level=level)[share].to(device)
        yield _sorted(onto @ points.T)


def _sorted(rows: torch.Tensor) -> torch.Tensor:
    if rows.device.type == "cpu":
        # NumPy 2 sorts float32 with vector instructions, 20 times as fast as torch 2.14 on the CPU
        rows.numpy().sort(axis=1)
        return rows
    return rows.sort(dim=1).values


def summed_distances(first: Sequence[torch.Tensor], second: Iterator[torch.Tensor]) -> torch.Tensor:
    """Sum over directions of the Wasserstein-1 distance of each level: float64 (levels,) on the CPU.

    For equally many sorted points that distance is the mean absolute difference.
    """
    sums = [
        (mine - theirs).abs_().sum(dtype=torch.float64) / mine.shape[1]
        for mine, theirs in zip(first, second, strict=True)
    ]
    return torch.stack(sums).cpu()
