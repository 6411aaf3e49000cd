"""The embedder with EfficientNet-Lite, which recognizes things where the compact network sees textures."""

import copy
from collections.abc import Mapping

import torch

from common.device import has_fast_bf16
from common.errors import require
from perceptual.lite import TAPS, LiteNetwork
from perceptual.pixels import check_pictures, in_colour

SIDES = (48, 96)
"""Pictures of up to 32 pixels a side are enlarged to the first, others resized to the second."""
WEIGHTS = {"stage2": 0.5, "stage5": 0.2, "stage6": 0.2}
"""Edges and textures tell young generators apart, parts of things older ones (`benchmarks/objective.py`).
With equal weights the second stage would hardly count, since its activations vary less; with more than 2.5
times the others', 1,000 pictures no longer show that a class is missing (`benchmarks/metric_ranking.py`)."""
_SMALL = 32  # pixels
_VERSION = 2  # of the steps from pixels to vectors; a change invalidates cached vectors
_BATCH_PIXELS = 128 * 48**2  # with more a CPU's caches overflow: at 96 pixels 1.6 times as slow


class LiteEmbedder:
    """Means of the network's activations over the picture, at one tap or several, one after another.

    weights: by tap what its means are multiplied by. sides: for small pictures and for others, which are
    resized to it (bilinear, antialiased); grey is repeated.

    Raises: ConfigError for sides below 32, or taps that the network does not have.
    """

    def __init__(
        self,
        network: LiteNetwork,
        device: torch.device,
        *,
        sides: tuple[int, int] = SIDES,
        weights: Mapping[str, float] = WEIGHTS,
    ) -> None:
        require(min(sides) >= 32, f"both sides must be at least 32, not {min(sides)}; try 48")
        require(
            bool(weights) and set(weights) <= set(TAPS),
            f"taps must be among {', '.join(TAPS)}, not {', '.join(weights) or 'none'}",
        )
        self.name = network.variant
        self._device, self._sides, self._weights = device, sides, dict(weights)
        is_bf16 = has_fast_bf16(device)
        pixels = "-".join(map(str, dict.fromkeys(sides)))
        taps = "+".join(tap if weight == 1 else f"{weight:g}*{tap}" for tap, weight in weights.items())
        self.identity = f"{self.name}-{network.digest[:16]}-v{_VERSION}-{pixels}-{taps}"
        self.key = f"{self.identity}-{'bf16' if is_bf16 else 'fp32'}"
        widths = network.widths()
        self.length = sum(widths[tap] for tap in weights)
        # converted once: autocast would convert the weights for every batch
        dtype = torch.bfloat16 if is_bf16 else torch.float32
        self._network = copy.deepcopy(network).to(device, dtype).to(memory_format=torch.channels_last)

    @torch.no_grad()
    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Vectors float32 (N, D); see `Embedder.embed`."""
        check_pictures(images)
        if len(images) == 0:
            return torch.empty(0, self.length, device=self._device)
        side = self._sides[max(images.shape[1:3]) > _SMALL]
        parts = images.split(max(1, _BATCH_PIXELS // side**2))
        return torch.cat([self._embed(part, side) for part in parts])

    def _embed(self, images: torch.Tensor, side: int) -> torch.Tensor:
        with torch.autocast(self._device.type, enabled=False):  # the caller's
            found = self._network(in_colour(images, side, self._device), self._weights)
        means = [
            weight * found[tap].mean(dim=(2, 3), dtype=torch.float32) for tap, weight in self._weights.items()
        ]
        return torch.cat(means, dim=1)
