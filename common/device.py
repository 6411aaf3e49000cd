"""Fast bf16 on a device, and faster reuse of memory that a process frees."""

import ctypes
import functools
import platform
from pathlib import Path

import torch

from common.settings import Precision

# without one of these a CPU emulates bf16, which is slower than fp32
_FAST_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 in hardware."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and bool(_cpu_flags() & _FAST_BF16_FLAGS)


def autocast_dtype(precision: Precision, device: torch.device) -> torch.dtype | None:
    """The dtype that convolutions compute in: bf16, or None for fp32 throughout.

    precision: auto is bf16 where the device multiplies it in hardware, else fp32.
    """
    is_bf16 = precision == "bf16" or (precision == "auto" and has_fast_bf16(device))
    return torch.bfloat16 if is_bf16 else None


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return next(
        (set(line.split()) for line in lines if line.lower().startswith(("flags", "features"))), set()
    )


# glibc's malloc.h
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


@functools.cache
def keep_freed_memory() -> None:
    """Let this process keep freed memory instead of returning it to the kernel, where the C library is glibc.

    A training step frees and allocates the same few hundred MB; fresh pages cost 3 % of a step on a CPU.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_M_MMAP_THRESHOLD, 2**30)
    mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
