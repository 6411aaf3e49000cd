"""The tables of a sweep, derived from its event log: one row per trial, one row per tick."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from common.storage.folder import Folder
from gan.metrics.config import ARTIFACTS
from tune.records.trial_records import Trial, best_first
from tune.space.domains import Choice, Domain, Float, Int
from tune.space.space import Space

_SECONDS = ("train_s", "evaluate_s")


def trials_table(trials: Mapping[int, Trial], space: Space, metric: str) -> pd.DataFrame:
    """One row per trial, by number, also for trials that failed or never reported.

    Columns: number, trial_id, state, reason, verdict, verdict_evidence (the last ones), ended_for (for which
    verdict it was stopped, or diverged), attempt, seed (where it is not the sweep's, because an earlier
    trial had the same settings), every searched setting by dotted path, best, last,
    images_at_best, checkerboard, burnt (at the best), images_seen, ticks, seconds (of all ticks, lost ones
    included), started, ended (UTC), checkpoint, best_checkpoint, best_checkpoint_images, confirmed,
    confirmed_metric, confirmed_noise (value, name and noise floor of the best of its states that was measured
    again), second, second_metric, second_noise (the same state by another network). Where attempts overlap,
    `best` takes the values of the last one. What earlier versions did not measure is missing.
    """
    rows = [_trial_row(trial, metric) for _, trial in sorted(trials.items())]
    dtypes: dict[str, str] = {
        "number": "int64",
        "trial_id": "string",
        "state": "string",
        "reason": "string",
        "verdict": "string",
        "verdict_evidence": "string",
        "ended_for": "string",
        "attempt": "int64",
        "seed": "Int64",
        **{path: _dtype(domain) for path, domain in space.items()},
        "best": "float64",
        "last": "float64",
        "images_at_best": "Int64",
        **dict.fromkeys(ARTIFACTS, "float64"),
        "images_seen": "int64",
        "ticks": "int64",
        "seconds": "float64",
        "started": "datetime64[ns, UTC]",
        "ended": "datetime64[ns, UTC]",
        "checkpoint": "string",
        "best_checkpoint": "string",
        "best_checkpoint_images": "Int64",
        "confirmed": "float64",
        "confirmed_metric": "string",
        "confirmed_noise": "float64",
        "second": "float64",
        "second_metric": "string",
        "second_noise": "float64",
    }
    return _table(rows, dtypes)


def history_table(trials: Mapping[int, Trial], space: Space) -> pd.DataFrame:
    """One row per tick, of every attempt, by number and time.

    Columns: number, trial_id, attempt, time (UTC), images_seen, every metric and statistic that a tick
    reported, verdict, verdict_evidence, worker_group and node (which trained it; missing in earlier sweeps),
    every searched setting by dotted path with its value at that tick.
    """
    rows = [row for _, trial in sorted(trials.items()) for row in _history_rows(trial)]
    texts = ("verdict", "verdict_evidence")
    reserved = {"number", "trial_id", "attempt", "seed", "time", "images_seen", "worker_group", "node"}
    reserved |= {*texts, *space}
    metrics = dict.fromkeys(name for row in rows for name in row if name not in reserved)
    dtypes: dict[str, str] = {
        "number": "int64",
        "trial_id": "string",
        "attempt": "int64",
        "time": "datetime64[ns, UTC]",
        "images_seen": "int64",
        **dict.fromkeys(metrics, "float64"),
        **dict.fromkeys(texts, "string"),
        "worker_group": "Int64",
        "node": "string",
        **{path: _dtype(domain) for path, domain in space.items()},
    }
    return _table(rows, dtypes)


def ranked(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials from best to worst with a column `rank` from 1; those without a value last and unranked.

    The best ones that were measured again are ranked by that, all others by their best tick.

    trials: as `trials_table` returns them, hence of equally good ones the earlier first.
    """
    with_value = best_first(zip(trials["best"], trials.index, strict=True))
    again = trials["confirmed"].loc[with_value]
    lucky = with_value[: int(again.notna().cumprod().sum())]
    with_value[: len(lucky)] = best_first((again[place], place) for place in lucky)
    order = trials.loc[[*with_value, *trials.index.difference(with_value)]].reset_index(drop=True)
    ranks = pd.Series(range(1, len(order) + 1), dtype="Int64").where(order["best"].notna())
    order.insert(0, "rank", ranks)
    return order


def write_tables(location: str | Path, trials: pd.DataFrame, history: pd.DataFrame) -> None:
    """Put trials.parquet, trials.csv and history.parquet into a folder or URL, each atomically.

    Raises: WriteError in one line, such as when the disk is full; the earlier tables are intact.
    """
    folder = Folder(str(location))
    folder.write("trials.parquet", _parquet(trials))
    folder.write("trials.csv", trials.to_csv(index=False).encode())
    folder.write("history.parquet", _parquet(history))


def _trial_row(trial: Trial, metric: str) -> dict[str, Any]:
    last, best = trial.last_tick(), trial.best_tick(metric)
    checkpoint, best_checkpoint = trial.last_checkpoint(), trial.best_checkpoint()
    confirmed, (verdict, evidence) = trial.best_confirmed(), trial.verdict()
    return {
        "number": trial.number,
        "trial_id": trial.trial_id,
        "state": trial.state,
        "reason": trial.reason,
        "verdict": verdict,
        "verdict_evidence": evidence,
        "ended_for": trial.ended_for,
        "attempt": trial.attempt,
        **trial.values,
        "best": best.metrics[metric] if best else None,
        "last": last.metrics.get(metric) if last else None,
        "images_at_best": best.images_seen if best else None,
        **{name: best.metrics.get(name) if best else None for name in ARTIFACTS},
        "images_seen": trial.images_seen,
        "ticks": len(trial.valid_ticks()),
        "seconds": sum(tick.metrics.get(name) or 0.0 for _, tick in trial.ticks for name in _SECONDS),
        "started": trial.started,
        "ended": trial.ended,
        "checkpoint": checkpoint.path if checkpoint else None,
        "best_checkpoint": best_checkpoint.path if best_checkpoint else None,
        "best_checkpoint_images": best_checkpoint.images_seen if best_checkpoint else None,
        "confirmed": confirmed.value if confirmed else None,
        "confirmed_metric": confirmed.metric if confirmed else None,
        "confirmed_noise": confirmed.noise if confirmed else None,
        "second": confirmed.second if confirmed else None,
        "second_metric": confirmed.second_metric if confirmed else None,
        "second_noise": confirmed.second_noise if confirmed else None,
    }


def _history_rows(trial: Trial) -> list[dict[str, Any]]:
    return [
        {
            **tick.metrics,
            **(tick.values or {}),
            "number": trial.number,
            "trial_id": tick.trial_id,
            "attempt": attempt,
            "time": tick.time,
            "images_seen": tick.images_seen,
            "verdict": tick.verdict,
            "verdict_evidence": tick.verdict_evidence,
            "worker_group": tick.worker_group,
            "node": tick.node,
        }
        for attempt, tick in trial.ticks
    ]


def _table(rows: list[dict[str, Any]], dtypes: Mapping[str, str]) -> pd.DataFrame:
    # each column with its own type: pandas would guess object or float for an empty one
    return pd.DataFrame(
        {name: _column([row.get(name) for row in rows], dtype) for name, dtype in dtypes.items()}
    )


def _column(values: list[Any], dtype: str) -> pd.Series:
    if dtype.startswith("datetime64"):  # from seconds since 1970, NaN without a time
        return pd.Series(pd.to_datetime(values, unit="s", utc=True), dtype=dtype)
    return pd.Series(values, dtype=dtype)


def _dtype(domain: Domain) -> str:
    if isinstance(domain, Choice):
        kinds = {type(value) for value in domain.values}
        if kinds <= {bool}:
            return "boolean"
        if kinds <= {int}:
            return "Int64"
        return "float64" if kinds <= {int, float} else "string"
    return {Float: "float64", Int: "Int64"}[type(domain)]


def _parquet(table: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return buffer.getvalue()
