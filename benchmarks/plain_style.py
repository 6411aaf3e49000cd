"""Baseline of the benchmarks: style transfer as commonly written, L-BFGS at one size in a loop."""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from perceptual.loading import FeatureNetwork
from styletransfer.config import StyleConfig
from styletransfer.transfer.scales import as_tensor, fitted, resized


def plain_lbfgs(
    content: np.ndarray, style: np.ndarray, config: StyleConfig, network: FeatureNetwork, evaluations: int
) -> tuple[float, float]:
    """Stylize the pair in float32; returns the final style loss and the seconds that it took.

    The objective is the configuration's own, so that losses can be compared. Pictures are (H, W, 3).
    """
    target, image = (as_tensor(picture) for picture in (content, style))
    target = resized(target, *fitted(*target.shape[2:], config.size)).contiguous()
    image = resized(image, *fitted(*image.shape[2:], config.size)).contiguous()
    began = time.monotonic()
    with torch.no_grad():
        wanted = {tap: gram(found) for tap, found in network(image, config.style_layers).items()}
        kept = network(target, config.content_layers)
    canvas = target.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [canvas],
        max_iter=evaluations,
        max_eval=evaluations,
        history_size=10,
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )
    losses = loss_function(network, config, wanted, kept)

    def closure() -> Tensor:
        optimizer.zero_grad()
        total, _ = losses(canvas)
        total = total * canvas.numel()  # otherwise the gradient is too small for a first step of 1
        total.backward()
        return total

    optimizer.step(closure)
    seconds = time.monotonic() - began
    with torch.no_grad():
        return float(losses(canvas.clamp(0, 1))[1]), seconds


def gram(features: Tensor) -> Tensor:
    """(1, C, H, W) -> (C, C), the mean over positions."""
    flat = features.flatten(2)[0]
    return flat @ flat.T / flat.shape[1]


def loss_function(
    network: FeatureNetwork, config: StyleConfig, wanted: dict[str, Tensor], kept: dict[str, Tensor]
) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """The function that returns the weighted sum and the style loss of a picture (1, 3, H, W)."""

    def distance(found: Tensor, target: Tensor) -> Tensor:
        return (found - target).square().sum() / target.square().sum()

    def losses(picture: Tensor) -> tuple[Tensor, Tensor]:
        found = network(picture, config.taps())
        style = torch.stack([distance(gram(found[tap]), wanted[tap]) for tap in wanted]).mean()
        content = torch.stack([distance(found[tap], kept[tap]) for tap in kept]).mean()
        down, across = picture[:, :, 1:] - picture[:, :, :-1], picture[..., 1:] - picture[..., :-1]
        variation = down.square().mean() + across.square().mean()
        weighted = config.content_weight * content + config.style_weight * style
        return weighted + config.tv_weight * variation, style

    return losses
