"""After how many ticks early stopping may begin: what a value at a tick says about the end of the run.

    python benchmarks/grace_period.py [HISTORY.parquet ...]

Trains random settings of the default space, and the base settings, to their end: on the built-in shapes and,
if it is beside the checkout, on CIFAR-10. With HISTORY, the tables of such sweeps (`--search random
--scheduler none`) are read instead. Then it simulates successive halving on the measured curves, in 300
random orders and with two trials at a time, for each grace period: how many ticks the sweep costs, and by how
much the best trial that it finished is worse than the best of all. It also prints the rank correlation of
each tick with the end, and the rank of the base settings. Takes half an hour on 2 cores; prints one JSON
object at the end.
"""

import json
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from archive import unpacked
from scipy.stats import spearmanr

from gan.config import GanConfig
from tune.__main__ import main as tune
from tune.search.early_stopping import SuccessiveHalving

CIFAR10 = Path(__file__).parents[2] / "shared" / "data" / "cifar10"
TRIALS, TICKS, IMAGES_PER_TICK = 21, 12, 8000
ORDERS, AT_A_TIME, REDUCTION = 300, 2, 3
METRIC = GanConfig().evaluation.key()


def measured(source: str) -> pd.DataFrame:
    """The history of a sweep that trains every setting to its end."""
    with tempfile.TemporaryDirectory() as folder:
        sweep = ["sweep", "--data", source, "--name", "all", "--storage", folder, "--search", "random"]
        size = ["--scheduler", "none", "--trials", str(TRIALS), "--width", "32"]
        ticks = [
            "--images-per-trial",
            str(TICKS * IMAGES_PER_TICK),
            "--images-per-tick",
            str(IMAGES_PER_TICK),
        ]
        assert tune([*sweep, *size, *ticks]) == 0
        return pd.read_parquet(Path(folder) / "all" / "history.parquet")


def curves(history: pd.DataFrame) -> np.ndarray:
    """The objective (trials, ticks) of the trials that reached their end, that of the base settings first."""
    table = history.assign(tick=history.groupby("number").cumcount())
    return table.pivot(index="number", columns="tick", values=METRIC).dropna().to_numpy()


def simulate(values: np.ndarray, grace: int, seed: int) -> tuple[int, float]:
    """Ticks that a sweep over these curves takes, and its best final value over the best of all."""
    order = [0, *random.Random(seed).sample(range(1, len(values)), len(values) - 1)]
    rule = SuccessiveHalving(first=grace, end=values.shape[1], reduction=REDUCTION)
    running, ticks, finished = [], 0, []
    while order or running:
        while order and len(running) < AT_A_TIME:
            running.append([order.pop(0), 0])
        for trial in list(running):
            number, tick = trial
            trial[1] += 1
            ticks += 1
            stops = rule.stops(number, trial[1], values[number, tick]) and number != 0
            if trial[1] == values.shape[1]:
                finished.append(values[number, -1])
            if stops or trial[1] == values.shape[1]:
                running.remove(trial)
    return ticks, min(finished) / values[:, -1].min()


def study(values: np.ndarray) -> dict[str, Any]:
    """What the curves say about each grace period."""
    final = values[:, -1]
    result: dict[str, Any] = {
        "trials": len(values),
        "spearman_with_the_end": [round(float(spearmanr(tick, final)[0]), 2) for tick in values.T],
        "rank_of_the_base": [int((tick < tick[0]).sum()) + 1 for tick in values.T],
        "share_that_rises_at_first": round(float((values[:, 1] > values[:, 0]).mean()), 2),
    }
    for grace in (1, 2, 3, 4, 6):
        found = np.array([simulate(values, grace, seed) for seed in range(ORDERS)])
        ticks, regret = found.mean(axis=0)
        share = ticks / values.size
        result[f"grace_{grace}"] = {"share_of_all_ticks": round(share, 3), "best_over_best": round(regret, 3)}
        print(f"grace {grace}: {share:.0%} of the ticks, best found {regret:.3f} of the best", flush=True)
    return result


def main() -> None:
    """Run the experiment and print its JSON object."""
    if sys.argv[1:]:
        results = {path: study(curves(pd.read_parquet(path))) for path in sys.argv[1:]}
    else:
        sources = {"shapes": "shapes"}
        if CIFAR10.exists():
            sources["cifar10"] = str(unpacked(CIFAR10))
        results = {name: study(curves(measured(source))) for name, source in sources.items()}
    print(json.dumps(results))


if __name__ == "__main__":
    main()
