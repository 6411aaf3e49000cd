"""Two faults that a distance may overlook, as one cheap number each: periodic patterns and burnt pixels.

`checkerboard`: a generator's transposed convolutions of stride 2 leave patterns that repeat every 2 and 4
pixels (Odena et al. 2016, "Deconvolution and checkerboard artifacts"). In the spectrum of its samples these
are peaks at exactly those periods (Durall et al. 2020, "Watch your up-convolution"). The number is the energy
of the peaks against their neighbourhood, over the same of real images: 1 as real. It lay between 1.5 and 7.4
for 34 generators of CIFAR-10 after 24,000 images; from 6 on the pattern was seen at a glance.

`burnt`: pixels that lie at the ends of the range, at most 2 or at least 253. The number is their share less
the share in real images, from -1 to 1: 0 as real, 0.1 where every tenth pixel is burnt that would not be. It
is a difference, not a ratio: most pixels of digits are at the ends, where a ratio could not rise, and many
photos have none, where it would be one of two noises.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from common.errors import require
from gan.distributed import Ranks
from gan.metrics.config import ARTIFACTS
from gan.metrics.reference import RealImages, evenly

TILE_PX = 16
_PERIOD_PX = 8
_BINS = _PERIOD_PX // 2 + 1  # frequencies 0, 1/8, 1/4, 3/8 and 1/2 a pixel
_LARGEST_DARK, _SMALLEST_BRIGHT = 2, 253
_ROUNDING = 1 / 12  # the variance that rounding to whole numbers adds
_BATCH = 64  # small enough to stay in the cache


def artifact_sums(images: Tensor) -> Tensor:
    """What both numbers are made of, of images uint8 (N, H, W, C) on any device; the sides are at least 16.

    Sums over images, so that the sums of parts add up to the sums of all, whether the parts are batches or
    the shares of ranks.

    Returns: float64 (67,) on the same device: the energies of the 64 waves, the number of tiles that they are
    of, the number of burnt values, and of all values.

    Raises: ConfigError for other images.
    """
    require(
        images.dtype == torch.uint8 and images.ndim == 4 and min(images.shape[1:3]) >= TILE_PX,
        f"patterns are looked for in uint8 images (N, H, W, C) with sides of at least {TILE_PX} pixels, not "
        f"{images.dtype} {tuple(images.shape)}; enlarge them",
    )
    total = torch.zeros(_PERIOD_PX**2 + 3, dtype=torch.float64, device=images.device)
    waves = _waves().to(images.device)
    for part in images.split(_BATCH):
        tiles = _tiles(part)
        total[:-3] += (tiles @ waves).square_().sum(dim=0, dtype=torch.float64)
        total[-3] += len(tiles)
        total[-2] += _num_burnt(part)
        total[-1] += part.numel()
    return total


class Artifacts:
    """Measures both numbers beside those of real images.

    The real ones are those that the run's metric compares with (held-out ones, of few pictures one half). The
    noise floor is the number of as many training images as are generated.
    """

    def __init__(self, real: RealImages, num_images: int) -> None:
        self._peaks, self._burnt = _peaks_and_burnt(_sums_of(real.held_out, real.device))
        floors = self.values(_sums_of(evenly(real.train, num_images), real.device))
        self.noise = {f"{name}_noise": value for name, value in floors.items()}

    def measure(self, generated: Tensor, ranks: Ranks) -> dict[str, float]:
        """Both numbers with their noise floors, the same on every rank.

        generated: this rank's part of the images, uint8 (N, H, W, C) on any device. Where every rank has all
        images, the value is theirs too.
        """
        return self.values(ranks.summed(artifact_sums(generated))) | self.noise

    def values(self, sums: Tensor) -> dict[str, float]:
        """Both numbers of the images that `sums` were made of."""
        peaks, burnt = _peaks_and_burnt(sums)
        return dict(zip(ARTIFACTS, (peaks / self._peaks, burnt - self._burnt), strict=True))


def _sums_of(images: np.ndarray, device: torch.device) -> Tensor:
    """`artifact_sums` of images that may be memory-mapped."""
    total = torch.zeros(_PERIOD_PX**2 + 3, dtype=torch.float64)
    for start in range(0, len(images), _BATCH):
        batch = torch.from_numpy(np.array(images[start : start + _BATCH]))
        total += artifact_sums(batch.to(device)).cpu()
    return total


def _tiles(images: Tensor) -> Tensor:
    """Float (M, 256): the 16 x 16 tiles on the diagonal of every channel of (N, H, W, C).

    Tiles of one size give one resolution in frequency to images of any size, and those on the diagonal touch
    every row and column of tiles: enough, since patterns of a generator are everywhere.
    """
    count = min(images.shape[1:3]) // TILE_PX
    places = [slice(TILE_PX * place, TILE_PX * (place + 1)) for place in range(count)]
    tiles = torch.stack([images[:, place, place] for place in places])
    return tiles.permute(0, 1, 4, 2, 3).reshape(-1, TILE_PX * TILE_PX).float()


def _waves() -> Tensor:
    """(256, 64): every product of a cosine or sine in rows with one in columns, of period 8, windowed.

    The window (Hann) keeps the edges of a tile, where natural images do not continue at the other side, from
    filling all frequencies. With a period of half the tile a pure pattern of another of the frequencies
    adds nothing. Scaled so that white noise has its variance as energy at every frequency.
    """
    pixels = torch.arange(TILE_PX, dtype=torch.float64)
    window = 0.5 - 0.5 * torch.cos(2 * math.pi * pixels / TILE_PX)
    angles = 2 * math.pi * pixels / _PERIOD_PX
    # there is no sine of frequency 0 and of 1/2
    waves = [torch.cos(k * angles) for k in range(_BINS)] + [
        torch.sin(k * angles) for k in range(1, _BINS - 1)
    ]
    rows = torch.stack([window * wave for wave in waves]) / window.square().sum().sqrt()
    return torch.kron(rows, rows).T.float().contiguous()


def _at_frequencies(energies: Tensor) -> Tensor:
    """(64,) of the waves -> (5, 5) of the frequencies, in rows and columns; both diagonals are one."""
    own = torch.tensor([*range(_BINS), *range(1, _BINS - 1)])
    gathers = F.one_hot(own).double().T
    return gathers @ energies.reshape(_PERIOD_PX, _PERIOD_PX) @ gathers.T


def _num_burnt(images: Tensor) -> Tensor:
    # uint8 wraps around: what is at the ends of the range is then at most 5
    shifted = images + (255 - _SMALLEST_BRIGHT + 1)
    return torch.count_nonzero(shifted <= _LARGEST_DARK + 255 - _SMALLEST_BRIGHT + 1)


def _peaks_and_burnt(sums: Tensor) -> tuple[float, float]:
    """How far the spectrum rises at periods of 2 and 4, and the share of burnt values."""
    energy = _at_frequencies(sums[:-3] / sums[-3]) + _ROUNDING
    # amplitudes of natural images fall with the frequency (Field 1987): weighted so, neighbours are alike
    steps = 2 - 2 * torch.cos(2 * math.pi * torch.arange(_BINS, dtype=torch.float64) / _PERIOD_PX)
    flat = (energy * (steps[:, None] + steps)).sqrt()
    around = F.pad(flat[None, None], (1, 1, 1, 1), mode="reflect")
    neighbours = (9 * F.avg_pool2d(around, 3, stride=1)[0, 0] - flat) / 8
    # periods 4 and 2 in rows, columns and diagonals, without the mean of the picture
    peaks = (flat / neighbours).square()[::2, ::2].flatten()[1:]
    return float(peaks.mean()), float(sums[-2] / sums[-1])
