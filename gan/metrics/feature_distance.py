"""What metrics on features of a pretrained network share, and those that compare with the held-out images."""

import functools
from collections.abc import Callable, Iterator

import numpy as np
import torch

from common.errors import naming_flag, require
from gan.data.images import mirrored
from gan.distributed import Ranks
from gan.metrics.config import EvaluationConfig, count_name
from gan.metrics.few import LEAST_REAL
from gan.metrics.prdc import (
    Neighbourhood,
    memorization_ratio,
    nearest_distances,
    neighbourhood,
    precision_recall_density_coverage,
    reduced,
    separation,
    spread,
)
from gan.metrics.reference import RealImages, Tensors, evenly, remembered
from perceptual.embedding import Embedder, load_embedder

_BATCH = 512  # real images taken from the memory map at once


def embed_all(embedder: Embedder, images: np.ndarray) -> torch.Tensor:
    """Features float32 (N, D) on the CPU of uint8 (N, H, W, C), which may be memory-mapped."""
    return torch.cat(list(embedded_batches(embedder, images)))


def embedded_batches(
    embedder: Embedder, images: np.ndarray, on_batch: Callable[[int], None] = lambda count: None
) -> Iterator[torch.Tensor]:
    """The features of `embed_all`, a batch at a time; on_batch is told each batch's number of images."""
    for start in range(0, len(images), _BATCH):
        batch = np.array(images[start : start + _BATCH])
        yield embedder.embed(torch.from_numpy(batch)).cpu()
        on_batch(len(batch))


class FeatureDistance:
    """Base of metrics on features: the network, and generated images that ranks embed in parts.

    Raises: ConfigError for fewer than 8 images held out or to train on, and for missing weights.
    """

    def __init__(self, config: EvaluationConfig, real: RealImages, network: str) -> None:
        self.name, self.num_images = config.key(), config.metric_images
        require(
            min(len(real.held_out), len(real.train)) >= LEAST_REAL,
            f"the metric {self.name} needs at least {LEAST_REAL} images held out and {LEAST_REAL} to "
            f"train on, not {len(real.held_out)} and {len(real.train)}; give more images",
        )
        with naming_flag("--metric-weights", config.metric_weights):
            self._embedder = load_embedder(network, weights=config.metric_weights, device=real.device)

    @property
    def network(self) -> str:
        """Identifies the network with its weights and what is read of it, on whatever machine."""
        return self._embedder.identity

    def share(self, ranks: Ranks) -> slice:
        """Each rank generates and embeds a part of the images."""
        return ranks.share(self.num_images)

    def _features(self, generated: torch.Tensor, ranks: Ranks) -> torch.Tensor:
        """Features (num_images, D) on the CPU of all ranks' images, of which this rank has its share.

        Raises: ConfigError unless the images are as many as the share.
        """
        share = self.share(ranks)
        expected = share.stop - share.start
        require(
            len(generated) == expected,
            f"a metric of {self.num_images} images takes {expected} from rank {ranks.rank} of "
            f"{ranks.world_size}, not {len(generated)}; generate its share",
        )
        features = self._embedder.embed(generated)
        all_features = features.new_zeros(self.num_images, self._embedder.length)
        all_features[share] = features
        return ranks.summed(all_features)


class HeldOutDistance(FeatureDistance):
    """A distance to the held-out images in the features of a shipped network.

    The noise floor is the value of as many training images (all, when there are fewer). The metric also
    reports what tells collapse and copies. Recall, coverage and spread fall when the generator shows less
    variety than the data, and separation when it shows few images again and again; memorization falls when
    it copies. Copies are looked for among as many training images as are generated (all, where there are no
    more), in each orientation that was shown.
    """

    def __init__(
        self,
        config: EvaluationConfig,
        real: RealImages,
        *,
        network: str,
        distance_to: Callable[[torch.Tensor], Callable[[torch.Tensor], float]],
    ) -> None:
        """network: as `load_embedder` names it; values bear its name.

        distance_to: from the real features to the function that measures others against them.
        """
        super().__init__(config, real, network=network)

        def embed() -> Tensors:
            sample = evenly(real.train, self.num_images)
            return {
                "held_out": embed_all(self._embedder, real.held_out),
                "train": embed_all(self._embedder, sample),
            } | ({"mirrored": embed_all(self._embedder, mirrored(sample))} if real.flip else {})

        key = None
        if real.fingerprint is not None:
            key = [real.fingerprint, self._embedder.key, str(self.num_images)]
        tensors = remembered(real.cache, key, embed)
        self._held_out, self._train = tensors["held_out"], tensors["train"]
        self._shown = torch.cat([self._train, tensors["mirrored"]]) if real.flip else self._train
        self._distance = distance_to(self._held_out)
        self.noise_floor = self._distance(self._train)

    def distance(self, generated: torch.Tensor, ranks: Ranks) -> float:
        """The distance of the features of all ranks' images."""
        return ranks.of_first({self.name: self._distance(self._features(generated, ranks))})[self.name]

    def measure(self, generated: torch.Tensor, ranks: Ranks) -> dict[str, float]:
        """The distance and the measures of variety and copies, each with its noise floor."""
        features = self._features(generated, ranks)
        values = {self.name: self._distance(features)} | self._diversity(features)
        values |= {self._named("memorization"): self._memorization(features)}
        floors = {self.name: self.noise_floor} | self._diversity_floors
        return ranks.of_first(values) | {f"{name}_noise": floor for name, floor in floors.items()}

    # Neighbours take longer than the distance: of 5,000 images, with which the best states of a sweep are
    # measured again by their distance alone, much longer.
    @functools.cached_property
    def _neighbours(self) -> Neighbourhood:
        return neighbourhood(self._held_out)

    @functools.cached_property
    def _distances_to_train(self) -> torch.Tensor:
        return nearest_distances(self._held_out, self._shown)

    @functools.cached_property
    def _real_spread(self) -> float:
        return spread(self._held_out)

    @functools.cached_property
    def _real_separation(self) -> float:
        return self._separation(self._neighbours)

    def _separation(self, vectors: Neighbourhood) -> float:
        """Of as many vectors as both sets have: the more there are, the nearer they are."""
        return separation(reduced(vectors, min(self.num_images, len(self._held_out))))

    @functools.cached_property
    def _diversity_floors(self) -> dict[str, float]:
        half = len(self._held_out) // 2  # real images outside the training set
        new = memorization_ratio(
            self._held_out[:half],
            self._shown,
            self._held_out[half:],
            held_out_distances=self._distances_to_train[half:],
        )
        return self._diversity(self._train) | {self._named("memorization"): new}

    def _diversity(self, features: torch.Tensor) -> dict[str, float]:
        generated = neighbourhood(features)
        found = precision_recall_density_coverage(self._neighbours, generated)
        return {
            self._named("recall"): found.recall,
            self._named("coverage"): found.coverage,
            self._named("spread"): _over(spread(features), self._real_spread),
            self._named("separation"): _over(self._separation(generated), self._real_separation),
        }

    def _memorization(self, features: torch.Tensor) -> float:
        return memorization_ratio(
            features, self._shown, self._held_out, held_out_distances=self._distances_to_train
        )

    def _named(self, measure: str) -> str:
        return f"{measure}_{self._embedder.name}_{count_name(self.num_images)}"


def _over(value: float, real: float) -> float:
    """The value as a share of that of real images; 1 where those are all equal."""
    return value / real if real > 0 else 1.0
