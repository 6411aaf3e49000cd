"""Which objective stays true wherever a search goes?

    python benchmarks/objective.py bank DATA OBJECTIVE SEED...
    python benchmarks/objective.py table [DATA...]

DATA: shapes, mnist, cifar10, or a folder of photos, which are shown at 64 pixels; with `+transposed` behind
it the generators have transposed convolutions, in whose checkerboards more can be hidden.

bank: runs searches that minimize a candidate (OBJECTIVE: `random`, or of `objective_candidates.CANDIDATES`)
and keeps the generators' samples.
table: measures all states of the bank with all candidates and judges. For each candidate it prints, over the
searches that were led by the same objective, the rank correlation with each judge at the ends, that of the
first rung with the judge's opinion of the end, and the regret, by how much the judge likes the candidate's
winner less than the best of the search and than the base. Prints one JSON object.
"""

import argparse
import itertools
import json
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from archive import unpacked
from objective_bank import Budget, Search, State, make_bank, read_bank
from objective_candidates import CANDIDATES, DISTANCES, Measures, Values, measure_of, value_of
from objective_judges import judges_of
from scipy.stats import spearmanr

from gan.config import DataConfig
from gan.data.loading import load_images

DATA = Path(__file__).parents[2] / "shared" / "data"
BANK = Path.home() / ".cache" / "artsweep" / "objective-bank"
RANDOM = "random"
MEASURED, JUDGED = 1000, 500  # samples
TRIALS, LARGE_TRIALS, LARGE_IMAGES = (32, 32), (16, 16), 48_000  # of a search, and of random states
TRANSPOSED = "+transposed"
JUDGE = "judge "


def data_config(name: str) -> DataConfig:
    """Of a data set by its name, or of a folder."""
    name = name.removesuffix(TRANSPOSED)
    if name == "mnist":
        return DataConfig(source="mnist", root=str(DATA / "mnist"))
    if name == "cifar10":
        return DataConfig(source=str(unpacked(DATA / "cifar10")))
    return DataConfig(source=name, resolution=32 if name == "shapes" else 64)


def fill_bank(data: str, objective: str, seeds: Iterable[int]) -> None:
    """Run the searches that were not run before."""
    config = data_config(data)
    images = load_images(config)
    is_large = images.resolution > 32  # where an image costs four times as much or more
    measure = None if objective == RANDOM else measure_of(objective, images.held_out[::2])
    for seed in seeds:
        budget = Budget(
            trials=(LARGE_TRIALS if is_large else TRIALS)[objective == RANDOM],
            images=LARGE_IMAGES if is_large else Budget.images,
            upsampling="transposed" if data.endswith(TRANSPOSED) else "nearest",
        )
        make_bank(BANK, Search(Path(data).name, objective, seed), config, images, budget, measure)


def measured(data: str, searches: list[Search]) -> dict[Search, list[tuple[State, Values]]]:
    """All states of the searches on one data set with what candidates and judges say, computed once."""
    images = load_images(data_config(data))
    measures: dict[tuple[str, ...], Measures] = {}
    judges, found = None, {}
    for search in searches:
        states = read_bank(BANK, search)
        kept = BANK / search.folder_name / "values.json"
        rows: list[Values] = json.loads(kept.read_text()) if kept.exists() else [{} for _ in states]
        for state, row in zip(states, rows, strict=True):
            missing = tuple(name for name in DISTANCES if name not in row)
            if missing:
                if missing not in measures:
                    measures[missing] = Measures(missing, images.held_out[::2])
                row |= measures[missing].values(state.samples[:MEASURED])
            if state.is_end and not any(name.startswith(JUDGE) for name in row):
                judges = judges or judges_of(search.data.removesuffix(TRANSPOSED), images, BANK)
                others = state.samples[MEASURED : MEASURED + JUDGED]
                row |= {JUDGE + name: judge.value(others) for name, judge in judges.items()}
            kept.write_text(json.dumps(rows))
        found[search] = [
            (state, row | {name: value_of(name, row) for name in CANDIDATES})
            for state, row in zip(states, rows, strict=True)
        ]
        print(f"{search.folder_name}: {len(states)} states measured", flush=True)
    return found


def agreement(rows: list[tuple[State, Values]], name: str, judge: str) -> Values:
    """How one candidate does in one search, by one judge."""
    ends = [values for state, values in rows if state.is_end]
    end_of = {state.trial: values for state, values in rows if state.is_end}
    rungs = [
        (values, end_of[state.trial]) for state, values in rows if not state.is_end and state.trial in end_of
    ]
    winner = min(ends, key=lambda values: values[name])
    return {
        "end": _correlation([values[name] for values in ends], [values[judge] for values in ends]),
        "rung": _correlation([rung[name] for rung, _ in rungs], [end[judge] for _, end in rungs]),
        "regret": _regret(ends, name, judge),
        "gain": 1 - winner[judge] / end_of[0][judge],
    }


def _regret(ends: list[Values], name: str, judge: str) -> float:
    """By how much the judge finds the winner farther from real pictures than the best, as a share of that.

    NaN where the best is not above 0, as a kernel distance without bias may be.
    """
    best = min(values[judge] for values in ends)
    return min(ends, key=lambda values: values[name])[judge] / best - 1 if best > 0 else math.nan


def _correlation(first: list[float], second: list[float]) -> float:
    return float(spearmanr(first, second)[0])


def table(data: list[str]) -> dict[str, dict[str, Values]]:
    """For each data set and leading objective: each candidate's means over searches and judges."""
    result: dict[str, dict[str, Values]] = {}
    for each in data:
        folders = sorted(
            path.name for path in BANK.glob(f"{Path(each).name}-*-*") if path.suffix != ".partial"
        )
        searches = [Search.named(name) for name in folders]
        found = measured(each, searches)
        for objective, group in itertools.groupby(searches, key=lambda search: search.objective):
            rows = [found[search] for search in group]
            judges = sorted({name for values in rows[0] for name in values[1] if name.startswith(JUDGE)})
            summary = {name: _summary(rows, name, judges) for name in CANDIDATES}
            summary["judges with each other"] = _summary_of_judges(rows, judges)
            result[f"{each}, led by {objective}"] = summary
            _print(f"{each}, led by {objective} ({len(rows)} searches)", summary)
    return result


def _summary(searches: list[list[tuple[State, Values]]], name: str, judges: list[str]) -> Values:
    by_judge = {judge: [agreement(rows, name, judge) for rows in searches] for judge in judges}
    every = [found for each in by_judge.values() for found in each]
    summary = {
        f"end {judge.removeprefix(JUDGE)}": float(np.mean([found["end"] for found in each]))
        for judge, each in by_judge.items()
    }
    return summary | {
        "worst end": min(found["end"] for found in every),
        "rung": float(np.mean([found["rung"] for found in every])),
        "regret": float(np.nanmean([found["regret"] for found in every])),
        "worst gain": min(found["gain"] for found in every),
    }


def _summary_of_judges(searches: list[list[tuple[State, Values]]], judges: list[str]) -> Values:
    values, regrets = [], []
    for rows in searches:
        ends = [values for state, values in rows if state.is_end]
        for first, second in itertools.permutations(judges, 2):
            values.append(_correlation([end[first] for end in ends], [end[second] for end in ends]))
            regrets.append(_regret(ends, first, second))
    return {"mean": float(np.mean(values)), "worst": min(values), "regret": float(np.nanmean(regrets))}


def _print(title: str, summary: dict[str, Values]) -> None:
    print(title)
    for name, values in summary.items():
        print(
            f"  {name:28}"
            + "".join(f"  {key} {value:6.3f}" for key, value in values.items() if not math.isnan(value))
        )


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    bank = commands.add_parser("bank")
    bank.add_argument("data")
    bank.add_argument("objective", choices=[RANDOM, *CANDIDATES])
    bank.add_argument("seeds", type=int, nargs="+")
    shown = commands.add_parser("table")
    shown.add_argument("data", nargs="*", default=["cifar10"])
    command = parser.parse_args()
    torch.set_num_threads(1)  # several searches run side by side
    if command.command == "bank":
        fill_bank(command.data, command.objective, command.seeds)
    else:
        print(json.dumps(table(command.data)))


if __name__ == "__main__":
    main()
