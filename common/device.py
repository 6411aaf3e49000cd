"""What a device computes in: fast bf16, exact float32, kernels for fixed shapes; reuse of freed memory."""

import contextlib
import ctypes
import functools
import platform
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from common.settings import Precision

# modules with attributes of their own, which type checkers do not see
_cudnn: Any = torch.backends.cudnn
_mkldnn: Any = torch.backends.mkldnn

# without one of these a CPU emulates bf16, which is slower than fp32
_FAST_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 in hardware."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and bool(_cpu_flags() & _FAST_BF16_FLAGS)


def autocast_dtype(precision: Precision, device: torch.device) -> torch.dtype | None:
    """The dtype that convolutions compute in: bf16 or fp16, or None for fp32 throughout.

    precision: auto is bf16 where the device multiplies it in hardware, else fp32.
    """
    if precision == "fp16":
        return torch.float16
    is_bf16 = precision == "bf16" or (precision == "auto" and has_fast_bf16(device))
    return torch.bfloat16 if is_bf16 else None


@contextlib.contextmanager
def exact_float32() -> Iterator[None]:
    """Multiply float32 as float32 within the block: no TF32 on a GPU; afterwards it is as before.

    PyTorch (2.13 to 2.15) computes float32 convolutions in TF32, with 10 bits of mantissa, unless it is told
    otherwise; matrix products only where the user asked for it. Both its earlier and its present settings are
    set, so that they agree: where they do not, compiling raises an error.
    """
    conv, matmul = _cudnn.conv, torch.backends.cuda.matmul
    conv_before, matmul_before = conv.fp32_precision, matmul.fp32_precision
    earlier = _Tf32Flags()
    conv.fp32_precision = "ieee"
    matmul.fp32_precision = "ieee"
    try:
        yield
    finally:
        if not earlier.restore_convolutions() or conv_before == "ieee":
            conv.fp32_precision = conv_before
        earlier.restore_products()
        matmul.fp32_precision = matmul_before


class _Tf32Flags:
    """PyTorch's earlier settings of TF32, turned off; unreadable where only the present ones were used."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some versions warn that they are the earlier ones
            self._convolutions = self._products = None
            with contextlib.suppress(RuntimeError):
                self._convolutions = torch.backends.cudnn.allow_tf32
                torch.backends.cudnn.allow_tf32 = False
            with contextlib.suppress(RuntimeError):
                self._products = torch.get_float32_matmul_precision()
                self._on_cpu = _mkldnn.matmul.fp32_precision
                if self._products != "highest":
                    torch.set_float32_matmul_precision("highest")

    def restore_convolutions(self) -> bool:
        """Set the flag as it was, and with it the present setting; false where it was unreadable."""
        if self._convolutions is None:
            return False
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.backends.cudnn.allow_tf32 = self._convolutions
        return True

    def restore_products(self) -> None:
        """Set the flag as it was."""
        if self._products not in (None, "highest"):
            torch.set_float32_matmul_precision(self._products)
            _mkldnn.matmul.fp32_precision = self._on_cpu


@contextlib.contextmanager
def fixed_shapes() -> Iterator[None]:
    """Let cuDNN try its kernels on the first tensors of each shape and keep the fastest, within the block.

    Pays where few shapes occur often, as in training. Does nothing on a CPU.
    """
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


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


def return_freed_memory() -> None:
    """Let this process return freed blocks of over 1 MiB to the kernel at once, where the C library is glibc.

    For work in many blocks, such as distances to a million vectors: small results that are kept between the
    blocks would otherwise make every block take fresh memory.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 2**20)
