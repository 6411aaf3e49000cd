"""Every column of the tables is described: in the frames' types, the Parquet files and docs/tables.md."""

from pathlib import Path

import pandas as pd
import pyarrow.parquet
import pytest

from gan.columns import describe
from gan.data.loading import load_images
from gan.metrics.config import EvaluationConfig
from gan.metrics.named import METRICS
from gan.training.run import GanRun
from tests.tune.sweeps import tiny_gan
from tune.records.events import StateConfirmed, SweepEvent, Tick, TrialEnded, TrialStarted
from tune.records.schema import STATES, VERDICTS, markdown
from tune.records.tables import history_table, trials_table, write_tables
from tune.records.trial_records import collect
from tune.space.space import Choice, Float, Int, Space

TABLES = Path(__file__).parents[3] / "docs" / "tables.md"
SPACE = Space(
    {
        "balance.policy": Choice(("none", "loss")),
        "balance.loss_threshold": Float(0.1, 0.5, when={"balance.policy": ("loss",)}),
        "network.width": Int(4, 8),
    }
)
VALUES = {"balance.policy": "none", "network.width": 4}


@pytest.fixture(scope="module")
def ticks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    """The numbers of a real tick, with all that a run can report beside its metric, by the metric's name."""
    cache = str(tmp_path_factory.mktemp("cache"))
    changes = {
        "data.cache": cache,
        "evaluation.metric_images": 16,
        "regularization.augment": "colour",
        "images_per_tick": 16,
    }
    rows = {}
    for metric in ("swd", "fd_compact", "fd_lite0", "kid_compact"):
        config = tiny_gan().with_values({**changes, "evaluation.metric": metric})
        rows[metric] = GanRun(config, load_images(config.data)).tick()
    return rows


def events(row: dict[str, float]) -> list[SweepEvent]:
    return [
        TrialStarted(number=0, trial_id="a", values=VALUES, time=100.0),
        Tick(number=0, trial_id="a", images_seen=16, metrics=row, verdict="healthy", time=101.0),
        StateConfirmed(number=0, path="c", metric="swd_5k", value=1.0, noise=0.1),
        TrialEnded(number=0, state="pruned", verdict="stalled", reason="stalled: no progress", time=102.0),
        TrialStarted(number=1, trial_id="b", values=VALUES | {"balance.policy": "loss"}, time=100.0),
    ]


def test_every_number_that_a_tick_reports_is_described(ticks: dict[str, dict[str, float]]) -> None:
    modes = EvaluationConfig(metric="missing_modes").key()
    others = {f"{known}{end}" for known in ("modes_1k", "kl_1k", modes) for end in ("", "_noise")}
    metrics = {EvaluationConfig(metric=name).key() for name in METRICS}
    for name in sorted((others | metrics).union(*ticks.values())):
        found = describe(name)
        assert "not described" not in found.meaning and found.name == name, f"{name} needs a description"
    assert "augment_probability" in ticks["swd"] and "memorization_lite0_16_noise" in ticks["fd_lite0"]
    assert "not described" in describe("a_metric_of_ones_own").meaning


def test_the_parquet_files_say_what_each_column_holds(
    ticks: dict[str, dict[str, float]], tmp_path: Path
) -> None:
    trials = collect(events(ticks["fd_lite0"] | {"turnover_s": 0.1}))
    tables = {
        "trials": trials_table(trials, SPACE, "fd_lite0_16"),
        "history": history_table(trials, SPACE),
    }
    write_tables(tmp_path, tables["trials"], tables["history"], SPACE)
    for name, table in tables.items():
        schema = pyarrow.parquet.read_schema(tmp_path / f"{name}.parquet")
        assert schema.names == list(table.columns)
        for field in schema:
            said = {key.decode(): text.decode() for key, text in field.metadata.items()}
            assert said["meaning"] and "not described" not in said["meaning"] and said["missing"]
            assert said["missing"] != "never" or table[field.name].notna().all(), field.name
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / f"{name}.parquet"), table)
    schema = pyarrow.parquet.read_schema(tmp_path / "history.parquet")
    assert schema.field("train_s").metadata[b"unit"] == b"s"
    assert b"noise floor of fd_lite0_16" in schema.field("fd_lite0_16_noise").metadata[b"meaning"]
    assert b"network.width" in schema.field("network.width").metadata[b"meaning"]


def test_states_verdicts_and_choices_are_categories_and_durations_are_timedeltas() -> None:
    trials = collect(events({"swd": 1.0, "train_s": 1.5, "evaluate_s": 0.25}))
    table, history = trials_table(trials, SPACE, "swd"), history_table(trials, SPACE)
    assert tuple(table["state"].cat.categories) == STATES
    assert tuple(history["verdict"].cat.categories) == VERDICTS
    assert table["balance.policy"].cat.categories.tolist() == ["none", "loss"]
    assert table["ended_for"].tolist()[0] == "stalled" and pd.isna(table["ended_for"][1])
    assert table["duration"].tolist() == [pd.Timedelta(seconds=1.75), pd.Timedelta(0)]
    assert table["network.width"].dtype == "Int64"


def test_what_a_newer_version_found_is_a_category_too() -> None:
    tick = Tick(number=0, trial_id="a", images_seen=1, metrics={}, verdict="haunted")
    table = history_table(collect([TrialStarted(number=0, trial_id="a"), tick]), SPACE)
    assert table["verdict"].tolist() == ["haunted"]
    assert table["verdict"].cat.categories.tolist() == [*VERDICTS, "haunted"]


@pytest.mark.parametrize("heading", markdown())
def test_the_page_has_the_tables_of_the_schema(heading: str) -> None:
    assert markdown()[heading] in TABLES.read_text(), (
        "docs/tables.md is older than the schema; python -m tune.records.schema prints its tables"
    )
