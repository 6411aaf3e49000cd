"""Optimization targets for each scale, computed once: the content's features and the styles' moments."""

from typing import NamedTuple

import torch
from torch import Tensor

from common.device import exact_float32
from common.errors import ConfigError, require
from styletransfer.config import StyleConfig
from styletransfer.transfer.colours import luminance, match_lab, match_luminance
from styletransfer.transfer.features import Features, Network, Reader
from styletransfer.transfer.moments import Moments
from styletransfer.transfer.scales import (
    ImageArray,
    as_tensor,
    content_scales,
    mask_tensor,
    resized,
    style_sizes,
)
from styletransfer.transfer.transparency import filled, seen_pixels

ContentTargets = list[Features]
"""One per scale, coarse to fine: the features of the content at its layers, (1, C, h, w)."""

StyleTargets = list[dict[str, Moments]]
"""One per scale, coarse to fine: the moments of the style at its layers, N = K = 1."""


class ScaleTargets(NamedTuple):
    """Targets of N pictures at one scale: content features (N, C, h, w), style moments (N, K, ...)."""

    content: Features
    styles: dict[str, Moments]

    @property
    def num_styles(self) -> int:
        """K."""
        return next(iter(self.styles.values())).mean.shape[1]


@exact_float32()
def content_targets(
    content: ImageArray, config: StyleConfig, *, network: Network, device: torch.device | str = "cpu"
) -> ContentTargets:
    """The features of a content picture at every scale; they do not depend on the style.

    Raises: ConfigError for an array that is not a picture and a layer that the network does not have.
    """
    picture = as_tensor(content, name="the content picture", device=device)
    if config.colours == "luminance":
        picture = luminance(picture)
    reader = Reader(network, config.content_layers, precision=config.precision, tile_px=config.tile)
    height, width = picture.shape[2:]
    *coarser, finest = content_scales(config, height, width)
    picture = resized(picture, finest.height, finest.width)
    return [reader.features(resized(picture, scale.height, scale.width)) for scale in (*coarser, finest)]


@exact_float32()
def style_targets(
    style: ImageArray,
    config: StyleConfig,
    *,
    network: Network,
    content: ImageArray | None = None,
    alpha: ImageArray | None = None,
    style_alpha: ImageArray | None = None,
    device: torch.device | str = "cpu",
) -> StyleTargets:
    """The moments of a style picture at every scale.

    They depend on the content only where `config.colours` keeps its colours. alpha: of the content, (H, W) in
    [0, 1]; None: opaque. style_alpha: of the style, by which its positions are weighted.

    Raises: ConfigError for an array that is not a picture, a layer that the network does not have, a style
    that is clear everywhere, and a missing content whose colours are to be kept.
    """
    picture = as_tensor(style, name="the style picture", device=device)
    opacity = None if style_alpha is None else _opacity(style_alpha, picture)
    if opacity is not None:
        picture = filled(picture, opacity)
    *coarser, finest = style_sizes(config, *picture.shape[2:])
    picture, opacity = resized(picture, *finest), _resized(opacity, finest)
    if config.colours != "style":
        if content is None:
            raise ConfigError(
                f"--colours {config.colours} fits each style to its content; give the content too"
            )
        seen = _seen_pixels(as_tensor(content, name="the content picture", device=device), alpha, config)
        picture = _recoloured(picture, seen_pixels(picture, opacity), seen, config)
    reader = Reader(network, config.style_layers, precision=config.precision, tile_px=config.tile)
    return [reader.moments(resized(picture, *size), _resized(opacity, size)) for size in (*coarser, finest)]


def _opacity(alpha: ImageArray, picture: Tensor) -> Tensor:
    """The alpha of a style as a tensor on its device, checked."""
    found = mask_tensor(alpha, name="a style's alpha", device=picture.device)
    height, width = picture.shape[2:]
    require(
        found.shape[2:] == picture.shape[2:],
        f"a style's alpha must have the shape of the style, {(height, width)}, not {tuple(found.shape[2:])}; "
        "resize it",
    )
    require(
        bool((found > 0).any()), "a style's alpha must not be 0 everywhere; give a style that can be seen"
    )
    return found


def _resized(alphas: Tensor | None, size: tuple[int, int]) -> Tensor | None:
    return None if alphas is None else resized(alphas, *size)


def _seen_pixels(content: Tensor, alpha: ImageArray | None, config: StyleConfig) -> Tensor:
    """The content at its last size, (1, 3, H, W); with alpha, its pixels that are not clear, (1, 3, 1, P)."""
    finest = content_scales(config, *content.shape[2:])[-1]
    content = resized(content, finest.height, finest.width)
    if alpha is None:
        return content
    opacity = resized(mask_tensor(alpha, name="alpha", device=content.device), finest.height, finest.width)
    return seen_pixels(content, opacity)


def _recoloured(style: Tensor, style_seen: Tensor, content_seen: Tensor, config: StyleConfig) -> Tensor:
    """The style with the content's palette; both palettes are those of the pixels that are seen."""
    if config.colours == "lab":
        return match_lab(style, content_seen, style_seen)
    return match_luminance(luminance(style), luminance(content_seen), luminance(style_seen))
