"""All cases of `gpu.py` by name; each takes a dict for its figures, and raises what is wrong."""

import functools
import itertools
from collections.abc import Callable

import gpu_compilation
import gpu_families
import gpu_memory
import gpu_pictures
import gpu_precision
import gpu_ranks
import gpu_training
from gpu_setting import GPU, SMALL, Figures, Setting
from gpu_speed import speed

from gan.networks.families import FAMILIES
from gan.training.balance import POLICIES
from gan.training.losses import LOSSES

Case = Callable[[Figures], None]


def all_cases(device: str) -> dict[str, Case]:
    """All cases by name: first what is new, then what takes long."""
    setting = GPU if device == "cuda" else SMALL
    named: dict[str, Callable[[Setting, Figures], None]] = {
        "exact_float32": gpu_precision.float32_is_exact,
        "inception_is_exact": gpu_precision.inception_is_exact,
        "kernels_are_chosen_in_a_tick": gpu_precision.kernels_are_chosen_in_a_tick,
        "driver_opens_no_gpu": gpu_memory.driver_opens_no_gpu,
        "memory_share": gpu_memory.memory_share,
        "memory_comes_back": gpu_memory.memory_comes_back,
        "tick_is_repeated_once": gpu_memory.tick_is_repeated_once,
        "compiler_error_moves_nothing": gpu_compilation.compiler_error_moves_nothing,
        "backward_is_compiled_first": gpu_compilation.backward_is_compiled_first,
        "out_of_memory_keeps_compiled_code": gpu_compilation.out_of_memory_keeps_compiled_code,
        "shrinking": gpu_precision.shrinking,
        "eigenvalues": gpu_precision.eigenvalues,
        "samples": gpu_pictures.samples,
        "metric": gpu_pictures.metric,
        "evaluation": gpu_pictures.evaluation,
        "stylize_small": gpu_pictures.stylize_small,
        "stylize_large": gpu_pictures.stylize_large,
        "ranks": gpu_ranks.ranks,
    }
    cases: dict[str, Case] = {name: functools.partial(case, setting) for name, case in named.items()}
    cases |= _of_families(setting)
    for compiled in (False, True):
        if compiled:  # before the many that compile
            cases |= {
                f"speed/{side}": functools.partial(speed, side, setting.device, setting.backend)
                for side in (32, 64)
            }
        kind = "compiled" if compiled else "plain"
        for precision, loss, policy in itertools.product(gpu_training.PRECISIONS, LOSSES, POLICIES):
            name = f"train/{loss}/{policy}/{precision}/{kind}"
            cases[name] = functools.partial(gpu_training.training, setting, loss, policy, precision, compiled)
        # compiling each alone would take minutes
        regularizers = ("all",) if compiled else tuple(gpu_training.REGULARIZED)
        for precision, name in itertools.product(gpu_training.PRECISIONS, regularizers):
            cases[f"regularized/{name}/{precision}/{kind}"] = functools.partial(
                gpu_training.regularized, setting, name, precision, compiled
            )
    return cases


def _of_families(setting: Setting) -> dict[str, Case]:
    """Training and speed of every family."""
    cases: dict[str, Case] = {}
    ways = {
        "plain": tuple(FAMILIES),
        "checkpointing": gpu_families.RECOMPUTING,
        "parts": gpu_families.WITHOUT_BATCH_NORM,
    }
    for how, families in ways.items():
        for family, precision in itertools.product(families, gpu_training.TOLERANCES):
            cases[f"family/{family}/{precision}/{how}"] = functools.partial(
                gpu_families.family_training, setting, family, precision, how
            )
    for family, side in itertools.product(FAMILIES, gpu_families.SIDES):
        cases[f"family_speed/{family}/{side}"] = functools.partial(
            gpu_families.family_speed, setting, family, side
        )
    return cases
