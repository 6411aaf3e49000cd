"""Quality of a stylized picture, measured with layers and networks that it was not optimized for."""

import dataclasses
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from common.errors import require
from styletransfer.config import StatisticsName, StyleConfig
from styletransfer.transfer.colours import luminance
from styletransfer.transfer.features import Network, Reader
from styletransfer.transfer.scales import ImageArray, as_tensor, resized, style_sizes
from styletransfer.transfer.statistics import STATISTICS

# Wang et al. 2004, section III.C
_WINDOW, _SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quality:
    """Distances from the style, 0 for the style itself, and similarity to the content, 1 for the content.

    held_out_style: at layers of the picture's network that no loss uses. other_style: in another network.
    """

    held_out_style: float
    other_style: float
    content_ssim: float


def measure(
    picture: ImageArray,
    content: ImageArray,
    style: ImageArray,
    config: StyleConfig,
    *,
    network: Network,
    other_network: Network,
    device: torch.device | str = "cpu",
) -> Quality:
    """Quality of a picture that was stylized from content and style with this configuration.

    other_network: one that the picture was not optimized with, for example with random weights; it is read at
    the configuration's style layers.
    """
    own = as_tensor(picture, name="the stylized picture", device=device)
    content = resized(as_tensor(content, name="the content picture", device=device), *own.shape[2:])
    goal = as_tensor(style, name="the style picture", device=device)
    goal = resized(goal, *style_sizes(config, *goal.shape[2:])[-1])
    return Quality(
        held_out_style=style_distance(own, goal, network, held_out_taps(network, config)),
        other_style=style_distance(own, goal, other_network, config.style_layers),
        content_ssim=float(structural_similarity(luminance(own), luminance(content))[0]),
    )


def held_out_taps(network: Network, config: StyleConfig) -> tuple[str, ...]:
    """The taps that no loss uses, up to one beyond the deepest style layer.

    Raises: ConfigError when every tap is used.
    """
    last = max(network.taps.index(tap) for tap in config.style_layers)
    taps = tuple(tap for tap in network.taps[: last + 2] if tap not in config.taps())
    require(bool(taps), "every layer was optimized; leave some out of --style-layers to measure quality at")
    return taps


def style_distance(
    pictures: Tensor,
    style: Tensor,
    network: Network,
    taps: Sequence[str],
    *,
    statistics: StatisticsName = "gram",
) -> float:
    """Mean distance of statistics over taps, in float32; pictures and style (1, 3, H, W) in [0, 1]."""
    reader = Reader(network, taps, precision="fp32")
    found, wanted = reader.moments(pictures), reader.moments(style)
    distances = [STATISTICS[statistics](wanted[tap])(found[tap]).mean() for tap in reader.taps]
    return float(torch.stack(distances).mean())


def structural_similarity(first: Tensor, second: Tensor) -> Tensor:
    """SSIM of pictures (N, C, H, W) in [0, 1], the mean over channels and positions, (N,).

    Wang et al. 2004: Gaussian window of 11 x 11 with sigma 1.5, at positions where it is inside the picture;
    in smaller pictures the window is cut to their size. Population covariances, as in the paper.
    """
    filters = [_gaussian(min(_WINDOW, side), first) for side in first.shape[2:]]
    channels = first.shape[1]

    def blur(values: Tensor) -> Tensor:
        down = filters[0].view(1, 1, -1, 1).expand(channels, -1, -1, -1)
        across = filters[1].view(1, 1, 1, -1).expand(channels, -1, -1, -1)
        return F.conv2d(F.conv2d(values, down, groups=channels), across, groups=channels)

    mean1, mean2 = blur(first), blur(second)
    variance1 = blur(first * first) - mean1 * mean1
    variance2 = blur(second * second) - mean2 * mean2
    covariance = blur(first * second) - mean1 * mean2
    c1, c2 = _K1**2, _K2**2
    similarity = (2 * mean1 * mean2 + c1) * (2 * covariance + c2)
    similarity = similarity / ((mean1**2 + mean2**2 + c1) * (variance1 + variance2 + c2))
    return similarity.mean(dim=(1, 2, 3))


def _gaussian(length: int, like: Tensor) -> Tensor:
    positions = torch.arange(length, dtype=like.dtype, device=like.device) - (length - 1) / 2
    weights = torch.exp(-(positions**2) / (2 * _SIGMA**2))
    return weights / weights.sum()
