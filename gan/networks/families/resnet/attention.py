"""Self-attention over the pixels of a feature map."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.networks.normalization import SpectralConv2d

CHANNELS_A_DIMENSION = 8


class SelfAttention(nn.Module):
    """What each pixel takes from all others, added to the features by a learned weight that begins at 0.

    Zhang et al. 2019, "Self-attention generative adversarial networks", section 3: three 1x1 convolutions to
    an eighth of the channels give queries, keys and values, a fourth brings the result back; no biases, and
    no scale before the softmax. Keys and values are of all pixels; the authors' code pools them.
    Departure: spectral normalization only where the other layers of the network have it.

    The softmax over H * W pixels for each of them is not kept in memory, unless the gradient must be
    differentiated again.
    """

    def __init__(
        self, channels: int, *, is_spectral: bool = False, is_twice_differentiable: bool = False
    ) -> None:
        super().__init__()
        conv = SpectralConv2d if is_spectral else nn.Conv2d
        dimensions = max(1, channels // CHANNELS_A_DIMENSION)
        self.query, self.key, self.value = (conv(channels, dimensions, 1, bias=False) for _ in range(3))
        self.back = conv(dimensions, channels, 1, bias=False)
        self.strength = nn.Parameter(torch.zeros(()))
        self._attend = _attend_plainly if is_twice_differentiable else _attend

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        taken = self._attend(
            _rows(self.query(features)), _rows(self.key(features)), _rows(self.value(features))
        )
        pixels = taken.unflatten(1, features.shape[2:]).permute(0, 3, 1, 2)
        # the weight is fp32 also where the rest is half precision
        back: Tensor = self.back(pixels)
        return features + self.strength.to(back.dtype) * back


def _rows(features: Tensor) -> Tensor:
    """(N, D, H, W) -> (N, H * W, D), free in channels-last order."""
    return features.permute(0, 2, 3, 1).flatten(1, 2)


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Each (N, H * W, D); once differentiable."""
    # PyTorch's fast kernels want a dimension of heads
    query, key, value = (rows.unsqueeze(1) for rows in (query, key, value))
    return F.scaled_dot_product_attention(query, key, value, scale=1.0).squeeze(1)


def _attend_plainly(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Each (N, H * W, D); as often differentiable as asked for."""
    return torch.softmax(query @ key.mT, dim=-1) @ value
