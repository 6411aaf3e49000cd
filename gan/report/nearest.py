"""Which training pictures samples are nearest to, and how near, for a look at whether a generator copies."""

import dataclasses
import functools

import numpy as np
import torch

from gan.config import GanConfig
from gan.data.cache import cache_folder
from gan.data.images import Images, mirrored, mirrored_where
from gan.metrics.feature_distance import embed_all, embedded_batches
from gan.metrics.prdc import memorization_ratio, nearest_distances
from gan.metrics.reference import evenly, remembered_features
from perceptual.embedding import Embedder, load_embedder

NETWORK = "lite0"
NEIGHBOURS = 3
_BLOCK = 16_384  # training pictures that are compared with at once
MOST_HELD_OUT = 1000
"""Held-out pictures that say how far from the training pictures new ones are."""


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbours:
    """Pictures, each with the training pictures that are nearest to it."""

    pictures: np.ndarray
    """uint8 (N, 1 + NEIGHBOURS, H, W, C): the picture itself, then the nearest ones, the nearest first."""
    distances: tuple[float, ...]
    """Of each to its nearest, over the median of what it is for held-out pictures: near 1 for a new picture,
    near 0 for a copy."""


@dataclasses.dataclass(frozen=True, eq=False)
class Comparison:
    """How samples lie to the training pictures, in the features of the shipped network."""

    samples: Neighbours
    held_out: Neighbours
    """For reference: real pictures that the run has not trained on."""
    memorization: float
    """`memorization_ratio` of many samples."""
    memorization_noise: float
    """That of held-out pictures."""
    searched: int
    """Training pictures among which the nearest were looked for: all, or so many at equal distances. Where
    mirror images were shown, among theirs, too."""


def compare(
    samples: np.ndarray,
    images: Images,
    config: GanConfig,
    *,
    shown: int,
    shown_held_out: int,
    most_searched: int | None,
    device: torch.device,
) -> Comparison:
    """Compare samples, uint8 (N, H, W, C), with the training pictures.

    shown: samples, the first ones, of which the nearest pictures are wanted; shown_held_out: the same of
    held-out ones, spread evenly. most_searched: look among so many training pictures; None: among all.
    """
    embedder = load_embedder(NETWORK, device=device)
    count = min(len(images.train), most_searched or len(images.train))
    searched = evenly(np.arange(len(images.train)), count)
    train = _train_features(embedder, images, config, searched)
    held_out_pictures = evenly(images.held_out, MOST_HELD_OUT)
    held_out, found = embed_all(embedder, held_out_pictures), embed_all(embedder, samples)
    distances = nearest_distances(held_out, train)
    unit = float(distances.median()) or 1.0
    near = functools.partial(_neighbours, images=images, searched=searched, train=train, unit=unit)
    places = evenly(np.arange(len(held_out)), shown_held_out)
    half = len(held_out) // 2 or 1
    return Comparison(
        samples=near(found[:shown], samples[:shown]),
        held_out=near(held_out[torch.from_numpy(places)], held_out_pictures[places]),
        memorization=memorization_ratio(found, train, held_out, held_out_distances=distances),
        memorization_noise=memorization_ratio(
            held_out[:half], train, held_out[half:] if len(held_out) > 1 else held_out
        ),
        searched=count,
    )


def _train_features(
    embedder: Embedder, images: Images, config: GanConfig, searched: np.ndarray
) -> torch.Tensor:
    """Features of the training pictures at these places, kept in the cache of the data set.

    (M, D), and where mirror images were shown those of the mirror images after them, (2 M, D).
    """
    count = len(searched)
    is_all = count == len(images.train)
    pictures = images.train if is_all else images.train[searched]
    parts = {"train": pictures} | ({"mirrored": mirrored(pictures)} if images.flip else {})
    features = [
        remembered_features(
            cache_folder(config.data),
            # of all: the same file as that of `gan evaluate`
            [images.fingerprint, embedder.key, *(["all", part] if is_all else ["evenly", part, str(count)])],
            (count, embedder.length),
            functools.partial(embedded_batches, embedder, shown),
        )
        for part, shown in parts.items()
    ]
    return features[0] if len(features) == 1 else torch.cat(features)


def _neighbours(
    features: torch.Tensor,
    own: np.ndarray,
    *,
    images: Images,
    searched: np.ndarray,
    train: torch.Tensor,
    unit: float,
) -> Neighbours:
    distances, places = _nearest(features, train, min(NEIGHBOURS, len(train)))
    rows = [
        np.concatenate([picture[None], _pictures(images, searched, np.asarray(row))])
        for picture, row in zip(own, places, strict=True)
    ]
    return Neighbours(np.stack(rows), tuple(float(row[0]) / unit for row in distances))


def _pictures(images: Images, searched: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The pictures whose features `_train_features` has at these places."""
    are_mirrored, which = np.divmod(places, len(searched))
    return mirrored_where(are_mirrored > 0, images.train[searched[which]])


def _nearest(features: torch.Tensor, points: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Distances of each vector to its k nearest points, ascending, and their places: both (N, k)."""
    wide = features.double()  # fp32 would lose the distance of near copies
    distances, places = wide.new_empty(len(features), 0), torch.empty(len(features), 0, dtype=torch.long)
    for start in range(0, len(points), _BLOCK):
        block = torch.cdist(wide, points[start : start + _BLOCK].double())
        distances = torch.cat([distances, block], dim=1)
        places = torch.cat([places, torch.arange(start, start + block.shape[1]).expand_as(block)], dim=1)
        distances, chosen = distances.topk(min(k, distances.shape[1]), largest=False)
        places = places.gather(1, chosen)
    return distances, places
