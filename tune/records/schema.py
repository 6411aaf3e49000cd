"""The columns of a sweep's tables: type, unit, meaning, and when a value is missing.

The types of the frames, the metadata of the Parquet files' fields and the tables of docs/tables.md come from
here: `python -m tune.records.schema` prints the latter.
"""

from collections.abc import Iterable, Mapping
from typing import Final, get_args

from gan.columns import NOISE, TICK_COLUMNS, Column, describe, metric_columns
from gan.metrics.config import ARTIFACTS
from gan.training.health import HEALTHY, TROUBLES
from tune.records.trial_records import State
from tune.space.domains import Choice, Domain, Int
from tune.space.space import Space

CATEGORY: Final = "category"
DURATION: Final = "timedelta64[ns]"
TIME: Final = "datetime64[ns, UTC]"
SETTING: Final = "<setting>"
"""Stands for every searched setting, by its dotted path such as `optimizer.generator_lr`."""

STATES: tuple[str, ...] = get_args(State)
VERDICTS: tuple[str, ...] = (HEALTHY, *TROUBLES)
_CATEGORIES = {"state": STATES, "verdict": VERDICTS, "ended_for": TROUBLES}

_NO_VALUE = "before its first finite value"
_NO_STATE = "before a state was saved"
_NOT_AGAIN = "where no state of it was measured again"
_NO_GROUP = "in the logs of versions that did not note it"
_NO_VERDICT = "before the first tick; in the logs of versions without verdicts"
_NOT_SECOND = f"{_NOT_AGAIN}, or by one network only"

TRIAL_COLUMNS: tuple[Column, ...] = (
    Column("number", "int64", "", "number of the trial, as in the study; 0 has the base settings"),
    Column("trial_id", "string", "", "Tune's name for the trial; a resumed one has a new one"),
    Column("state", CATEGORY, "", "running, completed, pruned, failed or interrupted"),
    Column(
        "reason", "string", "", "why it ended", "where it runs, was completed, or was pruned for its value"
    ),
    Column("verdict", CATEGORY, "", "what is the matter with it, after its last tick", _NO_VERDICT),
    Column("verdict_evidence", "string", "", "the numbers that show it", _NO_VERDICT),
    Column("ended_for", CATEGORY, "", "verdict for which it was ended", "where it ended for another reason"),
    Column("attempt", "int64", "", "how often it began again after it lost its workers or its driver"),
    Column(
        "seed",
        "Int64",
        "",
        "its own seed, where an earlier trial has the same settings",
        "where it has the sweep's seed",
    ),
    Column(
        SETTING,
        "by its domain",
        "",
        "value of each searched setting; a population changes it, and then it is the last",
        "where the condition of the setting is not met",
    ),
    Column("best", "float64", "of the objective", "lowest value of its ticks but diverged ones", _NO_VALUE),
    Column("last", "float64", "of the objective", "value of its last tick", "before its first tick"),
    Column("images_at_best", "Int64", "images", "images shown at its lowest value", _NO_VALUE),
    *(
        Column(
            name, "float64", describe(name).unit, f"{describe(name).meaning}; at its lowest value", _NO_VALUE
        )
        for name in ARTIFACTS
    ),
    Column("images_seen", "int64", "images", "real images shown up to its newest tick"),
    Column("ticks", "int64", "ticks", "ticks so far, lost ones not counted"),
    Column("duration", DURATION, "", "training and measuring of all its ticks, lost ones included"),
    Column("started", TIME, "", "when its first attempt began", "where that is not in the log"),
    Column("ended", TIME, "", "when it ended", "while it runs"),
    Column("checkpoint", "string", "", "folder of its newest state, below the sweep's", _NO_STATE),
    Column("best_checkpoint", "string", "", "folder of its state with the lowest value", _NO_STATE),
    Column("best_checkpoint_images", "Int64", "images", "images shown at that state", _NO_STATE),
    Column(
        "confirmed",
        "float64",
        "of confirmed_metric",
        "lowest value of those of its states that were measured again on fresh samples",
        _NOT_AGAIN,
    ),
    Column("confirmed_metric", "string", "", "metric with which states were measured again", _NOT_AGAIN),
    Column("confirmed_noise", "float64", "of confirmed_metric", "noise floor of confirmed", _NOT_AGAIN),
    Column("second", "float64", "of second_metric", "the same samples by another network", _NOT_SECOND),
    Column("second_metric", "string", "", "metric of the other network", _NOT_SECOND),
    Column("second_noise", "float64", "of second_metric", "noise floor of second", _NOT_SECOND),
)

_BEFORE_METRICS: tuple[Column, ...] = (
    Column("number", "int64", "", "number of the trial"),
    Column("trial_id", "string", "", "Tune's name for the trial in that attempt"),
    Column("attempt", "int64", "", "0 for the first attempt; where attempts overlap the last one counts"),
    Column("time", TIME, "", "when the tick ended"),
    Column("images_seen", "int64", "images", "real images shown to the trial so far"),
)
_TURNOVER = Column(
    "turnover_s",
    "float64",
    "s",
    "time from the last tick of another trial on these workers until this one was ready there",
    "but where the workers took over the trial in this tick, from another",
)
_AFTER_METRICS: tuple[Column, ...] = (
    Column("verdict", CATEGORY, "", "what is the matter with the trial, after this tick", _NO_VERDICT),
    Column("verdict_evidence", "string", "", "the numbers that show it", _NO_VERDICT),
    Column("worker_group", "Int64", "", "index of the worker group that trained the tick", _NO_GROUP),
    Column("node", "string", "", "name of that group's machine", _NO_GROUP),
    Column(
        SETTING,
        "by its domain",
        "",
        "value of each searched setting in this tick",
        "where the condition of the setting is not met",
    ),
)


def trial_columns(space: Space) -> list[Column]:
    """The columns of the table of trials, in order."""
    return list(_with_settings(TRIAL_COLUMNS, space))


def history_columns(space: Space, reported: Iterable[str]) -> list[Column]:
    """The columns of the table of ticks, in order.

    reported: names of the numbers that ticks reported; other columns, and a seed, may be among them.
    """
    others = {column.name for column in (*_BEFORE_METRICS, *_AFTER_METRICS)} | {"seed", *space}
    numbers = [
        _TURNOVER if name == _TURNOVER.name else describe(name)
        for name in dict.fromkeys(reported)
        if name not in others
    ]
    return [*_BEFORE_METRICS, *numbers, *_with_settings(_AFTER_METRICS, space)]


def categories(name: str, space: Mapping[str, Domain]) -> tuple[str, ...]:
    """The known values of a column of categories, in the order in which they are shown."""
    if name in _CATEGORIES:
        return _CATEGORIES[name]
    domain = space[name]
    assert isinstance(domain, Choice)
    return tuple(map(str, domain.values))


def markdown() -> dict[str, str]:
    """The tables of docs/tables.md by heading, a row a column."""
    noise = Column(
        f"<measure>{NOISE}",
        "float64",
        "as the measure's",
        "noise floor of a measure of images: its value for real training images",
        "where the measure is missing",
    )
    numbers = [each for each in TICK_COLUMNS if each.name != "images_seen"]
    ticks = [*numbers, _TURNOVER, *metric_columns(), noise]
    return {
        "trials": _rows(TRIAL_COLUMNS),
        "history": _rows([*_BEFORE_METRICS, *_AFTER_METRICS]),
        "numbers of a tick": _rows(ticks),
    }


def _with_settings(columns: Iterable[Column], space: Space) -> Iterable[Column]:
    for column in columns:
        if column.name != SETTING:
            yield column
            continue
        for path, domain in space.items():
            meaning = f"the searched setting {path}"
            missing = column.missing if domain.when else "before its trial began"
            yield Column(path, _dtype(domain), "", meaning, missing)


def _dtype(domain: Domain) -> str:
    if not isinstance(domain, Choice):
        return "Int64" if isinstance(domain, Int) else "float64"
    kinds = {type(value) for value in domain.values}
    if kinds <= {bool}:
        return "boolean"
    if kinds <= {int}:
        return "Int64"
    return "float64" if kinds <= {int, float} else CATEGORY


def _rows(columns: Iterable[Column]) -> str:
    head = "| column | type | unit | meaning | missing |\n|---|---|---|---|---|\n"
    return head + "".join(
        f"| `{each.name}` | {each.dtype} | {each.unit} | {each.meaning} | {each.missing} |\n"
        for each in columns
    )


if __name__ == "__main__":
    print("\n".join(f"## {heading}\n\n{table}" for heading, table in markdown().items()))
