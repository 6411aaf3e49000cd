"""The embedder with EfficientNet-Lite, which recognizes things where the compact network sees textures."""

import copy
from collections.abc import Sequence

import torch

from common.device import has_fast_bf16
from common.errors import require
from perceptual.lite import TAPS as ALL_TAPS
from perceptual.lite import LiteNetwork
from perceptual.pixels import check_pictures, in_colour

SIDES = (48, 96)
"""Pictures of up to 32 pixels a side are enlarged to the first, others resized to the second."""
TAPS = ("stage2", "stage5", "stage6")
"""Edges and textures tell young generators apart, parts of things older ones."""
_SMALL = 32  # pixels
_VERSION = 2  # of the steps from pixels to vectors; a change invalidates cached vectors
_BATCH = 128


class LiteEmbedder:
    """Means of the network's activations over the picture, at one tap or several, one after another.

    Taps are compared each by itself (`parts`): their activations differ in size, so that in one Gaussian the
    largest would decide alone.

    sides: for small pictures and for others, to which they are resized (bilinear, antialiased); grey is
    repeated.

    Raises: ConfigError for sides below 32, or taps that the network does not have.
    """

    def __init__(
        self,
        network: LiteNetwork,
        device: torch.device,
        *,
        sides: tuple[int, int] = SIDES,
        taps: Sequence[str] = TAPS,
    ) -> None:
        require(min(sides) >= 32, f"both sides must be at least 32, not {min(sides)}; try 48")
        require(
            bool(taps) and set(taps) <= set(ALL_TAPS) and len(set(taps)) == len(taps),
            f"taps must be different ones of {', '.join(ALL_TAPS)}, not {', '.join(taps) or 'none'}",
        )
        self.name = network.variant
        self._device, self._sides, self._taps = device, sides, tuple(taps)
        is_bf16 = has_fast_bf16(device)
        pixels = "-".join(map(str, dict.fromkeys(sides)))
        self.identity = f"{self.name}-{network.digest[:16]}-v{_VERSION}-{pixels}-{'+'.join(self._taps)}"
        self.key = f"{self.identity}-{'bf16' if is_bf16 else 'fp32'}"
        widths = network.widths()
        self.parts = tuple(widths[tap] for tap in self._taps)
        self.length = sum(self.parts)
        # converted once: autocast would convert the weights for every batch
        dtype = torch.bfloat16 if is_bf16 else torch.float32
        self._network = copy.deepcopy(network).to(device, dtype).to(memory_format=torch.channels_last)

    @torch.no_grad()
    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Vectors float32 (N, D); see `Embedder.embed`."""
        check_pictures(images)
        if len(images) == 0:
            return torch.empty(0, self.length, device=self._device)
        return torch.cat([self._embed(part) for part in images.split(_BATCH)])

    def _embed(self, images: torch.Tensor) -> torch.Tensor:
        side = self._sides[max(images.shape[1:3]) > _SMALL]
        with torch.autocast(self._device.type, enabled=False):  # the caller's
            found = self._network(in_colour(images, side, self._device), self._taps)
        return torch.cat([found[tap].mean(dim=(2, 3), dtype=torch.float32) for tap in self._taps], dim=1)
