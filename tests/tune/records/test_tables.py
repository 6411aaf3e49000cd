"""The tables: complete for every trial, equal to the events, and at most 100 columns wide in the terminal."""

import io
import math
from pathlib import Path

import fsspec
import pandas as pd
import pytest
import rich.console

from common.storage.atomic import WriteError
from tune.display.leaderboard import Room, leaderboard, short
from tune.records.events import (
    CheckpointSaved,
    StateConfirmed,
    SweepEvent,
    SweepStarted,
    Tick,
    TrialEnded,
    TrialStarted,
)
from tune.records.tables import history_table, ranked, trials_table, write_tables
from tune.records.trial_records import Checkpoint, collect
from tune.space.default import default_space
from tune.space.space import Choice, Int, Space

SPACE = default_space()
RATE, POLICY, LIMIT = "optimizer.generator_lr", "balance.policy", "balance.loss_threshold"


def tick(number: int, images: int, value: float, *, time: float = 0.0, **more: object) -> Tick:
    metrics = {"swd": value, "train_s": 2.0, "evaluate_s": 0.5}
    return Tick(number=number, trial_id=f"t{number}", images_seen=images, metrics=metrics, time=time, **more)  # type: ignore[arg-type]


def started(number: int, *, attempt: int = 0, time: float = 100.0, **values: object) -> TrialStarted:
    named = {RATE: 1e-4, POLICY: "none"} | values
    return TrialStarted(number=number, trial_id=f"t{number}", attempt=attempt, values=named, time=time)


EVENTS: list[SweepEvent] = [
    SweepStarted(trials=7),
    started(0),
    started(1, **{POLICY: "loss", LIMIT: 0.3}),
    tick(0, 10, 5.0),
    CheckpointSaved(number=0, images_seen=10, path="c0-10", value=5.0),
    tick(0, 20, 3.0),
    CheckpointSaved(number=0, images_seen=20, path="c0-20", value=3.0),
    tick(0, 30, 4.0),
    CheckpointSaved(number=0, images_seen=30, path="c0-30", value=4.0),
    TrialEnded(number=0, state="completed", time=160.0),
    tick(1, 10, 9.0),
    TrialEnded(number=1, state="pruned", reason="stopped by asha"),
    started(3),
    TrialEnded(number=3, state="failed", reason="the generator's loss is NaN"),
    started(2),
    tick(2, 10, 2.0),
    CheckpointSaved(number=2, images_seen=10, path="c2-10", value=2.0),
    TrialEnded(number=2, state="interrupted", reason="stopped by the user"),
    started(4),
]


def test_the_table_has_one_row_for_every_trial_also_failed_and_never_reported_ones() -> None:
    table = trials_table(collect(EVENTS), SPACE, "swd")
    assert table["number"].tolist() == [0, 1, 2, 3, 4]
    assert table["state"].tolist() == ["completed", "pruned", "interrupted", "failed", "running"]
    assert table["reason"].fillna("").tolist()[3] == "the generator's loss is NaN"
    assert set(SPACE) < set(table.columns)
    best = table.set_index("number").loc[0]
    assert (best["best"], best["last"], best["images_at_best"], best["images_seen"]) == (3.0, 4.0, 20, 30)
    assert (best["ticks"], best["duration"].total_seconds()) == (3, 7.5)
    assert (best["checkpoint"], best["best_checkpoint"], best["best_checkpoint_images"]) == (
        "c0-30",
        "c0-20",
        20,
    )
    assert best["started"] == pd.Timestamp("1970-01-01 00:01:40", tz="UTC")
    assert (best["ended"] - best["started"]).total_seconds() == 60.0
    silent = table.set_index("number").loc[3]
    assert math.isnan(silent["best"]) and silent["ticks"] == 0 and silent["images_seen"] == 0
    assert pd.isna(silent["checkpoint"]) and pd.isna(silent["images_at_best"])
    assert table[LIMIT].notna().tolist() == [False, True, False, False, False]


def test_the_best_that_were_measured_again_are_ranked_by_that_and_all_others_by_their_best_tick() -> None:
    again = [
        StateConfirmed(number=2, path="c2-10", metric="swd", value=4.0, noise=0.1),
        StateConfirmed(number=0, path="c0-20", metric="swd", value=3.5, noise=0.1),
    ]
    table = trials_table(collect([*EVENTS, *again]), SPACE, "swd").set_index("number", drop=False)
    assert table["confirmed"].dropna().to_dict() == {0: 3.5, 2: 4.0}
    assert table.loc[0, ["confirmed_metric", "confirmed_noise"]].tolist() == ["swd", 0.1]
    assert ranked(table.reset_index(drop=True))["number"].tolist() == [0, 2, 1, 3, 4]
    one = trials_table(collect([*EVENTS, again[1]]), SPACE, "swd")
    assert ranked(one)["number"].tolist() == [2, 0, 1, 3, 4], "the best one was not measured again"


def test_a_state_s_values_by_both_networks_are_beside_each_other_and_missing_in_earlier_logs() -> None:
    more = {"second": 0.8, "second_metric": "fd_lite0_60", "second_noise": 0.02}
    again = [
        StateConfirmed(number=2, path="c2-10", metric="swd", value=4.0, noise=0.1),
        StateConfirmed(number=0, path="c0-20", metric="swd", value=3.5, noise=0.1, **more),  # type: ignore[arg-type]
    ]
    table = trials_table(collect([*EVENTS, *again]), SPACE, "swd").set_index("number", drop=False)
    columns = list(table.columns)
    place = columns.index("confirmed")
    assert columns[place : place + 6] == ["confirmed", "confirmed_metric", "confirmed_noise", *more]
    assert table.loc[0, list(more)].to_dict() == more
    assert table.loc[[1, 2, 3, 4], list(more)].isna().all(axis=None)


def test_patterns_and_burnt_pixels_are_those_of_the_best_tick_and_missing_in_earlier_logs() -> None:
    def measured(images: int, swd: float, **more: float) -> Tick:
        return Tick(number=0, trial_id="t0", images_seen=images, metrics={"swd": swd, **more})

    events: list[SweepEvent] = [
        started(0),
        measured(10, 5.0, checkerboard=9.0, burnt=0.5),
        measured(20, 3.0, checkerboard=2.0, burnt=-0.1),
        measured(30, 4.0, checkerboard=7.0, burnt=0.3),
    ]
    row = trials_table(collect(events), SPACE, "swd").iloc[0]
    assert (row["checkerboard"], row["burnt"]) == (2.0, -0.1)
    history = history_table(collect(events), SPACE)
    assert history[["checkerboard", "burnt"]].values.tolist() == [[9.0, 0.5], [2.0, -0.1], [7.0, 0.3]]
    # a sweep that an earlier version began
    later = collect([started(0), tick(0, 10, 5.0), measured(20, 3.0, checkerboard=2.0, burnt=-0.1)])
    assert history_table(later, SPACE)["burnt"].isna().tolist() == [True, False]
    earlier = trials_table(collect(EVENTS), SPACE, "swd")
    assert earlier[["checkerboard", "burnt"]].isna().all(axis=None)
    assert [str(dtype) for dtype in earlier.dtypes[["checkerboard", "burnt"]]] == ["float64", "float64"]


def test_columns_keep_their_types_when_they_are_empty() -> None:
    for events in ([], EVENTS[:2], EVENTS):
        table = trials_table(collect(events), SPACE, "swd")
        assert table["best"].dtype == "float64" and table[LIMIT].dtype == "float64"
        assert table["images_at_best"].dtype == "Int64" and table[POLICY].dtype == "category"
        history = history_table(collect(events), SPACE)
        assert history["images_seen"].dtype == "int64"
    mixed = Space(
        {"network.spectral_norm": Choice((True,)), "batch": Choice((4, 8)), "network.width": Int(1, 3)}
    )
    assert [str(dtype) for dtype in trials_table(collect([]), mixed, "swd").dtypes[list(mixed)]] == [
        "boolean",
        "Int64",
        "Int64",
    ]


def test_where_attempts_overlap_the_last_one_counts_and_the_history_keeps_both() -> None:
    events: list[SweepEvent] = [
        started(0),
        tick(0, 10, 5.0),
        tick(0, 20, 1.0),
        TrialStarted(number=0, trial_id="again", attempt=1, values={}, time=200.0),
        tick(0, 20, 4.0),
        tick(0, 30, 4.5),
    ]
    row = trials_table(collect(events), SPACE, "swd").iloc[0]
    assert (row["best"], row["images_at_best"], row["ticks"], row["attempt"]) == (4.0, 20, 3, 1)
    assert (row["duration"], row["trial_id"], row[RATE]) == (pd.Timedelta(seconds=10), "again", 1e-4)
    assert row["started"].timestamp() == 100.0
    history = history_table(collect(events), SPACE)
    assert history[["attempt", "images_seen", "swd"]].values.tolist() == [
        [0, 10, 5.0],
        [0, 20, 1.0],
        [1, 20, 4.0],
        [1, 30, 4.5],
    ]


def test_values_that_change_within_a_trial_are_in_their_ticks_and_the_last_is_in_the_row() -> None:
    events: list[SweepEvent] = [started(0), tick(0, 10, 5.0), tick(0, 20, 4.0, values={RATE: 3e-4})]
    assert trials_table(collect(events), SPACE, "swd")[RATE].tolist() == [3e-4]
    assert history_table(collect(events), SPACE)[RATE].tolist() == [1e-4, 3e-4]
    assert collect(events)[0].values[RATE] == 3e-4


def test_values_that_are_missing_or_not_finite_are_never_the_best() -> None:
    lost = Tick(number=0, trial_id="t0", images_seen=5, metrics={})
    unwritten = Tick(number=0, trial_id="t0", images_seen=40, metrics={"swd": None})  # type: ignore[dict-item]
    row = trials_table(
        collect([lost, tick(0, 10, math.nan), tick(0, 20, 7.0), unwritten]), SPACE, "swd"
    ).iloc[0]
    assert row["best"] == 7.0 and math.isnan(row["last"]) and row["images_seen"] == 40


def test_running_and_interrupted_trials_continue_from_their_last_checkpoint() -> None:
    two, four = (trial for trial in collect(EVENTS).values() if trial.is_unfinished())
    assert (two.number, two.last_checkpoint()) == (2, Checkpoint(path="c2-10", images_seen=10, value=2.0))
    assert (four.number, four.last_checkpoint()) == (4, None)
    assert four.values == {RATE: 1e-4, POLICY: "none"}
    again = collect([*EVENTS, started(0, attempt=1)])
    assert [trial.number for trial in again.values() if trial.is_unfinished()] == [0, 2, 4]


def test_the_ranking_puts_the_best_first_and_the_valueless_last_without_a_rank() -> None:
    table = trials_table(collect(EVENTS), SPACE, "swd")
    board = ranked(table)
    assert board["number"].tolist() == [2, 0, 1, 3, 4]
    assert board["rank"].fillna(-1).tolist() == [1, 2, 3, -1, -1]
    assert ranked(trials_table(collect([]), SPACE, "swd")).empty


def test_tables_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    trials, history = trials_table(collect(EVENTS), SPACE, "swd"), history_table(collect(EVENTS), SPACE)
    for _ in range(2):
        write_tables(tmp_path / "sweep", trials, history, SPACE)
    assert sorted(path.name for path in (tmp_path / "sweep").iterdir()) == [
        "history.parquet",
        "trials.csv",
        "trials.parquet",
    ]
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "sweep" / "trials.parquet"), trials)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "sweep" / "history.parquet"), history)
    csv = pd.read_csv(tmp_path / "sweep" / "trials.csv")
    assert csv["best"].fillna(-1).tolist() == trials["best"].fillna(-1).tolist()
    assert list(csv.columns) == [{"duration": "duration_s"}.get(name, name) for name in trials.columns]
    assert csv["duration_s"].tolist() == trials["duration"].dt.total_seconds().tolist()
    nothing = collect([])
    write_tables(
        tmp_path / "empty", trials_table(nothing, SPACE, "swd"), history_table(nothing, SPACE), SPACE
    )
    assert len(pd.read_parquet(tmp_path / "empty" / "history.parquet")) == 0


def test_tables_are_written_to_a_url() -> None:
    try:
        write_tables(
            "memory://bucket/tables",
            trials_table(collect(EVENTS), SPACE, "swd"),
            history_table(collect(EVENTS), SPACE),
            SPACE,
        )
        stored = fsspec.filesystem("memory").cat_file("/bucket/tables/trials.parquet")
        assert len(pd.read_parquet(io.BytesIO(stored))) == 5
    finally:
        fsspec.filesystem("memory").store.clear()


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot be written"):
        write_tables(tmp_path / "file", trials_table({}, SPACE, "swd"), history_table({}, SPACE), SPACE)


def printed(table: pd.DataFrame, space: Space, rows: int = 10) -> str:
    console = rich.console.Console(file=io.StringIO(), width=100, color_system=None)
    console.print(leaderboard(ranked(table), space, "swd", room=Room(width=100, rows=rows)))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(len(line) <= 100 for line in text.splitlines())
    assert "…" not in text
    return str(text)


def test_the_leaderboard_fits_100_columns_and_shows_the_settings() -> None:
    text = printed(trials_table(collect(EVENTS), SPACE, "swd"), SPACE)
    lines = [line.split() for line in text.splitlines() if line.strip()]
    first = next(line for line in lines if line[:2] == ["1", "2"])
    assert first[:7] == ["1", "2", "interrupted", "2", "10", "0.0001", "none"]
    assert any(line[:3] == ["-", "3", "failed"] for line in lines)
    only = printed(trials_table(collect(EVENTS), SPACE, "swd"), SPACE, rows=1)
    assert "pruned" not in only


def test_a_leaderboard_of_many_settings_fits_100_columns_too() -> None:
    many = Space(
        {
            **SPACE,
            "loss.name": Choice(("non-saturating", "least-squares", "wasserstein")),
            "network.spectral_norm": Choice((True, False)),
            "network.width": Int(16, 64),
            "batch": Choice((32, 64)),
        }
    )
    values = {"loss.name": "non-saturating", "network.spectral_norm": True, "network.width": 32, "batch": 64}
    events: list[SweepEvent] = [started(0, **values), tick(0, 1_000_000, 123.456)]
    text = printed(trials_table(collect(events), many, "swd"), many)
    assert "spectral norm True" in " ".join(text.split())
    assert "123.5" in text and "1,000,000" in text
    printed(trials_table(collect([]), many, "swd"), many)
    printed(trials_table(collect([]), SPACE, "swd"), SPACE)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2e-4, "0.0002"),
        (1e-5, "1e-5"),
        (1.23456e-5, "1.23e-5"),
        (0.5, "0.5"),
        (64, "64"),
        (True, "True"),
        (pd.NA, ""),
    ],
)
def test_short_numbers_have_three_digits(value: object, text: str) -> None:
    assert short(value) == text
