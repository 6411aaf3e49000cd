"""What a picture is drawn to at every scale, computed once: the content's features, the styles' moments."""

import torch
from torch import Tensor

from common.errors import ConfigError
from styletransfer.config import StyleConfig
from styletransfer.transfer.colours import luminance, match_lab, match_luminance
from styletransfer.transfer.features import Features, Network, Reader
from styletransfer.transfer.scales import Picture, as_tensor, plan, resized, style_sizes
from styletransfer.transfer.statistics import Moments

ContentTargets = list[Features]
"""One a scale, coarse to fine: the features of the content at its layers, (1, C, h, w)."""

StyleTargets = list[dict[str, Moments]]
"""One a scale, coarse to fine: the moments of the style at its layers, N = K = 1."""


def content_targets(
    content: Picture, config: StyleConfig, *, network: Network, device: torch.device | str = "cpu"
) -> ContentTargets:
    """What the content is recognized by, whatever the style.

    Raises: ConfigError for a picture that is none and a layer that the network does not have.
    """
    picture = as_tensor(content, name="the content picture", device=device)
    if config.colours == "luminance":
        picture = luminance(picture)
    reader = Reader(network, config.content_layers, precision=config.precision, tile_px=config.tile)
    height, width = picture.shape[2:]
    *coarser, finest = plan(config, height, width)
    picture = resized(picture, finest.height, finest.width)
    return [reader.features(resized(picture, scale.height, scale.width)) for scale in (*coarser, finest)]


def style_targets(
    style: Picture,
    config: StyleConfig,
    *,
    network: Network,
    content: Picture | None = None,
    device: torch.device | str = "cpu",
) -> StyleTargets:
    """What the style is recognized by; the same for every content unless `config.colours` keeps its colours.

    Raises: ConfigError for a picture that is none, for a layer that the network does not have, and for
    colours of a content that is not given.
    """
    picture = as_tensor(style, name="the style picture", device=device)
    *coarser, finest = style_sizes(config, *picture.shape[2:])
    picture = resized(picture, *finest)
    if config.colours != "style":
        if content is None:
            raise ConfigError(
                f"--colours {config.colours} fits each style to its content; give the content too"
            )
        picture = _recoloured(picture, as_tensor(content, name="the content picture", device=device), config)
    reader = Reader(network, config.style_layers, precision=config.precision, tile_px=config.tile)
    return [reader.moments(resized(picture, *size)) for size in (*coarser, finest)]


def _recoloured(style: Tensor, content: Tensor, config: StyleConfig) -> Tensor:
    content = resized(content, *plan(config, *content.shape[2:])[-1][:2])
    if config.colours == "lab":
        return match_lab(style, content)
    return match_luminance(luminance(style), luminance(content))
