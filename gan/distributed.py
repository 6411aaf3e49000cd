"""The processes (ranks) that share one run: the part of each, and sums over all."""

import dataclasses

import torch
import torch.distributed as dist
from torch import Tensor, nn

LARGE = 65_536
"""Number of elements from which on a gradient is reduced by itself."""


@dataclasses.dataclass(frozen=True)
class Ranks:
    """This process among those of the run, alone by default; with more, torch.distributed is initialised."""

    rank: int = 0
    world_size: int = 1

    def share(self, total: int) -> slice:
        """This rank's contiguous part of `total` things; the parts cover all and differ by at most one."""
        return slice(total * self.rank // self.world_size, total * (self.rank + 1) // self.world_size)

    def summed(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum of all ranks' tensors, on the CPU, the same bits on every rank."""
        if self.world_size == 1:
            return tensor.cpu()
        total = tensor.to("cuda" if dist.get_backend() == "nccl" else "cpu", copy=True)
        dist.all_reduce(total)
        return total.cpu()

    def largest(self, *values: float, device: torch.device) -> list[float]:
        """The largest of all ranks, for each value; device: where the backend reduces."""
        found = torch.tensor(values, dtype=torch.float64, device=device)
        if self.world_size > 1:
            dist.all_reduce(found, op=dist.ReduceOp.MAX)
        return found.tolist()

    def of_first(self, values: dict[str, float]) -> dict[str, float]:
        """The first rank's values on every rank, since equal computations may differ in the last bit."""
        own = torch.tensor(list(values.values()), dtype=torch.float64)
        if self.rank > 0:
            own.zero_()
        return dict(zip(values, self.summed(own).tolist(), strict=True))


def is_loss_of_a_peer(error: BaseException) -> bool:
    """Whether a collective failed because another rank is gone, which is not the fault of what was trained.

    Or because the process group is gone: Ray Train dissolves it, while a worker may be in it, before it takes
    the workers off a node whose end is announced.
    """
    if isinstance(error, ValueError):
        return "process group has not been initialized" in str(error)
    # gloo's errors have no type of their own in torch 2.14, but name its source file
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo/" in str(error))


class Reduction:
    """Sums the gradients of a network over ranks, for one backward pass or several that add up.

    The reduction of a large gradient starts as soon as it is complete, during the backward pass; all small
    ones are reduced as one tensor at the end, with the step's statistics. Gradients are completed in the same
    order on every rank.
    """

    def __init__(self, network: nn.Module, world_size: int) -> None:
        self._parameters, self._world_size = list(network.parameters()), world_size
        self.is_last = True
        """Whether the next backward pass completes the gradients, which may then be sent."""
        self._works: list[dist.Work] = []
        self._hooks = [
            parameter.register_post_accumulate_grad_hook(self._send)
            for parameter in self._parameters
            if world_size > 1 and parameter.numel() >= LARGE
        ]

    @torch.no_grad()
    def _send(self, parameter: Tensor) -> None:
        if not self.is_last:
            return
        assert parameter.grad is not None
        self._works.append(dist.all_reduce(as_stored(parameter.grad), async_op=True))

    def finish(self, stats: Tensor) -> Tensor:
        """Wait for the sums; returns the mean of `stats` over ranks."""
        if self._world_size == 1:
            return stats
        for hook in self._hooks:
            hook.remove()
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        small = [gradient for gradient in gradients if gradient.numel() < LARGE]
        stats = sum_over_ranks(small, stats) / self._world_size
        for work in self._works:
            work.wait()
        return stats


def as_stored(tensor: Tensor) -> Tensor:
    """A dense tensor of any memory format in one dimension, without a copy."""
    return tensor.as_strided((tensor.numel(),), (1,))


@torch.no_grad()
def sum_over_ranks(tensors: list[Tensor], stats: Tensor) -> Tensor:
    """Replace tensors by their sum over ranks in one reduction; returns the sum of `stats`."""
    flat = torch.cat([tensor.reshape(-1) for tensor in (*tensors, stats)])
    dist.all_reduce(flat)
    parts = torch.split(flat, [tensor.numel() for tensor in (*tensors, stats)])
    if tensors:
        torch._foreach_copy_(tensors, [part.view_as(own) for part, own in zip(parts, tensors, strict=False)])
    return parts[-1].clone()
