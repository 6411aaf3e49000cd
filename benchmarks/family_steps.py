"""Images/s of our training step of each family of networks against the same networks as commonly written.

    python benchmarks/family_steps.py [FAMILY ...] [--side 32] [--width 16] [--batch 16] [--rounds 7]

Both train the same layers, with as many parameters to within `MOST_APART`, on random images that are on the
device already; both draw new latents in each step and keep an average of the generator, but for the common
`dcgan`, which keeps none. Networks that grow are fully grown. `resnet` has the hinge loss and spectral
normalization; `progressive`, `msg` and `style` show the discriminator the spread of a group of 4; `style` has
R1 every 16 steps and path lengths every 4 in both forms. Ours computes as in a run, in bf16 where the device
does that fast; the common form in PyTorch's default precision.

A round is so many steps that each regularizer comes as often as it should. In it both forms take turns: the
ratio is the median over rounds, images/s are those of the best round, and on a GPU the peak memory is printed
too.
Prints one JSON object at the end.
"""

import argparse
import itertools
import json
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from common_families import Form, common_form
from gpu_setting import images

from common.device import exact_float32, fixed_shapes, keep_freed_memory
from gan.config import GanConfig
from gan.distributed import Ranks
from gan.networks import numbers_per_image
from gan.networks.families import FAMILIES
from gan.networks.growth.state import growing_parts
from gan.training import seeding
from gan.training.balance import Turn
from gan.training.passes import UNCOMPILED
from gan.training.players import build_players
from gan.training.regularizing import Regularizing
from gan.training.step import step_settings, train_step

CHANNELS = 3
MOST_APART = 0.03
"""By how much of ours the number of parameters may differ."""
STEPS_A_ROUND = 4
SPREAD = {"network.minibatch_std": 4}
SETTINGS: dict[str, dict[str, Any]] = {
    "dcgan": {"network.upsampling": "transposed"},  # as the plain loop
    "resnet": {"network.spectral_norm": True, "loss.name": "hinge"},
    "progressive": SPREAD,
    "msg": SPREAD,
    "style": SPREAD | {"regularization.r1": 10.0, "regularization.r1_every": 16},
}
BOTH_TRAIN = Turn(discriminator=True, generator=True)


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    device = torch.device(arguments.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    found = {}
    for family in arguments.families:
        config = config_of(family, arguments.side, arguments.width, arguments.batch, arguments.precision)
        found[family] = compared(config, device, arguments.rounds)
        print(f"{family:12}", *(f"{name}={value}" for name, value in found[family].items()), flush=True)
    size = {name: getattr(arguments, name) for name in ("side", "width", "batch", "rounds", "precision")}
    place = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }
    print(json.dumps(size | place | {"families": found}))


def config_of(family: str, side: int, width: int, batch: int, precision: str = "auto") -> GanConfig:
    """The run whose step is measured."""
    size = {"data.resolution": side, "network.width": width, "batch": batch, "precision": precision}
    return GanConfig().with_values({"network.family": family} | size | SETTINGS.get(family, {}))


def compared(
    config: GanConfig, device: torch.device, rounds: int, steps: int = STEPS_A_ROUND
) -> dict[str, float]:
    """Images/s of both forms and their ratio, their parameters, and on a GPU their peak memory in MiB.

    steps: of a round, at least; more where the regularizers come less often.
    """
    steps = steps_of_round(config, steps)
    figures: dict[str, float] = {}
    forms: dict[str, Form] = {}
    for name, build in (("ours", our_form), ("common", common_form)):
        before = torch.cuda.memory_allocated() if device.type == "cuda" else 0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        forms[name] = build(config, CHANNELS, device)
        # all that comes in a period; on a GPU it chooses its kernels
        seconds(forms[name].step, steps if device.type == "cuda" else 2, device)
        if device.type == "cuda":
            figures[f"{name}_peak_mib"] = round((torch.cuda.max_memory_allocated() - before) / 2**20, 1)
    figures |= {f"{name}_parameters": parameters(form) for name, form in forms.items()}
    check_parameters(config.network.family, figures)
    taken: dict[str, list[float]] = {name: [] for name in forms}
    # a machine that others share slows neighbouring steps alike; a GPU must not wait after each
    at_once = steps if device.type == "cuda" else 1
    for _ in range(rounds):
        total = dict.fromkeys(forms, 0.0)
        for _ in range(steps // at_once):
            for name, form in forms.items():
                total[name] += seconds(form.step, at_once, device)
        for name in forms:
            taken[name].append(total[name] / steps)
    for name, times in taken.items():
        figures[f"{name}_images_per_s"] = round(config.batch / min(times), 1)
    ratios = [common / ours for ours, common in zip(taken["ours"], taken["common"], strict=True)]
    return figures | {"ours_over_common": round(statistics.median(ratios), 3)}


def steps_of_round(config: GanConfig, least: int) -> int:
    """A whole number of the longest period of the regularizers, at least `least` steps."""
    settings, penalty = config.regularization, FAMILIES[config.network.family].generator_penalty
    of_generator = penalty(config.network)
    period = settings.r1_every if settings.r1 > 0 else 1
    if of_generator is not None:
        period = math.lcm(period, of_generator.every)
    return math.ceil(least / period) * period


def our_form(config: GanConfig, channels: int, device: torch.device) -> Form:
    """The step as `GanRun` takes it, fully grown, on images that are on the device already."""
    players = build_players(config, channels=channels, device=device)
    for part in growing_parts(players.generator, players.discriminator, players.ema):
        part.grow_fully()
    settings = step_settings(config, device=device, world_size=1)
    side = config.data.resolution
    regularizing = Regularizing(config, images(side, config.batch), ranks=Ranks(), device=device)
    real = torch.rand(config.batch, channels, side, side, device=device) * 2 - 1
    real = real.to(memory_format=torch.channels_last)
    shape = (config.batch, numbers_per_image(config.network, side))
    numbers = itertools.count()

    def step() -> None:
        number = next(numbers)
        latents = seeding.to_device(seeding.normal(config.seed, "latents", number, shape), device)
        with exact_float32():
            train_step(
                players,
                real,
                latents,
                None,
                settings,
                UNCOMPILED,
                who_trains=BOTH_TRAIN,
                regularization=regularizing.for_step(
                    number, images_seen=number * config.batch, progress=0.0, batch=config.batch
                ),
            )
        regularizing.count(BOTH_TRAIN)

    return Form(step, (players.generator, players.discriminator))


def parameters(form: Form) -> int:
    """Of both networks together."""
    return sum(weight.numel() for network in form.networks for weight in network.parameters())


def check_parameters(family: str, figures: dict[str, float]) -> None:
    """Raise an error unless both forms have about as many parameters."""
    ours, common = figures["ours_parameters"], figures["common_parameters"]
    if abs(common - ours) > MOST_APART * ours:
        raise AssertionError(f"{family} has {ours:,.0f} parameters here, {common:,.0f} as commonly written")


def seconds(step: Callable[[], None], count: int, device: torch.device) -> float:
    """Seconds of so many steps; both forms choose their kernels on a GPU, as most scripts let them.

    On one thread of a CPU they are the processor's, which other programs take less part in.
    """
    is_one_thread = device.type == "cpu" and torch.get_num_threads() == 1
    clock = time.process_time if is_one_thread else time.perf_counter
    if device.type == "cuda":
        torch.cuda.synchronize()
    began = clock()
    with fixed_shapes():
        for _ in range(count):
            step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - began


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("families", nargs="*", metavar="FAMILY", default=list(FAMILIES))
    for name, value in (("side", 32), ("width", 16), ("batch", 16), ("rounds", 7), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--device", default="", help="cpu or cuda; by default a GPU where there is one")
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    return parser.parse_intermixed_args()


if __name__ == "__main__":
    main()
