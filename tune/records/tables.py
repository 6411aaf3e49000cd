"""The tables of a sweep, derived from its event log: one row per trial, one row per tick."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pyarrow.parquet

from common.storage.folder import Folder
from gan.columns import Column
from gan.metrics.config import ARTIFACTS
from tune.records.event_reading import TRIALS_CSV
from tune.records.schema import CATEGORY, DURATION, TIME, categories, history_columns, trial_columns
from tune.records.trial_records import Trial, best_first
from tune.space.space import Space

_SECONDS = ("train_s", "evaluate_s")


def trials_table(trials: Mapping[int, Trial], space: Space, metric: str) -> pd.DataFrame:
    """One row per trial, by number, also for trials that failed or never reported.

    Columns: `schema.TRIAL_COLUMNS`. Where attempts overlap, `best` takes the values of the last one. What
    earlier versions did not measure is missing.
    """
    rows = [_trial_row(trial, metric) for _, trial in sorted(trials.items())]
    return _table(rows, trial_columns(space), space)


def history_table(trials: Mapping[int, Trial], space: Space) -> pd.DataFrame:
    """One row per tick, of every attempt, by number and time.

    Columns: `schema.history_columns`: every number that a tick reported, its verdict, and every searched
    setting by dotted path with its value at that tick.
    """
    rows = [row for _, trial in sorted(trials.items()) for row in _history_rows(trial)]
    reported = (name for row in rows for name in row)
    return _table(rows, history_columns(space, reported), space)


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


def write_tables(location: str | Path, trials: pd.DataFrame, history: pd.DataFrame, space: Space) -> None:
    """Put trials.parquet, trials.csv and history.parquet into a folder or URL, each atomically.

    The Parquet files say in each field's metadata what it holds. In the CSV file durations are seconds, in
    columns whose names end in _s.

    Raises: WriteError in one line, such as when the disk is full; the earlier tables are intact.
    """
    folder = Folder(str(location))
    folder.write("trials.parquet", _parquet(trials, trial_columns(space)))
    folder.write(TRIALS_CSV, _in_seconds(trials).to_csv(index=False).encode())
    folder.write("history.parquet", _parquet(history, history_columns(space, history.columns)))


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
        "duration": sum(tick.metrics.get(name) or 0.0 for _, tick in trial.ticks for name in _SECONDS),
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


def _table(rows: list[dict[str, Any]], columns: list[Column], space: Space) -> pd.DataFrame:
    # each column with its own type: pandas would guess object or float for an empty one
    return pd.DataFrame(
        {each.name: _column([row.get(each.name) for row in rows], each, space) for each in columns}
    )


def _column(values: list[Any], column: Column, space: Space) -> pd.Series:
    if column.dtype == TIME:  # from seconds since 1970, NaN without a time
        return pd.Series(pd.to_datetime(values, unit="s", utc=True), dtype=TIME)
    if column.dtype == DURATION:
        return pd.Series(pd.to_timedelta(values, unit="s"), dtype=DURATION)
    if column.dtype == CATEGORY:
        texts = [None if value is None else str(value) for value in values]
        # a newer version's log may have values that this one does not know
        known = dict.fromkeys(
            [*categories(column.name, space), *(text for text in texts if text is not None)]
        )
        return pd.Series(texts, dtype=pd.CategoricalDtype(list(known)))
    return pd.Series(values, dtype=column.dtype)


def _in_seconds(table: pd.DataFrame) -> pd.DataFrame:
    """The table with each duration as a number of seconds, under its name with _s."""
    changed = table.copy()
    for name in table.select_dtypes("timedelta"):
        changed[name] = table[name].dt.total_seconds()
        changed = changed.rename(columns={name: f"{name}_s"})
    return changed


def _parquet(table: pd.DataFrame, columns: list[Column]) -> bytes:
    """The table as a Parquet file, whose fields say what they hold."""
    plain = pyarrow.Table.from_pandas(table, preserve_index=False)
    described = {column.name: column for column in columns}
    fields = [field.with_metadata(_metadata(described[field.name])) for field in plain.schema]
    buffer = io.BytesIO()
    schema = pyarrow.schema(fields, metadata=plain.schema.metadata)
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays(plain.columns, schema=schema), buffer)
    return buffer.getvalue()


def _metadata(column: Column) -> dict[str, str]:
    return {"meaning": column.meaning, "unit": column.unit, "missing": column.missing}
