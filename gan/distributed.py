"""The processes that share one run: who takes which part, and sums over all of them."""

import dataclasses

import torch
import torch.distributed as dist

from gan.training import seeding


@dataclasses.dataclass(frozen=True)
class Ranks:
    """This process among its equals, alone by default; among more, torch.distributed is initialised."""

    rank: int = 0
    world_size: int = 1

    def share(self, total: int) -> slice:
        """This rank's contiguous part of `total` things; the parts cover all and differ by at most one."""
        return seeding.share(total, self.rank, self.world_size)

    def summed(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum of all ranks' tensors, on the CPU, the same bits on every rank."""
        if self.world_size == 1:
            return tensor.cpu()
        total = tensor.to("cuda" if dist.get_backend() == "nccl" else "cpu", copy=True)
        dist.all_reduce(total)
        return total.cpu()

    def of_first(self, values: dict[str, float]) -> dict[str, float]:
        """The first rank's values on every rank: what all compute alike may differ in the last bit."""
        told = torch.tensor(list(values.values()), dtype=torch.float64)
        if self.rank > 0:
            told.zero_()
        return dict(zip(values, self.summed(told).tolist(), strict=True))


def is_loss_of_a_peer(error: BaseException) -> bool:
    """Whether a collective failed for want of another rank, which is no fault of what was trained.

    Or for want of the whole group, which Ray Train dissolves while a worker is in it, before it takes the
    workers off a machine that is announced to go.
    """
    if isinstance(error, ValueError):
        return "process group has not been initialized" in str(error)
    # gloo's errors have no type of their own in torch 2.14, but name its source file
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo/" in str(error))
