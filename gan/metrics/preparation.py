"""Image quality as one number, by name, against held-out real images; how it is computed stands elsewhere."""

import collections
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from gan.config import EvaluationConfig, GanConfig
from gan.data.images import Images, cache_folder
from gan.distributed import Ranks
from gan.metrics.feature_distance import CompactDistance, InceptionDistance
from gan.metrics.random_directions import SlicedWasserstein
from gan.metrics.reference import check_sizes

_KEPT_REFERENCES = 2  # a process rarely meets more than one data set; each reference may take 100 MiB


class Prepared(Protocol):
    """A metric with its real images prepared; it serves every rank of a run, and one run after another."""

    @property
    def name(self) -> str:
        """Its key in the tick's numbers."""

    @property
    def lower_is_better(self) -> bool:
        """Whether a search should minimize it."""

    @property
    def num_images(self) -> int:
        """How many generated images all ranks together measure."""

    @property
    def noise(self) -> float:
        """Its value for real training images: what a perfect generator would get."""

    def share(self, ranks: Ranks) -> slice:
        """Which of the generated images this rank has to give to `measure`."""

    def measure(self, generated: torch.Tensor, ranks: Ranks) -> dict[str, float]:
        """Its value for generated images, with what else is known by then; the same on every rank.

        generated: this rank's share, uint8 (N, H, W, C) on any device. The keys: `name`, `<name>_noise`,
        and what more a metric tells.
        """


class Metric:
    """A prepared metric as one rank measures with it."""

    def __init__(self, prepared: Prepared, ranks: Ranks) -> None:
        self._prepared, self._ranks = prepared, ranks
        self.name, self.lower_is_better = prepared.name, prepared.lower_is_better
        self.num_images, self.noise = prepared.num_images, prepared.noise
        self.share = prepared.share(ranks)

    def measure(self, generated: torch.Tensor) -> dict[str, float]:
        """See `Prepared.measure`."""
        return self._prepared.measure(generated, self._ranks)


_prepared: collections.OrderedDict[tuple[object, ...], Prepared] = collections.OrderedDict()


def build_metric(
    config: EvaluationConfig,
    *,
    held_out: np.ndarray,
    train: np.ndarray,
    seed: int,
    ranks: Ranks = Ranks(),  # noqa: B008 - frozen
    device: torch.device | str = "cpu",
    key: str | None = None,
    cache: Path | None = None,
) -> Metric:
    """The metric that `config` asks for, its real images prepared; once a process where `key` names the data.

    held_out, train: uint8 (N, H, W, C). seed: one for all runs to be compared. key: for equal keys the
    images must be equal, as for `Images.fingerprint`. cache: folder in which features of the real images are
    kept for the next process.

    Raises: ConfigError for fewer than 16 images, for images that the metric cannot take, and for weights of
    a network that are missing.
    """
    device = torch.device(device)
    known = (config, key, seed, str(device))
    prepared = _prepared.pop(known, None) if key is not None else None
    if prepared is None:
        prepared = _prepare(config, held_out, train, seed, device, key, cache)
    if key is not None:
        _prepared[known] = prepared
        while len(_prepared) > _KEPT_REFERENCES:
            _prepared.popitem(last=False)
    return Metric(prepared, ranks)


def prepare_metric(config: GanConfig, images: Images) -> None:
    """Check before anybody trains that the run's quality can be measured, and fill the cache for the workers.

    Raises: ConfigError as `build_metric`.
    """
    check_sizes(len(images.train), len(images.held_out), config.data.source)
    if config.evaluation.metric != "swd":  # it keeps nothing
        metric_of_run(config, images, device="cuda" if torch.cuda.is_available() else "cpu")


def metric_of_run(
    config: GanConfig,
    images: Images,
    *,
    device: torch.device | str,
    ranks: Ranks = Ranks(),  # noqa: B008 - frozen
) -> Metric:
    """The metric with which a run of that configuration measures itself; see `build_metric`."""
    return build_metric(
        config.evaluation,
        held_out=images.held_out,
        train=images.train,
        # not the run's seed: trials of a sweep are compared by it
        seed=config.data.data_seed,
        ranks=ranks,
        device=device,
        key=images.fingerprint,
        cache=cache_folder(config.data),
    )


def _prepare(
    config: EvaluationConfig,
    held_out: np.ndarray,
    train: np.ndarray,
    seed: int,
    device: torch.device,
    key: str | None,
    cache: Path | None,
) -> Prepared:
    if config.metric == "swd":
        return SlicedWasserstein(config, held_out=held_out, train=train, seed=seed, device=device)
    kind = InceptionDistance if config.metric == "fid_inception" else CompactDistance
    return kind(config, held_out=held_out, train=train, device=device, key=key, cache=cache)
