"""Embedders: turn images into the feature vectors that distances between sets of images compare."""

from collections.abc import Sequence
from typing import Protocol

import torch
import torch.nn.functional as F

from common.device import has_fast_bf16
from common.errors import require
from perceptual.inception import load_inception
from perceptual.loading import FeatureNetwork, load_network

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
        """Identifies the vectors in caches: it contains the weights' hash and the preprocessing."""

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
        pictures = images.to(self._device).permute(0, 3, 1, 2).float().div_(255)
        if pictures.shape[1] == 1:
            pictures = pictures.expand(-1, 3, -1, -1)
        side = SIDES[max(pictures.shape[2:]) > SIDES[0]]
        if pictures.shape[2:] != (side, side):
            pictures = F.interpolate(
                pictures, (side, side), mode="bilinear", antialias=True, align_corners=False
            )
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self._device.type, self._dtype, enabled=self._dtype is not None):
            found = self._network(pictures, self._taps)
        means = [found[tap].mean(dim=(2, 3), dtype=torch.float32) for tap in self._taps]
        return torch.cat(means, dim=1).sqrt_()


def check_pictures(images: torch.Tensor) -> None:
    """Raise `ConfigError` unless images are uint8 (N, H, W, C) with C 1 or 3."""
    require(
        images.dtype == torch.uint8 and images.ndim == 4 and images.shape[3] in (1, 3),
        "features are taken from uint8 pictures (N, H, W, 1 or 3), "
        f"not {images.dtype} {tuple(images.shape)}; convert them",
    )


def load_embedder(name: str, *, weights: str | None = None, device: torch.device | str = "cpu") -> Embedder:
    """The embedder of that name: compact (shipped weights) or inception (FID's, Heusel et al. 2017).

    weights: a file; default: the shipped weights, or the cache and then a download.

    Raises: ConfigError for an unknown name, and for weights that are missing or broken.
    """
    require(name in ("compact", "inception"), f"--features must be compact or inception, not {name}")
    if name == "inception":
        return load_inception(weights, device)
    network = load_network("compact", weights=weights, last_tap=TAPS[-1], device=device)
    return CompactEmbedder(network, torch.device(device))
