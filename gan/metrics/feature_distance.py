"""Distances between features of generated and of real images, as metrics that a run measures every tick."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from common.errors import require
from gan.config import EvaluationConfig, count_name
from gan.distributed import Ranks
from gan.metrics.frechet import GaussianStatistics, frechet_distance, kernel_distance
from gan.metrics.kid import kernel_set
from gan.metrics.prdc import neighbourhood, precision_recall_density_coverage
from gan.metrics.reference import LEAST_IMAGES, Tensors, evenly, remembered
from perceptual.embedding import Embedder, load_embedder

_BATCH = 512  # real images taken from the memory map at once


def embed_all(embedder: Embedder, images: np.ndarray) -> torch.Tensor:
    """Features float32 (N, D) on the CPU of uint8 (N, H, W, C), which may be memory-mapped."""
    return torch.cat(list(_embedded(embedder, images)))


def _embedded(embedder: Embedder, images: np.ndarray) -> Iterator[torch.Tensor]:
    for start in range(0, len(images), _BATCH):
        yield embedder.embed(torch.from_numpy(np.array(images[start : start + _BATCH]))).cpu()


def _gathered(embedder: Embedder, generated: torch.Tensor, count: int, ranks: Ranks) -> torch.Tensor:
    """Features (count, D) on the CPU of all ranks' images, of which this rank has its share.

    Raises: ConfigError unless the images are as many as the share.
    """
    share = ranks.share(count)
    expected = share.stop - share.start
    require(
        len(generated) == expected,
        f"a metric of {count} images takes {expected} from rank {ranks.rank} of {ranks.world_size}, "
        f"not {len(generated)}; generate its share",
    )
    features = embedder.embed(generated)
    whole = features.new_zeros(count, embedder.length)
    whole[share] = features
    return ranks.summed(whole)


def _statistics(embedder: Embedder, images: np.ndarray) -> GaussianStatistics:
    """Of the features of all images, without keeping them."""
    return GaussianStatistics.merged(
        GaussianStatistics.from_features(part) for part in _embedded(embedder, images)
    )


def _check_counts(name: str, num_images: int, held_out: int, train: int) -> None:
    """Raise `ConfigError` unless there are images enough for a distance between features."""
    require(
        min(held_out, train) >= LEAST_IMAGES,
        f"the metric {name} needs at least {LEAST_IMAGES} images held out and {LEAST_IMAGES} to train on, "
        f"not {held_out} and {train}; give more images or raise --held-out",
    )
    require(num_images >= LEAST_IMAGES, f"--metric-images must be at least {LEAST_IMAGES}, not {num_images}")


def _distance_to(metric: str, real: torch.Tensor) -> Callable[[torch.Tensor], float]:
    """The distance that the metric means, from features to the real ones, whose part is computed once."""
    if metric == "kid_compact":
        kernels = kernel_set(real)
        return lambda features: kernel_distance(kernels, features).value
    statistics = GaussianStatistics.from_features(real)
    return lambda features: frechet_distance(statistics, GaussianStatistics.from_features(features))


class CompactDistance:
    """Fréchet or kernel distance to the held-out images, in the features of the shipped compact network.

    The noise is the value for as many training images (all, when there are fewer) instead of generated ones.
    With it come recall and coverage, which fall when the generator shows less than the data have.
    """

    lower_is_better = True

    def __init__(
        self,
        config: EvaluationConfig,
        *,
        held_out: np.ndarray,
        train: np.ndarray,
        device: torch.device,
        key: str | None,
        cache: Path | None,
    ) -> None:
        self.name, self.num_images = config.key(), config.metric_images
        _check_counts(self.name, self.num_images, len(held_out), len(train))
        self._embedder = load_embedder("compact", weights=config.metric_weights, device=device)

        def embed() -> Tensors:
            sample = evenly(train, self.num_images)
            return {
                "held_out": embed_all(self._embedder, held_out),
                "train": embed_all(self._embedder, sample),
            }

        content = None if key is None else [key, self._embedder.key, str(self.num_images)]
        real = remembered(cache, content, embed)
        self._distance = _distance_to(config.metric, real["held_out"])
        self._held_out = neighbourhood(real["held_out"])
        self._real = self._measured(real["train"])
        self.noise = self._real[self.name]

    def share(self, ranks: Ranks) -> slice:
        """Each rank embeds a part of the images."""
        return ranks.share(self.num_images)

    def measure(self, generated: torch.Tensor, ranks: Ranks) -> dict[str, float]:
        """The distance with its noise, recall and coverage with what real images get."""
        features = _gathered(self._embedder, generated, self.num_images, ranks)
        noises = {f"{name}_noise": value for name, value in self._real.items()}
        return ranks.of_first(self._measured(features)) | noises

    def _measured(self, features: torch.Tensor) -> dict[str, float]:
        suffix = f"compact_{count_name(self.num_images)}"
        diversity = precision_recall_density_coverage(self._held_out, features)
        return {
            self.name: self._distance(features),
            f"recall_{suffix}": diversity.recall,
            f"coverage_{suffix}": diversity.coverage,
        }


class InceptionDistance:
    """FID as published (Heusel et al. 2017): Inception's features, the reference all training images.

    The noise is the value for the held-out images. It falls with the number of images on either side, so
    values compare only for equal numbers; the literature has 50,000 generated images.
    """

    lower_is_better = True

    def __init__(
        self,
        config: EvaluationConfig,
        *,
        held_out: np.ndarray,
        train: np.ndarray,
        device: torch.device,
        key: str | None,
        cache: Path | None,
    ) -> None:
        self.name, self.num_images = config.key(), config.metric_images
        _check_counts(self.name, self.num_images, len(held_out), len(train))
        self._embedder = load_embedder("inception", weights=config.metric_weights, device=device)

        def embed() -> Tensors:
            return {
                f"{name}_{part}": value
                for name, images in (("train", train), ("held_out", held_out))
                for part, value in _statistics(self._embedder, images).to_tensors().items()
            }

        real = remembered(cache, None if key is None else [key, self._embedder.key], embed)
        self._statistics, held = (
            GaussianStatistics.from_tensors(
                {part.removeprefix(f"{name}_"): v for part, v in real.items() if part.startswith(f"{name}_")}
            )
            for name in ("train", "held_out")
        )
        self.noise = frechet_distance(self._statistics, held)

    def share(self, ranks: Ranks) -> slice:
        """Each rank embeds a part of the images."""
        return ranks.share(self.num_images)

    def measure(self, generated: torch.Tensor, ranks: Ranks) -> dict[str, float]:
        """The distance with its noise."""
        features = _gathered(self._embedder, generated, self.num_images, ranks)
        distance = frechet_distance(self._statistics, GaussianStatistics.from_features(features))
        return ranks.of_first({self.name: distance}) | {f"{self.name}_noise": self.noise}
