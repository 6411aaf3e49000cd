"""Embedders: turn images into the feature vectors that distances between sets of images compare."""

from collections.abc import Sequence
from typing import Protocol

import torch

from common.device import has_fast_bf16
from common.errors import require
from perceptual.inception import load_inception
from perceptual.lite import load_lite
from perceptual.lite_embedding import LiteEmbedder
from perceptual.loading import FeatureNetwork, load_network
from perceptual.pixels import check_pictures, in_colour

NAMES = ("compact", "lite0", "inception")
SIDES = (32, 64)
TAPS = ("relu2_2", "relu3_2", "relu4_2", "relu5_2")
_VERSION = 3  # of the steps from pixels to vectors; a change invalidates cached vectors
_BATCH = 128


class Embedder(Protocol):
    """A fixed function from images to vectors."""

    @property
    def name(self) -> str:
        """Short, for the names of metrics: compact or inception."""

    @property
    def key(self) -> str:
        """Identifies the vectors in caches: it has the weights' hash, the preprocessing and the precision."""

    @property
    def identity(self) -> str:
        """Identifies the measure, on whatever machine: the key without the precision."""

    @property
    def length(self) -> int:
        """D, the length of a vector."""

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Vectors float32 (N, D) on the embedder's device, for uint8 (N, H, W, C) with C 1 or 3.

        Raises: ConfigError for images of another type or shape.
        """


class CompactEmbedder:
    """Square roots of the compact network's mean activations over the image, at several depths.

    The square root evens out the channels' variances. Without it a few channels that are rarely active
    dominate, and a grey image counts as closer to photographs than the first blobs of a generator. Neither
    the deepest layer alone nor features divided by the data's own spread rank better
    (`benchmarks/metric_ranking.py`).

    Images of up to 32 pixels a side are resized to 32 x 32, others to 64 x 64 (bilinear, antialiased); grey
    is repeated. Enlarging CIFAR-10 to 48 or 64 pixels takes 2 to 5 times as long and does not help: the
    accuracy of a linear probe is 78.0 % at 32, 78.4 % at 48 and 76.3 % at 64.
    """

    name = "compact"

    def __init__(self, network: FeatureNetwork, device: torch.device, taps: Sequence[str] = TAPS) -> None:
        self._network, self._device, self._taps = network, device, tuple(taps)
        self._dtype = torch.bfloat16 if has_fast_bf16(device) else None
        precision = "bf16" if self._dtype else "fp32"
        self.identity = f"{self.name}-{network.digest[:16]}-v{_VERSION}-{'+'.join(self._taps)}"
        self.key = f"{network.name}-{network.digest}-v{_VERSION}-{'+'.join(self._taps)}-{precision}"
        probe = network(torch.zeros(1, 3, SIDES[0], SIDES[0], device=device), self._taps)
        self.length = sum(probe[tap].shape[1] for tap in self._taps)

    @torch.no_grad()
    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Vectors float32 (N, D); see `Embedder.embed`."""
        check_pictures(images)
        parts = [self._embed(part) for part in images.split(_BATCH)]
        return torch.cat(parts) if parts else torch.empty(0, self.length, device=self._device)

    def _embed(self, images: torch.Tensor) -> torch.Tensor:
        side = SIDES[max(images.shape[1:3]) > SIDES[0]]
        pictures = in_colour(images, side, self._device)
        with torch.autocast(self._device.type, self._dtype, enabled=self._dtype is not None):
            found = self._network(pictures, self._taps)
        means = [found[tap].mean(dim=(2, 3), dtype=torch.float32) for tap in self._taps]
        return torch.cat(means, dim=1).sqrt_()


def load_embedder(name: str, *, weights: str | None = None, device: torch.device | str = "cpu") -> Embedder:
    """The embedder of that name: compact or lite0, which are shipped, or inception (FID's).

    weights: a file; default: the shipped weights, for inception the cache and then a download.

    Raises: ConfigError for an unknown name, and for weights that are missing or broken.
    """
    require(name in NAMES, f"--features must be {', '.join(NAMES[:-1])} or {NAMES[-1]}, not {name}")
    if name == "inception":
        return load_inception(weights, device)
    if name == "lite0":
        return LiteEmbedder(load_lite(name, weights=weights, device=device), torch.device(device))
    network = load_network("compact", weights=weights, last_tap=TAPS[-1], device=device)
    return CompactEmbedder(network, torch.device(device))
