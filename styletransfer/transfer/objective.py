"""The objective at one size, the weighted sum of its terms, and its gradient with respect to the pixels.

With tiles, a first pass adds up the sums that the terms need over the whole picture. The gradient of the
objective with respect to these sums is then known, and a second pass carries it back to the pixels tile by
tile. The result is that of the whole picture without seams, with the memory of one tile.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from styletransfer.config import StyleConfig
from styletransfer.transfer.features import Network, Reader, cut
from styletransfer.transfer.losses import Losses, loss_terms
from styletransfer.transfer.scales import channels_last
from styletransfer.transfer.targets import ScaleTargets
from styletransfer.transfer.tiles import Tile

Sums = list[list[Tensor]]
"""What each term needs, in the order of the terms."""


class Evaluated(NamedTuple):
    """The objective at some pictures.

    terms: (N, T + 1), the terms of `names` and their weighted sum. gradient: like the pictures; of the sum
    times the number of pixels, so that its size does not depend on theirs.
    """

    names: tuple[str, ...]
    terms: Tensor
    gradient: Tensor

    def is_finite(self) -> bool:
        """Whether every term and the gradient are."""
        return bool(torch.isfinite(self.terms.sum() + self.gradient.sum()))

    def losses(self) -> list[Losses]:
        """The terms of each picture as numbers."""
        return _as_losses(self.names, self.terms)


class Objective:
    """Evaluates pictures (N, 1 or 3, height, width), each independently of the others.

    masks: (N or 1, K, height, width), where each style goes, from 0, nowhere, to 1; default: everywhere.
    share: of the style's weight, `style_share` at the final size.
    """

    def __init__(
        self,
        network: Network,
        config: StyleConfig,
        targets: ScaleTargets,
        *,
        height: int,
        width: int,
        masks: Tensor | None = None,
        share: Tensor | float = 1.0,
    ) -> None:
        self._reader = Reader(network, config.taps(), precision=config.precision, tile_px=config.tile)
        self._terms = loss_terms(
            config,
            targets,
            size=self._reader.padded_size(height, width),
            masks=None if masks is None else self._reader.padded(masks),
            share=share,
        )
        self._names = tuple(term.name for term in self._terms)

    def __call__(self, pictures: Tensor) -> Evaluated:
        """Evaluate pictures (N, C, H, W) in [0, 1]."""
        leaf = channels_last(pictures.detach()).requires_grad_()
        padded = self._reader.padded(leaf)
        tiles = self._reader.tiles(padded)
        of_pixels = [term.pixel_sums(leaf) for term in self._terms]
        if len(tiles) == 1:
            values, total = self._values(of_pixels, self._tile_sums(padded, tiles[0]))
            (gradient,) = torch.autograd.grad(total.sum(), leaf)
        else:
            seen = padded.detach()
            of_tiles = [[each.requires_grad_() for each in sums] for sums in self._summed(seen, tiles)]
            values, total = self._values(of_pixels, of_tiles)
            to_padded = self._gradient_by_tiles(seen, tiles, total.sum(), of_tiles)
            (gradient,) = torch.autograd.grad(total.sum() + (padded * to_padded).sum(), leaf)
        terms = torch.stack([*values, total], dim=1)
        return Evaluated(self._names, terms.detach(), gradient * leaf[0].numel())

    @torch.no_grad()
    def losses(self, pictures: Tensor) -> list[Losses]:
        """The losses alone, for less than half the work."""
        padded = self._reader.padded(channels_last(pictures))
        of_pixels = [term.pixel_sums(pictures) for term in self._terms]
        values, total = self._values(of_pixels, self._summed(padded, self._reader.tiles(padded)))
        return _as_losses(self._names, torch.stack([*values, total], dim=1))

    def _values(self, of_pixels: Sums, of_tiles: Sums) -> tuple[list[Tensor], Tensor]:
        """The value of each term and their weighted sum, all (N,)."""
        values = [
            term.value([*first, *second])
            for term, first, second in zip(self._terms, of_pixels, of_tiles, strict=True)
        ]
        first, *others = (term.weight * value for term, value in zip(self._terms, values, strict=True))
        return values, sum(others, start=first)

    def _tile_sums(self, seen: Tensor, tile: Tile) -> Sums:
        features = self._reader.read(seen, tile)
        return [term.tile_sums(features, tile) for term in self._terms]

    @torch.no_grad()
    def _summed(self, padded: Tensor, tiles: Sequence[Tile]) -> Sums:
        """The tile sums of the whole picture."""
        found = self._tile_sums(cut(padded, tiles[0]), tiles[0])
        for tile in tiles[1:]:
            more = self._tile_sums(cut(padded, tile), tile)
            found = [
                [whole + part for whole, part in zip(*both, strict=True)]
                for both in zip(found, more, strict=True)
            ]
        return found

    def _gradient_by_tiles(
        self, padded: Tensor, tiles: Sequence[Tile], total: Tensor, of_tiles: Sums
    ) -> Tensor:
        """The gradient of `total`, a function of the tile sums, with respect to the padded pictures."""
        slopes = torch.autograd.grad(total, _flat(of_tiles), retain_graph=True, allow_unused=True)
        gradient = torch.zeros_like(padded)
        for tile in tiles:
            seen = cut(padded, tile).clone(memory_format=torch.channels_last).requires_grad_()
            parts = _flat(self._tile_sums(seen, tile))
            used = [
                (part * slope).sum() for part, slope in zip(parts, slopes, strict=True) if slope is not None
            ]
            cut(gradient, tile).add_(torch.autograd.grad(sum(used[1:], start=used[0]), seen)[0])
        return gradient


def _flat(sums: Sums) -> list[Tensor]:
    return [each for of_term in sums for each in of_term]


def _as_losses(names: Sequence[str], terms: Tensor) -> list[Losses]:
    return [dict(zip((*names, "total"), row, strict=True)) for row in terms.tolist()]
