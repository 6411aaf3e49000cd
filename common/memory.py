"""Recognizes a lack of memory, gives memory back after it, and keeps a process within its share of a GPU."""

import gc
import traceback
from collections.abc import Iterator

import torch

# what PyTorch's CPU allocator, oneDNN, C++, cuDNN and cuBLAS say; none of them raises MemoryError
_OUT_OF_MEMORY = (
    "can't allocate memory",
    "DefaultCPUAllocator",
    "not enough memory",
    "out of memory",
    "bad_alloc",
    "could not create a primitive",
    "could not create a memory",
    "could not execute a primitive",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
# What a process takes of a GPU beside its tensors: CUDA's context and the kernels of cuDNN and cuBLAS. An
# assumption; `make gpu-check` measures it as `context_mib`.
CONTEXT_BYTES = 600 * 2**20


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory, on the CPU or a GPU, was not enough: said by the error or by one that it wraps."""
    return any(_says_out_of_memory(each) for each in _chain(error))


def _says_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _OUT_OF_MEMORY)


def release(error: BaseException | None = None) -> None:
    """Give back the memory that nobody uses any more; first drop what a caught error still holds.

    The frames of an error's traceback keep every tensor of the failed attempt alive, also inside the `except`
    block that catches it. A GPU's allocator has nothing to give back before they are gone.
    """
    for each in _chain(error) if error is not None else ():
        traceback.clear_frames(each.__traceback__)
        each.__traceback__ = None
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def limit_to_share(share: float, device: torch.device) -> None:
    """Keep this process within its share, 0 to 1, of the memory of a GPU that it has to itself only in part.

    More then raises PyTorch's out-of-memory error here, instead of in the neighbour's process.
    """
    if device.type != "cuda" or not 0 < share < 1:
        return
    total = torch.cuda.get_device_properties(device).total_memory
    # the context counts as well; of a tiny share half is left to the tensors
    own = max(share * total - CONTEXT_BYTES, share * total / 2)
    torch.cuda.set_per_process_memory_fraction(own / total, device)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it wraps: compilers keep the cause in an attribute of their own."""
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        inner = (getattr(each, "inner_exception", None), each.__cause__, each.__context__)
        waiting += [one for one in inner if isinstance(one, BaseException)]
