"""Compiles the passes of a step where that pays.

The modules are arguments of the compiled functions, so a second run of the same shapes finds them compiled.
"""

import functools
import logging
import warnings
from collections.abc import Callable
from typing import Any

import torch

from common.text import first_line
from gan.config import GanConfig
from gan.training.step import UNCOMPILED, Passes

log = logging.getLogger(__name__)

# one code object serves every loss, batch and network that a worker group meets in a sweep
_VARIANTS_KEPT = 256


def passes_for(config: GanConfig, *, device: torch.device, world_size: int) -> Passes:
    """The passes of a run, compiled where `--compile` says so or, if auto, on a GPU.

    On a CPU auto leaves them as they are: measured in bf16 at 64x64 on an AVX-512 CPU with torch 2.14, a
    compiled step is 9 % slower (263 images/s, not 289), since its convolutions are the same and its BatchNorm
    is slower, and compiling takes half a minute.
    """
    # a reduction inside BatchNorm would cut the compiled code into pieces
    in_pieces = config.network.sync_batch_norm and world_size > 1
    wanted = config.compile == "on" or (config.compile == "auto" and device.type == "cuda")
    return compiled_passes(device.type) if wanted and not in_pieces else UNCOMPILED


@functools.cache
def compiled_passes(device_type: str, backend: str | Callable[..., Any] = "inductor") -> Passes:
    """The passes compiled; uncompiled, after one logged line, where there is no C++ compiler for a CPU."""
    if device_type == "cpu" and backend == "inductor":
        problem = _compiler_problem()
        if problem:
            log.warning("training continues uncompiled: %s", problem)
            return UNCOMPILED
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _VARIANTS_KEPT)
    return Passes(*(_with_fallback(function, backend) for function in vars(UNCOMPILED).values()))


def _compiler_problem() -> str:
    try:
        from torch._inductor.cpp_builder import get_cpp_compiler

        get_cpp_compiler()
    except Exception as error:
        return f"no C++ compiler ({first_line(error)}); install g++ to train faster"
    return ""


def _with_fallback(function: Callable[..., Any], backend: str | Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled; from its first failure on, the function itself, after one logged line."""
    compiled = torch.compile(function, dynamic=False, backend=backend)
    state = {"run": compiled}

    @functools.wraps(function)
    def run(*args: Any) -> Any:
        try:
            with warnings.catch_warnings():
                # the tracer looks at .grad of the generated images, which have none (torch 2.14)
                warnings.filterwarnings(
                    "ignore", message="The .grad attribute of a Tensor that is not a leaf"
                )
                return state["run"](*args)
        except Exception as error:
            if state["run"] is function:
                raise
            log.warning("%s continues uncompiled: %s", function.__name__, first_line(error))
            state["run"] = function
            return function(*args)

    return run
