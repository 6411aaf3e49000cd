"""What the verdicts cost of training time, in one run.

    python benchmarks/health_cost.py [--images-per-tick N]

Trains a DCGAN of width 32 on CIFAR-10 on one thread, as in a sweep on two cores, and times what is done for
verdicts alone: variety and copies among the features that the objective needs anyway, the discriminator's
margin, gradient norms, and the verdict itself. Prints their shares of training time and one JSON object.
"""

import argparse
import collections
import functools
import json
import time
from collections.abc import Callable
from typing import Any

import torch
from planted_runs import data_values

from gan.config import GanConfig
from gan.data.loading import load_images
from gan.metrics import feature_distance
from gan.training import run as run_module
from gan.training.health import verdict
from gan.training.measuring.margin import MarginProbe
from gan.training.run import GanRun

TICKS = 6
spent: dict[str, float] = collections.defaultdict(float)


def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose time is added to `spent`."""

    @functools.wraps(function)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        try:
            return function(*arguments, **named)
        finally:
            spent[name] += time.perf_counter() - began

    return wrapper


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images-per-tick", type=int, default=4_000)
    images_per_tick = parser.parse_args().images_per_tick
    torch.set_num_threads(1)
    for name in ("spread", "separation", "memorization_ratio"):
        setattr(feature_distance, name, timed(name, getattr(feature_distance, name)))
    MarginProbe.measure = timed("margin", MarginProbe.measure)  # type: ignore[method-assign]
    run_module.gradient_norms = timed("gradient norms", run_module.gradient_norms)
    config = GanConfig().with_values(
        {
            **data_values("cifar10"),
            "network.width": 32,
            "images_per_tick": images_per_tick,
            "images": images_per_tick * TICKS,
        }
    )
    run = GanRun(config, load_images(config.data))
    rows = [run.tick()]  # prepares what later ticks find
    spent.clear()
    while not run.is_finished:
        rows.append(run.tick())
        timed("verdict", verdict)(rows, config.evaluation.key())
    train_s = sum(row["train_s"] for row in rows[1:])
    shares = {name: seconds / train_s for name, seconds in spent.items()}
    for name, share in shares.items():
        print(f"{name:20} {share:.2%} of training")
    measuring = sum(row["evaluate_s"] for row in rows[1:]) / train_s
    print(json.dumps({"health_share": sum(shares.values()), "all_measuring_share": measuring}))


if __name__ == "__main__":
    main()
