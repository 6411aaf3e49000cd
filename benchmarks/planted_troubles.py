"""Are troubles named right, soon, and never in healthy runs?

    python benchmarks/planted_troubles.py [--chosen-on]

Trains the plants of `planted_runs.PLANTS` on the built-in shapes, MNIST and CIFAR-10 at 32 x 32 and reads the
verdict after each tick. A plant is named right when within three ticks of its onset a verdict is one of those
that are true of it, and none before was that of another trouble; a healthy one when all its verdicts are
healthy. Prints a confusion matrix and ends with one JSON object.

The thresholds of `gan/training/health/rules.py` were chosen on seed 0 at width 16 (`--chosen-on`); by
default others are run. Runs are kept in the cache, so a second call only reads the verdicts anew.
"""

import argparse
import collections
import json
from typing import NamedTuple

import torch
from planted_runs import PLANTS, Plant, rows_of

from gan.training.health import HEALTHY, verdicts

METRIC = "fd_lite0_1k"
DATA = ("shapes", "mnist", "cifar10")
CHOSEN_ON = ((0, 16),)
PROVEN_ON = ((1, 24),)
HEALTHY_TOO = ((2, 8), (3, 32))
"""Seeds and widths of further healthy runs, of which false alarms are counted."""
NAMED_WITHIN = 3


class Named(NamedTuple):
    """What was said of one run."""

    plant: str
    data: str
    seed: int
    width: int
    right: tuple[str, ...]
    said: str
    """The first verdict within the ticks that count that is right, or else the first that is not healthy."""
    is_right: bool
    verdicts: list[str]


def named(name: str, data: str, seed: int, width: int) -> Named:
    """Train a plant, or read its kept rows, and compare its verdicts with the truth."""
    plant = PLANTS[name]
    rows = [row or {METRIC: float("nan")} for row in rows_of(name, data, seed, width)]
    found = [verdict.name for verdict in verdicts(rows, METRIC)]
    said, is_right = judged(plant, found)
    return Named(name, data, seed, width, plant.right, said, is_right, found)


def judged(plant: Plant, found: list[str]) -> tuple[str, bool]:
    """What was said of a plant with these verdicts, and whether that is right."""
    troubles = [each for each in found if each != HEALTHY]
    if plant.right == (HEALTHY,):
        return (troubles or [HEALTHY])[0], not troubles
    before = [each for each in found[: plant.onset - 1] if each != HEALTHY and each not in plant.right]
    counted = found[plant.onset - 1 : plant.onset + NAMED_WITHIN]
    right = [each for each in counted if each in plant.right]
    if before or not right:
        wrong = before + [each for each in counted if each != HEALTHY]
        return (wrong or [HEALTHY])[0], False
    return right[0], True


def main() -> None:
    """Print each run's verdicts, the confusion matrix and the shares."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chosen-on", action="store_true")
    chosen_on = parser.parse_args().chosen_on
    torch.set_num_threads(1)
    runs = [
        (name, data, seed, width)
        for seed, width in (CHOSEN_ON if chosen_on else PROVEN_ON + HEALTHY_TOO)
        for data in DATA
        for name, plant in PLANTS.items()
        if plant.right == (HEALTHY,) or (seed, width) not in HEALTHY_TOO
    ]
    results = []
    for run in runs:
        result = named(*run)
        results.append(result)
        short = " ".join("." if each == HEALTHY else each for each in result.verdicts)
        print(f"{'right' if result.is_right else 'WRONG'} {run[1:]} {result.plant}: {short}", flush=True)
    _print_matrix(results)
    planted = [each for each in results if each.right != (HEALTHY,)]
    healthy = [each for each in results if each.right == (HEALTHY,)]
    summary = {
        "planted": len(planted),
        "named_right": sum(each.is_right for each in planted) / len(planted),
        "healthy": len(healthy),
        "false_alarms": sum(not each.is_right for each in healthy) / len(healthy),
    }
    print(json.dumps(summary))


def _print_matrix(results: list[Named]) -> None:
    counts = collections.Counter((each.plant, each.said) for each in results)
    said = sorted({each.said for each in results})
    print(f"| plant | right | {' | '.join(said)} |\n|---|---|{'---|' * len(said)}")
    for name, plant in PLANTS.items():
        cells = " | ".join(str(counts[name, each] or "") for each in said)
        print(f"| {name} | {' or '.join(plant.right)} | {cells} |")


if __name__ == "__main__":
    main()
