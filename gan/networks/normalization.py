"""Normalization layers where PyTorch's own cannot be used.

`SyncBatchNorm2d` because `torch.nn.SyncBatchNorm` refuses CPU tensors (torch 2.14); the spectral layers
because `torch.nn.utils.parametrizations` makes a new class for every layer, which `torch.compile` compiles
anew.
"""

from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from gan.networks import CriticNorm
    from gan.networks.config import NetworkConfig


class SyncBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm over the global batch: mean and variance of all ranks' shares, which are of equal size.

    With one process, or in evaluation, it is `nn.BatchNorm2d`. The default process group is used.
    """

    def forward(self, input: Tensor) -> Tensor:
        """input: (N, C, H, W) of any dtype; the statistics are computed in fp32."""
        if not self.training or not dist.is_initialized() or dist.get_world_size() == 1:
            return super().forward(input)
        world_size = dist.get_world_size()
        wide = input.float() if input.dtype in (torch.float16, torch.bfloat16) else input
        count = wide.numel() // wide.shape[1] * world_size
        mean = _sum_over_ranks(wide.sum((0, 2, 3))) / count
        centred = wide - mean[:, None, None]
        # the second pass avoids the cancellation of E[x^2] - E[x]^2
        variance = _sum_over_ranks(centred.square().sum((0, 2, 3))) / count
        self._track(mean.detach(), variance.detach() * (count / (count - 1)))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias[:, None, None], centred, scale[:, None, None]).to(input.dtype)

    def _track(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = 0.1 if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), momentum)
        self.running_var.lerp_(unbiased_variance.to(self.running_var.dtype), momentum)


def batch_norm(channels: int, config: "NetworkConfig") -> nn.BatchNorm2d:
    """BatchNorm as the settings ask for it: over the rank's share or over the global batch."""
    return SyncBatchNorm2d(channels) if config.sync_batch_norm else nn.BatchNorm2d(channels)


def discriminator_norm(channels: int, config: "NetworkConfig", norm: "CriticNorm") -> nn.Module:
    """The discriminator's normalization of features (N, C, H, W); none where its weights are normalized.

    norm: "layer" where its gradient is penalized (Gulrajani et al. 2017, section 4).
    """
    if config.spectral_norm:
        return nn.Identity()
    return nn.GroupNorm(1, channels) if norm == "layer" else batch_norm(channels, config)


class SpectralConv2d(nn.Conv2d):
    """A convolution whose weight has spectral norm 1 as a matrix of rows = output channels.

    Spectral normalization, Miyato et al. 2018, section 2 and algorithm 1: one power iteration a training
    pass, its vector kept in the buffer `u`.
    """

    u: Tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register_buffer("u", _first_direction(self.weight))

    def forward(self, input: Tensor) -> Tensor:
        """input: (N, C, H, W)."""
        weight = spectrally_normalized(self.weight, self.u, self.training)
        return F.conv2d(input, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class SpectralLinear(nn.Linear):
    """A linear layer whose weight has spectral norm 1; see `SpectralConv2d`."""

    u: Tensor

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.register_buffer("u", _first_direction(self.weight))

    def forward(self, input: Tensor) -> Tensor:
        """input: (N, features)."""
        return F.linear(input, spectrally_normalized(self.weight, self.u, self.training), self.bias)


def spectrally_normalized(weight: Tensor, u: Tensor, training: bool) -> Tensor:
    """weight over its largest singular value as `u` has it; in training `u` first moves one iteration."""
    matrix = weight.flatten(1)
    # in fp32: the quotient is the weight that trains
    with torch.autocast(weight.device.type, enabled=False):
        with torch.no_grad():
            v = F.normalize(matrix.mT @ u, dim=0)
            if training:
                u.copy_(F.normalize(matrix @ v, dim=0))
        # cloned: a later pass moves `u` again before this one's gradient is taken
        return weight / torch.dot(u.clone(), matrix @ v)


def _first_direction(weight: Tensor) -> Tensor:
    # any vector not orthogonal to the first singular one will do; a fixed one needs no random state
    return F.normalize(torch.linspace(1, 2, weight.shape[0]), dim=0)


class _SumOverRanks(torch.autograd.Function):
    """Sum over ranks whose gradient is summed over ranks too."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


def _sum_over_ranks(tensor: Tensor) -> Tensor:
    total: Tensor = _SumOverRanks.apply(tensor)
    return total
