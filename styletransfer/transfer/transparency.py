"""Continues pictures into their transparent parts, and picks the pixels that are seen."""

import torch.nn.functional as F
from torch import Tensor

_TINY = 1e-12
_SEEN = 0.5  # the opacity from which on a pixel counts for a palette


def filled(pictures: Tensor, alphas: Tensor) -> Tensor:
    """Pictures whose clear pixels continue the others smoothly, so that a network sees no edge there.

    What was stored in pixels of alpha 0 has no effect. pictures: (N, C, H, W), not multiplied by alpha;
    alphas: (N, 1, H, W) in [0, 1]. Push-pull, Gortler et al. 1996, "The Lumigraph", section 3.4.2: what is
    missing at one size is taken from the next smaller one.
    """
    is_seen = (alphas > 0).to(pictures.dtype)
    return _completed(pictures * is_seen, is_seen)


def _completed(colours: Tensor, weights: Tensor) -> Tensor:
    """Colours, multiplied by weights, completed to a weight of 1 by those of the picture of half the size."""
    height, width = colours.shape[2:]
    if height == width == 1:
        return colours / weights.clamp_min(_TINY)
    half = ((height + 1) // 2, (width + 1) // 2)
    smaller = _completed(F.adaptive_avg_pool2d(colours, half), F.adaptive_avg_pool2d(weights, half))
    behind = F.interpolate(smaller, (height, width), mode="bilinear", align_corners=False)
    return colours + (1 - weights) * behind


def seen_pixels(picture: Tensor, alpha: Tensor | None) -> Tensor:
    """The pixels of (1, C, H, W) that are not clear, (1, C, 1, P); the picture itself without any or alpha.

    alpha: (1, 1, H, W) in [0, 1].
    """
    if alpha is None:
        return picture
    is_seen = alpha[0, 0] > _SEEN
    return picture[:, :, is_seen].unsqueeze(2) if bool(is_seen.any()) else picture
