"""Generator states that searches came by, each with samples: what objectives are compared on.

A search is simulated in one process with the product's own parts: its space, its sampler, successive halving,
two trials at a time. What it minimizes is a candidate for the objective; without one, settings are random and
every trial is trained to its end. Each state is kept at the rungs and at the end.
"""

import dataclasses
import functools
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from gan.config import DataConfig, EvaluationConfig, GanConfig, NetworkConfig
from gan.data.images import Images
from gan.networks.families.dcgan import Upsampling
from gan.training.run import Diverged, GanRun
from tune.records.trial_records import Ending
from tune.search.early_stopping import SuccessiveHalving
from tune.search.study import SweepStudy, study_outcome
from tune.space.domains import Choice, Float
from tune.space.space import Space, baseline

Measure = Callable[[np.ndarray], float]
"""From samples uint8 (N, H, W, C) to a value of which lower is better."""

Row = dict[str, Any]
"""A state as the log has it, without its samples."""
Kept = dict[int, dict[int, Row]]
"""Rows by trial and by tick."""

SAMPLES = 2000
"""Samples kept of a state; the first half is what a search measures, judges see the other."""
RATES = Float(1e-5, 2e-3, log=True)
SPACE = Space(
    {
        "optimizer.generator_lr": RATES,
        "optimizer.discriminator_lr": RATES,
        "optimizer.beta1": Float(0.0, 0.9),
        "balance.policy": Choice(("none", "loss", "accuracy")),
        "balance.loss_threshold": Float(0.1, 0.7, when={"balance.policy": ("loss",)}),
        "balance.accuracy_threshold": Float(0.6, 0.95, when={"balance.policy": ("accuracy",)}),
    }
)
"""The default space when the objective was chosen: what was found is of its states."""
GRACE_TICKS, REDUCTION, AT_A_TIME = 2, 3, 2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Budget:
    """How much a search trains."""

    trials: int
    images: int = 24_000  # of a trial
    ticks: int = 6
    batch: int = 64
    width: int = 32
    upsampling: Upsampling = "nearest"


@dataclasses.dataclass(frozen=True)
class Search:
    """One search: on which images, led by what, with which seed."""

    data: str
    objective: str
    """Name of the candidate that it minimizes, or `random`."""
    seed: int

    @classmethod
    def named(cls, folder_name: str) -> "Search":
        """The search that this folder of a bank is of."""
        data, rest = folder_name.split("-", 1)
        objective, seed = rest.rsplit("-", 1)
        return cls(data, objective, int(seed))

    @property
    def folder_name(self) -> str:
        """cifar10-compact-0"""
        return f"{self.data}-{self.objective}-{self.seed}"


@dataclasses.dataclass(frozen=True)
class State:
    """A generator at a tick of one trial."""

    search: Search
    trial: int
    """0 has the base settings."""
    tick: int
    is_end: bool
    """Whether the trial was trained to its end, not stopped before."""
    value: float
    """What the search measured."""
    samples: np.ndarray
    """uint8 (2000, H, W, C), mapped from its file."""
    settings: dict[str, Any]


class _Trial:
    """A trial in training. `tick` counts what the search has seen, `trained` what its run was trained."""

    def __init__(self, number: int, values: dict[str, Any], base: GanConfig, images: Images) -> None:
        self.number, self.values, self.tick, self.trained = number, values, 0, 0
        self._config, self._images = base.with_values(values), images

    @functools.cached_property
    def _run(self) -> GanRun:
        return GanRun(self._config, self._images)

    def samples(self) -> np.ndarray:
        """Samples after its tick, up to which it is trained."""
        while self.trained < self.tick:
            self._run.tick()
            self.trained += 1
        return self._run.samples(SAMPLES)


def base_config(data: DataConfig, budget: Budget, seed: int) -> GanConfig:
    """The base settings of a search, measured by something cheap that is not looked at."""
    return GanConfig(
        data=data,
        network=NetworkConfig(width=budget.width, upsampling=budget.upsampling),
        evaluation=EvaluationConfig(metric="swd", metric_images=64),
        batch=budget.batch,
        images=budget.images,
        images_per_tick=budget.images // budget.ticks,
        seed=seed,
    )


def make_bank(
    root: Path, search: Search, data: DataConfig, images: Images, budget: Budget, measure: Measure | None
) -> None:
    """Run one search and keep its states below `root`; nothing to do when that was done before.

    A search that was stopped goes on: its states are not trained again.
    """
    folder = root / search.folder_name
    if folder.exists():
        return
    partial = folder.with_suffix(".partial")
    kept = _kept_rows(partial, budget)
    with (partial / "states.jsonl").open("a") as log, tempfile.TemporaryDirectory() as place:
        base, space = base_config(data, budget, search.seed), SPACE
        study = SweepStudy(
            space,
            metric="value",
            name=search.folder_name,
            location=place,
            num_trials=budget.trials,
            search="random" if measure is None else "tpe",
            seed=search.seed,
            first=baseline(space, base),
        )
        for row, samples in _new_states(study, base, images, budget, measure, kept):
            name = f"{row['trial']:03}-{row['tick']:02}.npy"
            np.save(partial / name, samples)
            log.write(json.dumps(row | {"file": name}) + "\n")
            log.flush()
            print(
                f"{search.folder_name} trial {row['trial']} tick {row['tick']} {row['value']:.4g}", flush=True
            )
    partial.rename(folder)


def _kept_rows(partial: Path, budget: Budget) -> Kept:
    """The rows of a search that was stopped, if it had the same budget; else an empty folder is made."""
    states, settings = partial / "states.jsonl", partial / "budget.json"
    wanted = dataclasses.asdict(budget)
    if not settings.exists() or json.loads(settings.read_text()) != wanted:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        states.touch()
        settings.write_text(json.dumps(wanted))
        return {}
    # a last line without its end was being written when the search was stopped
    lines = [line for line in states.read_text().splitlines(keepends=True) if line.endswith("\n")]
    states.write_text("".join(lines))
    kept: Kept = {}
    for row in map(json.loads, lines):
        kept.setdefault(row["trial"], {})[row["tick"]] = row
    return kept


def _new_states(
    study: SweepStudy, base: GanConfig, images: Images, budget: Budget, measure: Measure | None, kept: Kept
) -> Iterator[tuple[Row, np.ndarray]]:
    """Rows and samples of the states at rungs and ends that are not kept, while the study is searched."""
    rule = SuccessiveHalving(first=GRACE_TICKS, end=budget.ticks, reduction=REDUCTION)
    running: list[_Trial] = []
    while True:
        while len(running) < AT_A_TIME and (asked := study.ask()) is not None:
            running.append(_Trial(*asked, base, images))
        if not running:
            return
        for trial in list(running):
            try:
                value, samples = _next_tick(trial, measure, kept.get(trial.number, {}))
            except Diverged as error:
                ending = Ending("failed", reason=error.reason, own_fault=True)
                study.tell(trial.number, study_outcome(ending, None))
                running.remove(trial)
                continue
            if value is None:
                continue
            study.report(trial.number, trial.tick, value)
            is_end = trial.tick == budget.ticks
            # random states are all trained to their end; the base settings are never stopped
            stops = rule.stops(trial.number, trial.tick, value) and measure is not None and trial.number > 0
            if samples is not None and (is_end or trial.tick in rule.rungs):
                row = {"trial": trial.number, "tick": trial.tick, "is_end": is_end, "value": value}
                yield row | {"settings": trial.values}, samples
            if is_end or stops:
                ending = Ending("completed" if is_end else "pruned")
                study.tell(trial.number, study_outcome(ending, value))
                running.remove(trial)


def _next_tick(
    trial: _Trial, measure: Measure | None, kept: dict[int, Row]
) -> tuple[float | None, np.ndarray | None]:
    """What the search measures after one more tick, and the samples where it was not kept.

    On the way to a kept state there is neither: only rungs and ends are kept.
    """
    trial.tick += 1
    if trial.tick in kept:
        assert kept[trial.tick]["settings"] == trial.values, "kept states are of another search"
        return kept[trial.tick]["value"], None
    if trial.tick < max(kept, default=0):
        return None, None
    samples = trial.samples()
    return (0.0 if measure is None else measure(samples[: SAMPLES // 2])), samples


def read_bank(root: Path, search: Search) -> list[State]:
    """The states of a search that was run before, in the order in which they were measured."""
    folder = root / search.folder_name
    rows = [json.loads(line) for line in (folder / "states.jsonl").read_text().splitlines()]
    return [
        State(
            search=search,
            trial=row["trial"],
            tick=row["tick"],
            is_end=row["is_end"],
            value=row["value"],
            samples=np.load(folder / row["file"], mmap_mode="r"),
            settings=row["settings"],
        )
        for row in rows
    ]
