"""Compiles the passes of a step where that pays.

The modules are arguments of the compiled functions, so a second run of the same shapes finds them compiled.
"""

import collections
import dataclasses
import functools
import logging
import math
import warnings
from collections.abc import Callable
from typing import Any

import torch

from common.device import autocast_dtype
from common.memory import is_out_of_memory
from common.text import first_line
from gan.config import GanConfig, NetworkConfig
from gan.training.passes import UNCOMPILED, Passes
from gan.training.regularizing import augmentations

log = logging.getLogger(__name__)

# one code object serves every loss, batch and network that a worker group meets in a sweep
_VARIANTS_KEPT = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class Variant:
    """What decides the compiled code: runs of equal variants share it."""

    network: NetworkConfig
    loss: str
    augmentations: tuple[str, ...]
    batch: int
    """Images of one rank's step, or of a part of them."""
    resolution: int
    dtype: torch.dtype | None
    device_type: str


def variant_of(config: GanConfig, *, device: torch.device, world_size: int) -> Variant:
    """The variant of a run."""
    return Variant(
        network=config.network,
        loss=config.loss.name,
        augmentations=augmentations(config),
        batch=config.batch // (world_size * config.accumulate),
        resolution=config.data.resolution,
        dtype=autocast_dtype(config.precision, device),
        device_type=device.type,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Payoff:
    """What compiling one variant costs and saves."""

    compile_s: float
    """Seconds to compile all passes of a variant."""
    saved_s: float
    """Seconds that a compiled step is shorter than an uncompiled one; negative where it is longer."""

    def steps(self) -> float:
        """Steps from which on it pays; infinite where it never does."""
        return self.compile_s / self.saved_s if self.saved_s > 0 else math.inf


# The GPU's two numbers are assumptions, since nobody has measured them yet: `make gpu-check` prints both as
# `compile_s` and `saved_ms`. On a CPU it never pays: measured in bf16 on an AVX-512 CPU with torch 2.14, at
# width 64, batch 64 and one thread, compiling takes 40 s, and a step 539 ms instead of 504 at 64x64, 122 ms
# instead of 106 at 32x32, since its convolutions are the same and its BatchNorm is slower.
_PAYOFFS = {
    "cuda": Payoff(compile_s=60.0, saved_s=0.001),
    "cpu": Payoff(compile_s=40.0, saved_s=-0.035),
}

_steps_taken: collections.Counter[Variant] = collections.Counter()


def count_steps(variant: Variant, steps: int) -> None:
    """Note that this process has taken so many steps of a variant, compiled or not."""
    _steps_taken[variant] += steps


def pays(variant: Variant, steps_left: int) -> bool:
    """Whether compiling is expected to pay, for a run that has so many steps left.

    Steps that the process has taken already count as well: a worker group that has trained some trials of a
    variant will train more of them. If it does not, compiling has cost about as much as it could have saved
    by then.
    """
    payoff = _PAYOFFS.get(variant.device_type)
    return payoff is not None and _steps_taken[variant] + steps_left >= payoff.steps()


def passes_for(
    config: GanConfig, *, device: torch.device, world_size: int, steps_left: int | None = None
) -> Passes:
    """The passes of a run, compiled where `--compile` says so or, if auto, where it `pays`.

    steps_left: how many steps the run has before it; None: a whole run.
    """
    # a reduction inside BatchNorm would cut the compiled code into pieces
    in_pieces = config.network.sync_batch_norm and world_size > 1
    if config.compile == "off" or in_pieces:
        return UNCOMPILED
    variant = variant_of(config, device=device, world_size=world_size)
    steps = config.batches().until(0, config.total_images())[0] if steps_left is None else steps_left
    if config.compile == "auto" and not pays(variant, steps):
        return UNCOMPILED
    return compiled_passes(device.type, variant=variant)


@functools.cache
def compiled_passes(
    device_type: str, backend: str | Callable[..., Any] = "inductor", variant: Variant | None = None
) -> Passes:
    """The passes compiled; uncompiled, after one logged line, where there is no C++ compiler for a CPU.

    A pass that cannot be compiled stays uncompiled for this `variant` alone.
    """
    if device_type == "cpu" and backend == "inductor":
        problem = _compiler_problem()
        if problem:
            log.warning("training continues uncompiled: %s", problem)
            return UNCOMPILED
    return Passes(*(_with_fallback(function, backend) for function in vars(UNCOMPILED).values()))


def _compiler_problem() -> str:
    try:
        from torch._inductor.cpp_builder import get_cpp_compiler

        get_cpp_compiler()
    except Exception as error:
        return f"no C++ compiler ({first_line(error)}); install g++ to train faster"
    return ""


@functools.cache
def _compiled(function: Callable[..., Any], backend: str | Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled as a whole, its backward pass included, before any of it runs.

    A graph that breaks into pieces would be compiled piece by piece while it runs, and a backward pass only
    when it is needed (torch 2.14): an error would come after BatchNorm's statistics have moved.
    """
    import torch._functorch.config

    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, _VARIANTS_KEPT)
    if hasattr(torch._functorch.config, "force_non_lazy_backward_lowering"):  # not a public setting
        torch._functorch.config.force_non_lazy_backward_lowering = True
    return torch.compile(function, dynamic=False, fullgraph=True, backend=backend)


def _with_fallback(function: Callable[..., Any], backend: str | Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled; from the compiler's first error on, the function itself, after one logged line.

    Only Dynamo's and Inductor's own errors count, which come before the function has changed anything. Other
    errors, and a lack of memory while compiling, would come again or are over soon: they are raised.
    """
    compiled = _compiled(function, backend)
    from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException

    is_given_up = False

    @functools.wraps(function)
    def run(*args: Any) -> Any:
        nonlocal is_given_up
        if not is_given_up:
            try:
                with warnings.catch_warnings():
                    # the tracer looks at .grad of the generated images, which have none (torch 2.14)
                    warnings.filterwarnings(
                        "ignore", message="The .grad attribute of a Tensor that is not a leaf"
                    )
                    return compiled(*args)
            except (TorchDynamoException, FailOnRecompileLimitHit) as error:
                if is_out_of_memory(error):
                    raise
                log.warning("%s continues uncompiled: %s", function.__name__, first_line(error))
                is_given_up = True
        return function(*args)

    return run
