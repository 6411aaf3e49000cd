"""The embedder with EfficientNet-Lite, which recognizes things where the compact network sees textures."""

import copy
from collections.abc import Sequence

import torch

from common.device import has_fast_bf16
from common.errors import require
from perceptual.lite import TAPS as ALL_TAPS
from perceptual.lite import LiteNetwork
from perceptual.pixels import check_pictures, in_colour

SIDES = (32, 48, 64, 96, 128)
SIDE, TAPS, ROOT = 64, ("head",), False  # the default vector
_VERSION = 1  # of the steps from pixels to vectors; a change invalidates cached vectors
_BATCH = 128


class LiteEmbedder:
    """Means of the network's activations over the picture, at one tap or several, one after another.

    side: all pictures are resized to it (bilinear, antialiased); grey is repeated. root: the square root of
    each mean, with its sign, which evens out the channels' variances.

    Raises: ConfigError for another side, or taps that the network does not have.
    """

    def __init__(
        self,
        network: LiteNetwork,
        device: torch.device,
        *,
        side: int = SIDE,
        taps: Sequence[str] = TAPS,
        root: bool = ROOT,
    ) -> None:
        require(side in SIDES, f"the side must be one of {', '.join(map(str, SIDES))}, not {side}")
        require(
            bool(taps) and set(taps) <= set(ALL_TAPS) and len(set(taps)) == len(taps),
            f"taps must be different ones of {', '.join(ALL_TAPS)}, not {', '.join(taps) or 'none'}",
        )
        self.name = network.variant
        self._device, self._side, self._taps, self._root = device, side, tuple(taps), root
        is_bf16 = has_fast_bf16(device)
        self.identity = (
            f"{self.name}-{network.digest[:16]}-v{_VERSION}-{side}-{'+'.join(self._taps)}{'-root' * root}"
        )
        self.key = f"{self.identity}-{'bf16' if is_bf16 else 'fp32'}"
        widths = network.widths()
        self.length = sum(widths[tap] for tap in self._taps)
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
        with torch.autocast(self._device.type, enabled=False):  # the caller's
            found = self._network(in_colour(images, self._side, self._device), self._taps)
        means = torch.cat([found[tap].mean(dim=(2, 3), dtype=torch.float32) for tap in self._taps], dim=1)
        return means.sign() * means.abs().sqrt() if self._root else means
