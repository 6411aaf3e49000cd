"""The event log: what is appended is read back, also after a torn line, a full disk, and at a URL."""

import dataclasses
import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest

from common.errors import ConfigError
from common.storage.atomic import WriteError
from tune.records.event_reading import read_events
from tune.records.events import (
    LOG_NAME,
    CheckpointSaved,
    EventLog,
    StateConfirmed,
    SweepEvent,
    SweepStarted,
    Tick,
    TrialEnded,
    TrialStarted,
    to_line,
)

EVENTS: list[SweepEvent] = [
    SweepStarted(trials=3, time=1.0),
    TrialStarted(number=0, trial_id="a", values={"optimizer.beta1": 0.5, "balance.policy": "none"}, time=2.0),
    Tick(
        number=0,
        trial_id="a",
        images_seen=64,
        metrics={"swd": 3.25},
        values={"optimizer.beta1": 0.6},
        time=3.0,
    ),
    CheckpointSaved(number=0, images_seen=64, path="x/ä b", value=3.25, time=4.0),
    TrialEnded(number=0, trial_id="a", state="failed", reason='NaN in "loss"\nsecond line', time=5.0),
]


@pytest.fixture
def memory_url() -> Iterator[str]:
    yield "memory://bucket/sweep"
    fsspec.filesystem("memory").store.clear()


def test_what_was_appended_is_read_back_equal_and_in_order(tmp_path: Path) -> None:
    with EventLog(tmp_path / "sweep") as log:
        for count, event in enumerate(EVENTS, start=1):
            log.record(event)
            assert read_events(tmp_path / "sweep") == EVENTS[:count]  # there at once, without a flush
    with EventLog(tmp_path / "sweep") as log:
        log.record(EVENTS[0])
    assert read_events(tmp_path / "sweep") == [*EVENTS, EVENTS[0]]


def test_a_state_that_an_earlier_version_measured_by_one_network_is_read(tmp_path: Path) -> None:
    old = (
        b'{"event":"state_confirmed","number":1,"path":"c","metric":"swd","value":2.5,"noise":0.5,"time":9.0}'
    )
    (tmp_path / LOG_NAME).write_bytes(old + b"\n")
    (event,) = read_events(tmp_path)
    assert event == StateConfirmed(number=1, path="c", metric="swd", value=2.5, noise=0.5, time=9.0)
    both = dataclasses.replace(event, second=0.8, second_metric="fd_lite0_60", second_noise=0.02)
    with EventLog(tmp_path / "new") as log:
        log.record(both)
    assert read_events(tmp_path / "new") == [both]


def test_a_folder_without_a_log_has_no_events(tmp_path: Path) -> None:
    assert read_events(tmp_path) == []


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_torn_last_line_is_dropped_and_the_log_goes_on_after_it(cut: int, tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        for event in EVENTS:
            log.record(event)
    path = tmp_path / LOG_NAME
    path.write_bytes(path.read_bytes()[:-cut])
    kept = EVENTS if cut == 1 else EVENTS[:-1]  # without its newline alone the line is whole
    assert read_events(tmp_path) == kept
    with EventLog(tmp_path) as log:
        log.record(EVENTS[1])
    assert read_events(tmp_path) == [*kept, EVENTS[1]]


def test_a_killed_driver_loses_no_event_that_was_appended(tmp_path: Path) -> None:
    code = (
        "import os, signal; from tune.records.events import *; log = EventLog(os.environ['FOLDER'])\n"
        "log.record(TrialEnded(number=7, state='pruned', time=1.0)); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "FOLDER": str(tmp_path)}, check=False)
    assert read_events(tmp_path) == [TrialEnded(number=7, state="pruned", time=1.0)]


def test_a_full_disk_is_one_clear_error_and_leaves_the_log_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = EventLog(tmp_path)
    log.record(EVENTS[0])
    real_write, calls = os.write, []

    def fill_up(descriptor: int, data: memoryview) -> int:
        calls.append(len(data))
        if len(calls) == 1:
            return real_write(descriptor, bytes(data[:10]))  # some of it still fits
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fill_up)
        with pytest.raises(
            WriteError, match=r"events\.jsonl cannot be written: No space left on device"
        ) as raised:
            log.record(EVENTS[1])
    assert "\n" not in str(raised.value)
    assert (tmp_path / LOG_NAME).read_bytes().count(b"\n") == 1
    log.record(EVENTS[2])
    log.close()
    assert read_events(tmp_path) == [EVENTS[0], EVENTS[2]]


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"cannot be written: (Not a directory|File exists)"):
        EventLog(tmp_path / "file")


def test_numbers_of_numpy_and_such_that_are_not_finite_are_written_as_json(tmp_path: Path) -> None:
    metrics = {"swd": np.float32(0.5), "noise": float("nan"), "steps": np.int64(3)}
    with EventLog(tmp_path) as log:
        log.record(Tick(number=1, trial_id="a", images_seen=1, metrics=metrics, time=0.0))
    line = json.loads((tmp_path / LOG_NAME).read_text())
    assert line["numbers"] == {"swd": 0.5, "noise": None, "steps": 3}


def test_fields_and_events_of_a_newer_version_are_ignored(tmp_path: Path) -> None:
    lines = [
        {"event": "trial_ended", "number": 1, "state": "pruned", "time": 1.0, "colour": "green"},
        {"event": "trial_cloned", "number": 1, "time": 1.0},
        [1, 2],
    ]
    (tmp_path / LOG_NAME).write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert read_events(tmp_path) == [TrialEnded(number=1, state="pruned", time=1.0)]


@pytest.mark.parametrize("path", ["/etc", "../other", "a/../..", "."])
def test_a_state_outside_of_the_sweeps_folder_is_left_out(tmp_path: Path, path: str) -> None:
    kept = CheckpointSaved(number=0, images_seen=64, path="a/state", time=1.0)
    with EventLog(tmp_path) as log:
        log.record(CheckpointSaved(number=0, images_seen=128, path=path, time=2.0))
        log.record(kept)
    assert read_events(tmp_path) == [kept]


def test_a_log_at_a_url_is_written_at_flush_and_goes_on(memory_url: str) -> None:
    log = EventLog(memory_url, seconds_between_writes=1000.0)
    log.record(EVENTS[0])  # the first write is at once: it shows that the URL can be written
    log.record(EVENTS[1])
    assert read_events(memory_url) == EVENTS[:1]
    log.flush()
    assert read_events(memory_url) == EVENTS[:2]
    log.close()
    with EventLog(memory_url) as again:
        again.record(EVENTS[2])
    assert read_events(memory_url) == EVENTS[:3]


@pytest.mark.parametrize(
    "wrong",
    [
        '{"event":"tick","number":"<b>","trial_id":"t","images_seen":1,"numbers":{},"time":1}',
        '{"event":"tick","number":-1,"trial_id":"t","images_seen":1,"numbers":{},"time":1}',
        '{"event":"tick","number":0,"trial_id":"t","images_seen":8,"numbers":{},"time":"x"}',
        '{"event":"tick","number":0,"trial_id":"t","images_seen":8,"numbers":{},"time":NaN}',
        '{"event":"tick","number":0,"trial_id":[],"images_seen":8,"numbers":{},"time":2}',
        '{"event":"tick","number":0,"trial_id":"t","images_seen":8,"numbers":[],"time":2}',
        '{"event":"trial_started","number":0,"trial_id":"t","attempt":true,"time":2}',
        '{"event":"trial_ended","number":2,"state":"<script>","time":1}',
        '{"event":"trial_ended","number":2,"state":"failed","own_fault":1,"time":1}',
    ],
)
def test_an_event_with_a_field_of_a_wrong_type_is_left_out(tmp_path: Path, wrong: str) -> None:
    (tmp_path / LOG_NAME).write_bytes(wrong.encode() + b"\n" + to_line(EVENTS[0]))
    assert read_events(tmp_path) == [EVENTS[0]]


def test_a_metric_that_is_no_finite_number_is_left_out(tmp_path: Path) -> None:
    numbers = '{"swd":0.5,"fd":null,"kid":"low","fine":true,"wide":Infinity,"steps":3}'
    line = f'{{"event":"tick","number":0,"trial_id":"t","images_seen":8,"numbers":{numbers},"time":2}}\n'
    (tmp_path / LOG_NAME).write_text(line)
    (tick,) = read_events(tmp_path)
    assert isinstance(tick, Tick) and tick.metrics == {"swd": 0.5, "steps": 3.0}


def test_a_log_that_is_gone_while_its_tables_are_there_is_one_clear_error(tmp_path: Path) -> None:
    assert read_events(tmp_path) == []
    (tmp_path / "trials.csv").write_text("number\n0\n")
    with pytest.raises(ConfigError, match=r"has lost its events\.jsonl, .* put it back from a copy"):
        read_events(tmp_path)
