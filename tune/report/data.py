"""Reads everything that a sweep's page shows from the sweep's folder, whatever state the sweep is in."""

import dataclasses
import datetime
import functools
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from common.storage.lock import read_holder
from common.text import duration
from gan.metrics.config import EvaluationConfig, count_name
from gan.training.health import HEALTHY
from tune.config import SweepConfig
from tune.records.event_reading import damage, read_events, searched_only
from tune.records.events import SweepEvent, SweepStarted, Tick
from tune.records.sweep_folder import SweepFolder
from tune.records.tables import ranked, trials_table
from tune.records.trial_records import BASELINE_NUMBER, Trial, collect
from tune.report.pictures import Pictures, read_pictures
from tune.space.space import Space

_SECONDS = ("train_s", "evaluate_s")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """A trial as the page shows it."""

    trial: Trial
    rank: int | None
    """From 1; None without a value."""
    best: float | None
    """The best value of its ticks."""
    images_at_best: int | None
    confirmed: float | None
    """The value of its best state when that was measured again."""
    values: Mapping[str, Any]
    """Its searched settings at its best tick, without those that it has none of."""
    worker_s: float
    """Seconds of all its workers, lost ticks included."""

    @property
    def number(self) -> int:
        """Of the trial."""
        return self.trial.number

    @property
    def ending(self) -> str:
        """`pruned`, or `pruned: mode_collapse`: its state, and why, if that is known."""
        verdict = self.trial.ended_for or self.trial.verdict()[0]
        is_told = verdict is not None and verdict != HEALTHY
        return f"{self.trial.state}: {verdict}" if is_told else self.trial.state


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepData:
    """What is known about a sweep."""

    location: str
    name: str
    config: SweepConfig
    metric: str
    space: Space
    trials: Mapping[int, Trial]
    rows: list[Row]
    """Of all trials, from best to worst; those without a value last."""
    table: pd.DataFrame
    """See `ranked`."""
    sessions: list[float]
    """When the sweep was started and resumed, in seconds since 1970."""
    pictures: Pictures
    status: str
    """Whether it runs or how it ended, in a sentence."""
    is_finished: bool

    @functools.cached_property
    def noise(self) -> float | None:
        """The objective's noise floor, None where no tick has it."""
        name = f"{self.metric}_noise"
        ticks = (tick for trial in self.trials.values() for _, tick in trial.ticks)
        return next((tick.metrics[name] for tick in ticks if name in tick.metrics), None)

    @property
    def ranked_rows(self) -> list[Row]:
        """The trials with a value, from best to worst."""
        return [row for row in self.rows if row.rank is not None]

    @property
    def baseline(self) -> Row | None:
        """The trial with the base settings."""
        return next((row for row in self.rows if row.number == BASELINE_NUMBER), None)

    def top(self) -> list[Row]:
        """The best tenth of the trials with a value, at least 3 of them where there are as many."""
        found = self.ranked_rows
        return found[: max(3, math.ceil(len(found) / 10))]

    def setting(self, path: str) -> str:
        """What the page calls a setting: its last word where that is the only one of its name."""
        last = path.rpartition(".")[2]
        is_alone = sum(other.rpartition(".")[2] == last for other in self.space) < 2
        return (last if is_alone else path).replace("_", " ")

    def seconds(self, metrics: Mapping[str, float]) -> float:
        """What a tick took, in seconds of a worker group."""
        return sum(metrics.get(name, 0.0) for name in _SECONDS)

    @property
    def workers(self) -> int:
        """Workers in a group."""
        return self.config.workers_per_trial


def read_sweep(location: str) -> SweepData:
    """Read a sweep's folder or URL, also while the sweep runs.

    Raises: ConfigError when there is no sweep, or its settings are broken.
    """
    folder = SweepFolder.at(location)
    config = folder.config()
    space = folder.space(config)
    events = list(searched_only(read_events(folder.location), space))
    trials, metric = collect(events), _objective(config.gan.evaluation, events)
    table = ranked(trials_table(trials, space, metric))
    rows = [_row(trials[each["number"]], each, config, space) for each in table.to_dict("records")]
    damaged = damage(folder.location)
    is_finished = len(trials) >= config.trials and not any(each.is_unfinished() for each in trials.values())
    return SweepData(
        location=folder.location,
        name=folder.name,
        config=config,
        metric=metric,
        space=space,
        trials=trials,
        rows=rows,
        table=table,
        sessions=[event.time for event in events if isinstance(event, SweepStarted)],
        pictures=read_pictures(folder.files, [row.number for row in rows]),
        status=_status(folder, config, trials, is_finished=is_finished)
        + (f" But {damaged}." if damaged is not None else ""),
        is_finished=is_finished,
    )


def _objective(evaluation: EvaluationConfig, events: Sequence[SweepEvent]) -> str:
    """The objective's name in ticks: `evaluation.key()`, read from them, since that loads PyTorch."""
    names = (f"{evaluation.metric}_{count_name(evaluation.metric_images)}", evaluation.metric)
    ticks = (event for event in events if isinstance(event, Tick))
    found = (name for tick in ticks for name in names if name in tick.metrics)
    return next(found, None) or evaluation.key()


def _row(trial: Trial, record: Mapping[Any, Any], config: SweepConfig, space: Space) -> Row:
    found = {name: None if pd.isna(record[name]) else record[name] for name in ("rank", "best", "confirmed")}
    images = None if pd.isna(record["images_at_best"]) else int(record["images_at_best"])
    values = trial.values if images is None else trial.values_at(images)
    return Row(
        trial=trial,
        rank=found["rank"],
        best=found["best"],
        images_at_best=images,
        confirmed=found["confirmed"],
        values={path: values[path] for path in space if path in values},
        worker_s=record["duration"].total_seconds() * config.workers_per_trial,
    )


def _status(
    folder: SweepFolder, config: SweepConfig, trials: Mapping[int, Trial], *, is_finished: bool
) -> str:
    """Whether it runs, from its lock and its trials."""
    holder = read_holder(folder.files)
    times = [tick.time for trial in trials.values() for _, tick in trial.ticks]
    ago = f"; its last tick ended {duration(max(0.0, time.time() - max(times)))} ago" if times else ""
    begun = f"{len(trials)} of {config.trials} trials have begun"
    if holder is not None and holder.is_alive():
        return f"It is running: {begun}{ago}."
    if is_finished:
        return f"It is finished: {len(trials)} trials{_when(trials)}."
    unfinished = sum(trial.is_unfinished() for trial in trials.values())
    if holder is not None and holder.is_alive() is None:  # on another machine
        return f"It is running on {holder.host}, or was killed there: {begun}{ago}."
    if any(trial.state == "running" for trial in trials.values()):
        return f"It was killed, and can be resumed: {begun}, {unfinished} of them unfinished{ago}."
    return f"It was stopped before its end, and can be resumed: {begun}, {unfinished} of them unfinished."


def _when(trials: Mapping[int, Trial]) -> str:
    """` from 2026-09-21 14:13 to 2026-09-21 14:17 UTC`."""
    times = [
        time for trial in trials.values() for time in (trial.started, trial.ended) if math.isfinite(time)
    ]
    if not times:
        return ""
    first, last = (datetime.datetime.fromtimestamp(at, datetime.UTC) for at in (min(times), max(times)))
    return f", from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
