"""Image quality as one number, by name, against held-out real images; the distance itself is in `gan.swd`."""

import collections
from typing import Protocol

import numpy as np
import torch
import torch.distributed

from common.errors import require
from gan import swd

LEAST_IMAGES = 16
_KEPT_REFERENCES = 2  # a process rarely meets more than one data set; each reference may take 100 MiB


class Metric(Protocol):
    """A number that says how far generated images are from real ones."""

    @property
    def name(self) -> str:
        """Its key in the tick's numbers and in `METRICS`."""

    @property
    def lower_is_better(self) -> bool:
        """Whether a search should minimize it."""

    @property
    def num_images(self) -> int:
        """How many generated images `measure` needs."""

    @property
    def noise(self) -> float:
        """Its value for as many real training images: what a perfect generator would get."""

    def measure(self, generated: np.ndarray | torch.Tensor) -> float:
        """Its value for generated images, uint8 (N, H, W, C), the same on every rank; returns the same."""


class SlicedWasserstein:
    """Sliced Wasserstein distance on Laplacian pyramids times 1000, the mean over levels; lower is better.

    Karras et al. 2018, section 5, with three departures. 32 patches an image and 256 directions instead of
    128 and 4 x 128, at a seventh of the time or less: with 1024 images of CIFAR-10 at 32 x 32, real against
    real gives 14.3 +- 1.1 over samples instead of 11.7 +- 1.2 (MNIST 10.5 +- 0.4 instead of 6.6 +- 0.3), and
    blur of 1 pixel 42.8 instead of 42.1. Patches and directions are fixed by the seed, and patches lie at the
    same places in both sets, so that generators compare and identical sets are at 0. Sets are as large as
    the held-out images allow; values compare only for the same number of images and the same seed.
    """

    name = "swd"
    lower_is_better = True

    def __init__(
        self,
        held_out: np.ndarray,
        train: np.ndarray,
        *,
        num_images: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.num_images = min(num_images, len(held_out), len(train))
        require(
            self.num_images >= LEAST_IMAGES,
            f"the metric swd needs at least {LEAST_IMAGES} images held out, {LEAST_IMAGES} to train on and "
            f"--metric-images {LEAST_IMAGES}, not {len(held_out)}, {len(train)} and {num_images}; "
            "give more images or raise --held-out",
        )
        require(
            held_out.shape[1] == held_out.shape[2] >= swd.SMALLEST_SIDE,
            f"the metric swd needs square images with sides of at least {swd.SMALLEST_SIDE} pixels, "
            f"not {held_out.shape[2]} x {held_out.shape[1]}; try --resolution 32",
        )
        self._shape = held_out.shape[1:]
        self._seed, self._device = seed, device
        real = _evenly(held_out, self.num_images)
        self._reference = list(swd.sorted_projections(real, seed=seed, device=device))
        # by every rank alone: a rank whose cache has it must not leave the others waiting
        self.noise = float(np.mean(self.levels(_evenly(train, self.num_images))))

    def levels(
        self, generated: np.ndarray | torch.Tensor, *, rank: int = 0, world_size: int = 1
    ) -> list[float]:
        """The distance of each pyramid level, full resolution first; ranks share the directions.

        Raises: ConfigError unless generated is uint8 (N, H, W, C) like the held-out images, N >= num_images.
        """
        images = generated.cpu().numpy() if isinstance(generated, torch.Tensor) else generated
        require(
            images.dtype == np.uint8 and images.shape[1:] == self._shape and len(images) >= self.num_images,
            f"the metric swd compares {self.num_images} uint8 images of shape {self._shape}, "
            f"not {images.dtype} {images.shape}; generate as many images like the held-out ones",
        )
        bounds = [swd.NUM_DIRECTIONS * part // world_size for part in (rank, rank + 1)]
        share = slice(*bounds)
        measured = swd.sorted_projections(
            images[: self.num_images], seed=self._seed, device=self._device, share=share
        )
        sums = swd.summed_distances([level[share] for level in self._reference], measured)
        if world_size > 1:
            sums = _sum_over_ranks(sums)
        return [1000 * float(total) / swd.NUM_DIRECTIONS for total in sums]


def check_sizes(train: int, held_out: int, source: str) -> None:
    """Raise `ConfigError` unless so many images suffice to measure anything."""
    require(
        min(train, held_out) >= LEAST_IMAGES,
        f"--data {source} must leave {LEAST_IMAGES} images to train on and as many held out, "
        f"not {train} and {held_out}; give more images or raise --held-out",
    )


def _evenly(images: np.ndarray, count: int) -> np.ndarray:
    # data sets often come sorted by class; the first images would be one class
    places = np.linspace(0, len(images) - 1, count).round().astype(np.int64)
    return np.asarray(images[places])


def _sum_over_ranks(sums: torch.Tensor) -> torch.Tensor:
    on_gpu = torch.distributed.get_backend() == "nccl"
    total = sums.to("cuda" if on_gpu else "cpu")
    torch.distributed.all_reduce(total)
    return total.cpu()


class _OfRank:
    """A prepared metric as one rank measures with it."""

    def __init__(self, prepared: SlicedWasserstein, rank: int, world_size: int) -> None:
        self._prepared, self._rank, self._world_size = prepared, rank, world_size
        self.name, self.lower_is_better = prepared.name, prepared.lower_is_better
        self.num_images, self.noise = prepared.num_images, prepared.noise

    def levels(self, generated: np.ndarray | torch.Tensor) -> list[float]:
        """The distance of each pyramid level, full resolution first."""
        return self._prepared.levels(generated, rank=self._rank, world_size=self._world_size)

    def measure(self, generated: np.ndarray | torch.Tensor) -> float:
        """The mean distance over the levels."""
        return float(np.mean(self.levels(generated)))


METRICS: dict[str, type[SlicedWasserstein]] = {SlicedWasserstein.name: SlicedWasserstein}

_prepared: collections.OrderedDict[tuple[object, ...], SlicedWasserstein] = collections.OrderedDict()


def build_metric(
    name: str,
    *,
    held_out: np.ndarray,
    train: np.ndarray,
    num_images: int,
    seed: int,
    rank: int = 0,
    world_size: int = 1,
    device: torch.device | str = "cpu",
    key: str | None = None,
) -> Metric:
    """The metric of that name, its real images prepared; once a process where `key` names the data.

    held_out, train: uint8 (N, H, W, C); the fewest of held_out, train and num_images are compared.
    seed: one for all runs to be compared. key: for equal keys the images must be equal, as for
    `Images.fingerprint`. With world_size > 1, torch.distributed must be initialised when `measure` is called.

    Raises: ConfigError for an unknown name, fewer than 16 images, or images smaller than 16 x 16.
    """
    require(name in METRICS, f"--metric must be one of {', '.join(METRICS)}, not {name}; try swd")
    cached = (name, key, num_images, seed, str(device))
    prepared = _prepared.pop(cached, None) if key is not None else None
    if prepared is None:
        prepared = METRICS[name](
            held_out, train, num_images=num_images, seed=seed, device=torch.device(device)
        )
    if key is not None:
        _prepared[cached] = prepared
        while len(_prepared) > _KEPT_REFERENCES:
            _prepared.popitem(last=False)
    return _OfRank(prepared, rank, world_size)
