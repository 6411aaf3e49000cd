"""Reads the features of pictures from a network, whole or tile by tile."""

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from common.device import autocast_dtype
from common.errors import require
from common.settings import Precision
from perceptual.network import FeatureNetwork
from styletransfer.transfer.moments import Moments, moments
from styletransfer.transfer.tiles import Tile, reach, stride_of, tiles_of

_TINY = 1e-12
Features = dict[str, Tensor]
"""Activations (N, C, h, w) by tap."""


class Network(Protocol):
    """A frozen feature network, as `perceptual.loading.load_network` gives it."""

    @property
    def taps(self) -> Sequence[str]:
        """Names of its activations, in order, one a convolution."""

    def __call__(self, images: Tensor, taps: Iterable[str]) -> Features:
        """Activations for images (N, 3, H, W) in [0, 1]."""


class Reader:
    """Reads a picture's features at some taps, in tiles of `tile_px` pixels a side or whole for 0.

    Pictures are (N, 1 or 3, H, W) in [0, 1]; grey is read as RGB with three equal channels. The project's
    networks mirror what they read at the border, so that it has the statistics of the inside. A picture
    smaller than one position of the deepest tap is padded with its border pixels.

    Raises: ConfigError for a tap that the network does not have.
    """

    def __init__(
        self, network: Network, taps: Iterable[str], *, precision: Precision, tile_px: int = 0
    ) -> None:
        self._network = network.padded_by("reflect") if isinstance(network, FeatureNetwork) else network
        self._precision, self._tile_px = precision, tile_px
        self.taps = tuple(taps)
        for tap in self.taps:
            require(
                tap in network.taps,
                f"{tap} is not a layer of the network; choose among {', '.join(network.taps)}",
            )
        self._stride = max(stride_of(tap) for tap in self.taps)
        self._margin = reach(network.taps, self.taps)

    def padded_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width after padding."""
        return max(height, self._stride), max(width, self._stride)

    def padded(self, pictures: Tensor) -> Tensor:
        """Pictures as the network is given them, at least one position of every tap large."""
        height, width = pictures.shape[2:]
        padded_height, padded_width = self.padded_size(height, width)
        below, right = padded_height - height, padded_width - width
        return F.pad(pictures, (0, right, 0, below), mode="replicate") if below or right else pictures

    def tiles(self, padded: Tensor) -> list[Tile]:
        """The tiles of padded pictures."""
        height, width = padded.shape[2:]
        return tiles_of(height, width, self._tile_px, margin=self._margin, stride=self._stride)

    def read(self, seen: Tensor, tile: Tile) -> Features:
        """The features of a tile. seen: the tile with its margin, as `cut` returns it."""
        device = seen.device
        dtype = autocast_dtype(self._precision, device)
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            found = self._network(seen.expand(-1, 3, -1, -1), self.taps)
        return {tap: _own(found[tap], tile, stride_of(tap)) for tap in self.taps}

    @torch.no_grad()
    def features(self, pictures: Tensor) -> Features:
        """The features of whole pictures."""
        padded = self.padded(pictures)
        found: Features = {}
        for tile in self.tiles(padded):
            for tap, part in self.read(cut(padded, tile), tile).items():
                if tap not in found:
                    height, width = (side // stride_of(tap) for side in padded.shape[2:])
                    found[tap] = part.new_empty(*part.shape[:2], height, width)
                rows, columns = places(tile, tap)
                found[tap][:, :, rows, columns] = part
        return found

    @torch.no_grad()
    def moments(self, pictures: Tensor, weights: Tensor | None = None) -> dict[str, Moments]:
        """The moments of whole pictures by tap, K = 1.

        weights: of the pixels, (N or 1, 1, H, W) in [0, 1], such as their alpha; None: all count alike.
        """
        padded = self.padded(pictures)
        size, masks = padded.shape[2:], None if weights is None else self.padded(weights)
        of_positions = {tap: position_weights(tap, size, masks) for tap in self.taps}
        found: dict[str, Moments] = {}
        for tile in self.tiles(padded):
            for tap, part in self.read(cut(padded, tile), tile).items():
                share = moments(part, weights_within(of_positions[tap], tile, tap))
                found[tap] = found[tap] + share if tap in found else share
        return found


def cut(padded: Tensor, tile: Tile) -> Tensor:
    """The part of padded pictures that the tile needs: itself and its margin."""
    return padded[:, :, slice(*tile.seen_rows), slice(*tile.seen_columns)]


def places(tile: Tile, tap: str) -> tuple[slice, slice]:
    """Rows and columns of the tile's features within those of the whole picture."""
    stride = stride_of(tap)
    return slice(*tile.rows.over(stride)), slice(*tile.columns.over(stride))


def at_tap(tap: str, masks: Tensor) -> Tensor:
    """Masks (N, K, H, W) at the tap's positions: the mean over the pixels of each."""
    return F.avg_pool2d(masks, stride_of(tap))  # as the network shrinks the picture


def position_weights(tap: str, size: Sequence[int], masks: Tensor | None) -> Tensor | float:
    """The weight of each position of a layer in a picture of this size; they add up to 1 for every mask.

    size: (height, width). masks: (N, K, *size); one that is black everywhere gives no weight to any.
    """
    if masks is None:
        stride = stride_of(tap)
        return 1 / ((size[0] // stride) * (size[1] // stride))
    shrunk = at_tap(tap, masks)
    return shrunk / shrunk.sum(dim=(2, 3), keepdim=True).clamp_min(_TINY)


def weights_within(weights: Tensor | float, tile: Tile, tap: str) -> Tensor | float:
    """Those of the tile's positions."""
    if not isinstance(weights, Tensor):
        return weights
    rows, columns = places(tile, tap)
    return weights[:, :, rows, columns]


def _own(features: Tensor, tile: Tile, stride: int) -> Tensor:
    rows = tile.rows.over(stride).within(tile.seen_rows.over(stride))
    columns = tile.columns.over(stride).within(tile.seen_columns.over(stride))
    return features[:, :, rows, columns]
