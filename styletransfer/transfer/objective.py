"""The weighted sum of content, style and variation at one size, and its gradient; not how it is lowered.

With tiles, a first pass adds up the styles' moments over the whole picture; the style's gradient with respect
to them is then known, and a second pass takes it back to the pixels tile by tile. The result is that of the
whole picture: no seams, and no memory for more than one tile.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from styletransfer.config import StyleConfig
from styletransfer.transfer.features import Features, Network, Reader, cut, places
from styletransfer.transfer.losses import ContentLoss, Losses, total_variation
from styletransfer.transfer.scales import channels_last
from styletransfer.transfer.statistics import DISTANCES, Moments, moments
from styletransfer.transfer.tiles import Tile, stride_of

_TINY = 1e-12  # the sum of a mask that is black everywhere


class Evaluation(NamedTuple):
    """terms: (N, 4), content, style, variation and their weighted sum; gradient: like the pictures.

    The gradient is that of the sum times the number of pixels, so that its size does not depend on theirs.
    """

    terms: Tensor
    gradient: Tensor

    def is_finite(self) -> bool:
        """Whether every term and the gradient are."""
        return bool(torch.isfinite(self.terms.sum() + self.gradient.sum()))

    def losses(self) -> list[Losses]:
        """The terms of each picture as numbers."""
        return [
            Losses(content=content, style=style, variation=variation, total=total)
            for content, style, variation, total in self.terms.tolist()
        ]


class Objective:
    """What `num_pictures` pictures (N, 1 or 3, H, W) of one size are judged by, each for itself.

    content: features (N, C, h, w) by tap. styles: moments by tap, (N, K, ...) for K styles.
    masks: (N or 1, K, H, W), where each style goes, from 0, nowhere, to 1; default: everywhere.
    """

    def __init__(
        self,
        network: Network,
        config: StyleConfig,
        *,
        height: int,
        width: int,
        content: Features,
        styles: Mapping[str, Moments],
        masks: Tensor | None = None,
    ) -> None:
        self._config = config
        self._content_shares = config.layer_shares("content")
        self._style_shares = config.layer_shares("style")
        self._content = {tap: ContentLoss(content[tap]) for tap in self._content_shares}
        make = DISTANCES[config.statistics]
        self._style = {tap: make(styles[tap]) for tap in self._style_shares}
        some = next(iter(styles.values()))
        self._blend = some.mean.new_tensor(config.blend(some.mean.shape[1]))
        self._reader = Reader(network, config.taps(), precision=config.precision, tile_px=config.tile)
        self._weights = self._position_weights(height, width, masks)

    def __call__(self, pictures: Tensor) -> Evaluation:
        """Judge pictures (N, C, H, W) in [0, 1]."""
        leaf = channels_last(pictures.detach()).requires_grad_()
        padded = self._reader.padded(leaf)
        tiles = self._reader.tiles(padded)
        variation = total_variation(leaf, self._config.tv)
        if len(tiles) == 1:
            content, found = self._look(padded, tiles[0])
            style = self._style_distance(found)
            total = self._total(content, style, variation)
            (gradient,) = torch.autograd.grad(total.sum(), leaf)
        else:
            content, style, to_padded = self._look_twice(padded.detach(), tiles)
            total = self._total(content, style, variation)
            end = self._config.tv_weight * variation.sum() + (padded * to_padded).sum()
            (gradient,) = torch.autograd.grad(end, leaf)
        terms = torch.stack([content, style, variation, total], dim=1)
        return Evaluation(terms.detach(), gradient * leaf[0].numel())

    @torch.no_grad()
    def judge(self, pictures: Tensor) -> list[Losses]:
        """The losses alone, for less than half the work."""
        padded = self._reader.padded(channels_last(pictures))
        content, found = self._look_once(padded, self._reader.tiles(padded))
        style, variation = self._style_distance(found), total_variation(pictures, self._config.tv)
        terms = torch.stack([content, style, variation, self._total(content, style, variation)], dim=1)
        return Evaluation(terms, pictures).losses()

    def _total(self, content: Tensor, style: Tensor, variation: Tensor) -> Tensor:
        weighted = self._config
        return (
            weighted.content_weight * content + weighted.style_weight * style + weighted.tv_weight * variation
        )

    def _style_distance(self, found: Mapping[str, Moments]) -> Tensor:
        """(N,): over layers and styles, each with its share."""
        parts = [share * self._style[tap](found[tap]) for tap, share in self._style_shares.items()]
        return (torch.stack(parts).sum(dim=0) * self._blend).sum(dim=1)

    def _look(self, padded: Tensor, tile: Tile) -> tuple[Tensor, dict[str, Moments]]:
        """What a tile contributes to the content loss, (N,), and to the moments."""
        features = self._reader.read(padded, tile)
        content = padded.new_zeros(len(padded))
        for tap, share in self._content_shares.items():
            rows, columns = places(tile, tap)
            content = content + share * self._content[tap](features[tap], rows.start, columns.start)
        found: dict[str, Moments] = {}
        for tap in self._style_shares:
            weights = self._weights[tap]
            rows, columns = places(tile, tap)
            part = weights[:, :, rows, columns] if isinstance(weights, Tensor) else weights
            found[tap] = moments(features[tap], part)
        return content, found

    @torch.no_grad()
    def _look_once(self, padded: Tensor, tiles: Sequence[Tile]) -> tuple[Tensor, dict[str, Moments]]:
        """The content loss, (N,), and the moments of the whole picture."""
        content, found = self._look(cut(padded, tiles[0]), tiles[0])
        for tile in tiles[1:]:
            more, parts = self._look(cut(padded, tile), tile)
            content = content + more
            found = {tap: found[tap] + part for tap, part in parts.items()}
        return content, found

    def _look_twice(self, padded: Tensor, tiles: Sequence[Tile]) -> tuple[Tensor, Tensor, Tensor]:
        """Content and style, (N,), of the whole picture, and the gradient of their weighted sum."""
        content, found = self._look_once(padded, tiles)
        leaves = {tap: Moments(*(part.requires_grad_() for part in found[tap])) for tap in found}
        style = self._style_distance(leaves)
        flat = [part for tap in leaves for part in leaves[tap]]
        slopes = torch.autograd.grad(self._config.style_weight * style.sum(), flat, allow_unused=True)

        gradient = torch.zeros_like(padded)
        for tile in tiles:
            seen = cut(padded, tile).clone(memory_format=torch.channels_last).requires_grad_()
            more, parts = self._look(seen, tile)
            end = self._config.content_weight * more.sum()
            for part, slope in zip((part for tap in parts for part in parts[tap]), slopes, strict=True):
                if slope is not None:
                    end = end + (part * slope).sum()
            cut(gradient, tile).add_(torch.autograd.grad(end, seen)[0])
        return content, style.detach(), gradient

    def _position_weights(self, height: int, width: int, masks: Tensor | None) -> dict[str, Tensor | float]:
        """What each position of each style layer counts for; they add up to 1 wherever a style goes."""
        size = self._reader.padded(torch.empty(1, 1, height, width, device="meta")).shape[2:]
        weights: dict[str, Tensor | float] = {}
        for tap in self._style_shares:
            stride = stride_of(tap)
            if masks is None:
                weights[tap] = 1 / ((size[0] // stride) * (size[1] // stride))
            else:
                # as the network shrinks the picture, so that a position counts for what is seen there
                shrunk = F.avg_pool2d(self._reader.padded(masks), stride)
                weights[tap] = shrunk / shrunk.sum(dim=(2, 3), keepdim=True).clamp_min(_TINY)
        return weights
