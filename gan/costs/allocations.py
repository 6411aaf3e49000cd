"""Counts the bytes of the tensors that are alive, and the most of them at any moment."""

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Within the block: bytes of all tensors that operations have made and that are still referred to.

    Tensors that share memory count once. What an operation takes only while it computes, such as the
    workspace of a convolution, is not seen, nor what an allocator keeps for later.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        """Bytes that are alive."""
        self.peak = 0
        """Most bytes that were alive at once since the start or the last `restart`."""
        self._alive: set[int] = set()

    def restart(self) -> None:
        """Forget the peak so far."""
        self.peak = self.now

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation and count what it made."""
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return made

    def _count(self, storage: torch.UntypedStorage) -> None:
        identity = storage._cdata
        if identity in self._alive:
            return
        self._alive.add(identity)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._release, identity, storage.nbytes()).atexit = False

    def _release(self, identity: int, size: int) -> None:
        self._alive.discard(identity)
        self.now -= size
