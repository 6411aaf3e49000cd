"""How `python -m tune status` shows a sweep from its folder alone."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from common.storage.folder import Folder
from common.storage.lock import HOLDER_NAME, Holder
from tests.servers import s3_bucket
from tests.tune.sweeps import RATE, rates, tiny_gan
from tests.waiting import HANGS_AFTER_S
from tune.__main__ import main
from tune.cli.flags import parse_command
from tune.cli.looking import Status
from tune.config import SweepConfig
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
)
from tune.records.sweep_folder import SweepFolder

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).parents[3]
NOW = time.time()


def begun(number: int, ago_s: float = 100.0) -> TrialStarted:
    return TrialStarted(number=number, trial_id=f"t{number}", values={RATE: 1e-4}, time=NOW - ago_s)


def ticked(number: int, images: int, swd: float, ago_s: float = 80.0) -> Tick:
    metrics = {"swd": swd, "swd_noise": 5.0, "train_s": 9.0, "evaluate_s": 1.0}
    return Tick(number=number, trial_id=f"t{number}", images_seen=images, metrics=metrics, time=NOW - ago_s)


def saved(number: int, images: int, swd: float) -> CheckpointSaved:
    return CheckpointSaved(
        number=number, images_seen=images, path=f"trial_{number}/c", value=swd, time=NOW - 80
    )


def ended(number: int, state: str, reason: str | None = None) -> TrialEnded:
    return TrialEnded(number=number, state=state, reason=reason, time=NOW - 60)  # type: ignore[arg-type]


def sweep(storage: str | Path, *events: SweepEvent, trials: int = 4, **settings: Any) -> SweepFolder:
    """A sweep's folder as it would be after these events."""
    folder = SweepFolder(str(storage), "mine")
    folder.begin(SweepConfig(gan=tiny_gan(), trials=trials, **settings), rates(), is_resumed=False)
    with EventLog(folder.location) as log:
        for event in (SweepStarted(trials=trials, time=NOW - 100), *events):
            log.record(event)
    return folder


def hold(folder: SweepFolder, **changes: Any) -> None:
    """As if this process ran the sweep."""
    holder = dataclasses.replace(Holder.this_process(), **changes)
    folder.files.write(HOLDER_NAME, holder.to_json())


def said(folder: SweepFolder, capsys: Capture) -> list[str]:
    assert main(["status", folder.location]) == 0
    return capsys.readouterr().out.splitlines()


def told(folder: SweepFolder, capsys: Capture) -> dict[str, Any]:
    assert main(["status", folder.location, "--json"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


RUNNING = (
    begun(0),
    begun(1),
    ticked(0, 64, 9.0, ago_s=90.0),
    saved(0, 64, 9.0),
    ticked(0, 128, 7.0, ago_s=80.0),
    ticked(1, 64, 8.0, ago_s=85.0),
)


def test_a_running_sweep_is_shown_with_its_driver_and_its_end(tmp_path: Path, capsys: Capture) -> None:
    folder = sweep(tmp_path, *RUNNING)
    hold(folder)
    lines = said(folder, capsys)
    assert lines[0].startswith(f"{folder.location}: running: process {os.getpid()} on ")
    assert re.search(r"; last event [\d a-z]+ ago", lines[0])
    assert any(re.match(r"1 +0 +running +7 +█▁ +128", line) for line in lines)
    summary = next(line for line in lines if line.startswith("2 of 4 trials: 2 running; "))
    assert "10% of the time spent measuring" in summary and summary.endswith(" left")
    assert lines[-3:] == [
        f"watch it: python -m tune status {folder.location} --watch",
        f"export the best settings: python -m tune best {folder.location}",
        f"look at it: python -m tune report {folder.location}",
    ]


def test_the_json_of_a_running_sweep_has_its_documented_keys(tmp_path: Path, capsys: Capture) -> None:
    folder = sweep(tmp_path, *RUNNING, begun(2), ended(2, "failed", "a loss is nan"))
    hold(folder)
    found = told(folder, capsys)
    table = (ROOT / "docs" / "clusters.md").read_text().partition("| key | meaning |")[2].partition("\n\n")[0]
    cells = "".join(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE))
    assert list(found) == re.findall(r"`([a-z_]+)`", cells)
    assert found["state"] == "running" and found["driver"]["pid"] == os.getpid()
    assert found["trials"] == 4 and found["trials_by_state"] == {"failed": 1, "running": 2}
    assert found["images_seen"] == 192 and found["noise_floor"] == 5.0 and found["metric"] == "swd"
    assert found["best"] == {"trial": 0, "images_seen": 64, "value": 9.0, "confirmed": None}, (
        "as it was saved"
    )
    assert found["seconds_left"] > 0 and found["seconds_left_is_bound"] is False
    assert found["failures"] == {"2": "a loss is nan"}
    assert found["session_started"] == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW - 100))


def test_a_killed_driver_is_told_apart_from_a_stopped_sweep_and_a_finished_one(
    tmp_path: Path, capsys: Capture
) -> None:
    killed = sweep(tmp_path / "killed", *RUNNING)
    hold(killed, started="1")  # another process has its pid now
    lines = said(killed, capsys)
    assert ": its driver has died: process " in lines[0]
    assert f"continue it: python -m tune resume {killed.location}" in lines
    assert not any("left" in line for line in lines)
    killed.files.remove_file(HOLDER_NAME)
    assert told(killed, capsys)["state"] == "died", "a trial that runs without a driver"

    stopped = sweep(tmp_path / "stopped", *RUNNING, ended(0, "interrupted"), ended(1, "interrupted"))
    lines = said(stopped, capsys)
    assert re.search(r": stopped before its end; last event [\d a-z]+ ago", lines[0])
    assert f"continue it: python -m tune resume {stopped.location}" in lines

    finished = sweep(tmp_path / "finished", *RUNNING, ended(0, "completed"), ended(1, "pruned"), trials=2)
    lines = said(finished, capsys)
    assert ": finished; " in lines[0]
    assert f"add trials: python -m tune resume {finished.location} --trials +2" in lines
    assert told(finished, capsys)["driver"] is None


def test_a_driver_on_another_machine_is_not_guessed_at(tmp_path: Path, capsys: Capture) -> None:
    folder = sweep(tmp_path, *RUNNING)
    hold(folder, host="node-7", machine="another boot")
    os.utime(tmp_path / "mine" / HOLDER_NAME, (1, 1))
    assert ": it cannot be seen from here whether its driver still runs: process" in said(folder, capsys)[0]


def test_a_cut_or_empty_or_missing_log_is_read_as_far_as_it_goes(tmp_path: Path, capsys: Capture) -> None:
    folder = sweep(tmp_path, *RUNNING)
    hold(folder)
    log = tmp_path / "mine" / LOG_NAME
    whole = log.read_bytes()
    log.write_bytes(whole[:-20])
    assert told(folder, capsys)["images_seen"] == 128, "the last tick is half written"
    for content in (b"", b"\n", b'{"event":"ti', b"\xff\xfe"):
        log.write_bytes(content)
        lines = said(folder, capsys)
        assert lines[0].endswith("no event yet") and "no trial has begun yet" in lines
    log.unlink()
    assert told(folder, capsys)["best"] is None


def test_damaged_lines_within_the_log_are_told(tmp_path: Path, capsys: Capture) -> None:
    folder = sweep(tmp_path, *RUNNING, ended(0, "completed"), ended(1, "pruned"), trials=2)
    assert not any("cannot be read" in line for line in said(folder, capsys))
    log = tmp_path / "mine" / LOG_NAME
    lines = log.read_bytes().splitlines()
    lines[2] = lines[2][:-9] + b"\x00\xff"
    lines[4] = b"17"
    log.write_bytes(
        b"\n".join(lines) + b'\n{"event": "newer"}\n{"event": "ti'
    )  # the last one is being written
    [told_of] = [line for line in said(folder, capsys) if "cannot be read" in line]
    assert told_of.startswith("2 lines of events.jsonl cannot be read, first line 3: what happened there is")


def test_the_ranking_shows_the_values_that_it_goes_by(tmp_path: Path, capsys: Capture) -> None:
    again = [
        StateConfirmed(number=0, path="trial_0000/checkpoint_64", metric="swd", value=8.5, noise=5.0),
        StateConfirmed(number=1, path="trial_0001/checkpoint_64", metric="swd", value=8.25, noise=5.0),
    ]
    events = (*RUNNING, saved(1, 64, 8.0), ended(0, "completed"), ended(1, "completed"))
    before = said(sweep(tmp_path / "before", *events, trials=2), capsys)
    assert not any("measured" in line for line in before[:3])
    lines = said(sweep(tmp_path / "after", *events, *again, trials=2), capsys)
    assert lines[1].split() == ["measured", "images", "generator"]
    assert lines[2].split() == ["#", "trial", "state", "swd", "last", "ticks", "again", "at", "best", "lr"]
    first, second = (line.split() for line in lines[4:6])
    assert first[:2] == ["1", "1"] and first[3] == "8" and "8.25" in first
    assert second[:2] == ["2", "0"] and second[3] == "7" and "8.5" in second, "it was luckier, and is worse"


def test_a_sweep_of_failures_says_why_each_of_them_failed(tmp_path: Path, capsys: Capture) -> None:
    reasons = ["a loss is nan", "its worker group was lost: node-7 is gone", "tags <b>[red]x[/red] \x1b[2J"]
    events: list[SweepEvent] = []
    for number, reason in enumerate(reasons):
        events += [begun(number), ended(number, "failed", reason)]
    folder = sweep(tmp_path, *events, trials=3)
    text = "\n".join(said(folder, capsys))
    assert "a loss is nan" in text and "node-7 is gone" in text
    assert "[red]x[/red]" in text and "\\x1b[2J" in text and "\x1b" not in text
    assert "3 of 3 trials: 3 failed" in text and "python -m tune best" not in text
    assert told(folder, capsys)["failures"]["1"] == reasons[1]


def test_a_folder_without_a_sweep_is_one_line(tmp_path: Path, capsys: Capture) -> None:
    assert main(["status", str(tmp_path / "none")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "holds no sweep" in line


@pytest.mark.parametrize(
    ("words", "seconds"),
    [([], None), (["--watch"], 5.0), (["--watch", "0.5"], 0.5), (["--watch", "--json"], 5.0)],
)
def test_watch_needs_no_number(words: list[str], seconds: float | None) -> None:
    for command in (["status", "runs/x", *words], ["status", *words, "runs/x"]):
        parsed = parse_command(command)
        assert isinstance(parsed, Status)
        assert parsed.watch == seconds and parsed.directory == "runs/x"


def test_watching_ends_with_the_sweep(tmp_path: Path, capsys: Capture) -> None:
    folder = sweep(tmp_path, *RUNNING)
    hold(folder)

    def finish() -> None:
        with EventLog(folder.location) as log:
            log.record(ticked(1, 128, 6.0))
            time.sleep(0.8)
            for number in range(4):
                log.record(ended(number, "completed"))
        folder.files.remove_file(HOLDER_NAME)

    ends = threading.Timer(0.8, finish)
    ends.start()
    assert main(["status", folder.location, "--watch", "0.5"]) == 0
    ends.join()
    lines = capsys.readouterr().out.splitlines()
    summaries = [line for line in lines if line.startswith(("2 of 4 trials: 2 running", "4 of 4"))]
    assert len(summaries) == 3, "one, another after a tick, and the last"
    assert any(": finished; " in line for line in lines)


def test_ctrl_c_ends_a_watch_with_its_exit_code_and_not_the_sweep(tmp_path: Path) -> None:
    folder = sweep(tmp_path, *RUNNING)
    hold(folder)
    command = [sys.executable, "-m", "tune", "status", folder.location, "--watch", "60", "--json"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watch:
        assert watch.stdout is not None
        assert json.loads(watch.stdout.readline())["state"] == "running"
        watch.send_signal(signal.SIGINT)
        _, err = watch.communicate(timeout=HANGS_AFTER_S)
    assert watch.returncode == 130 and err == "python -m tune: stopped by Ctrl-C\n"
    assert folder.files.read(HOLDER_NAME) is not None


def test_neither_torch_nor_ray_is_loaded(tmp_path: Path) -> None:
    folder = sweep(tmp_path, *RUNNING)
    code = (
        "import sys; from tune.__main__ import main; main(sys.argv[1:]); "
        "print(sorted({'torch', 'ray'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, "status", folder.location], cwd=ROOT, capture_output=True, text=True
    )
    assert run.stdout.splitlines()[-1] == "[]", run.stderr


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """URL of a bucket on a server of moto's."""
    with s3_bucket(monkeypatch, "results") as url:
        yield url


def test_a_sweep_in_s3_is_shown_from_another_machine(bucket: str, capsys: Capture) -> None:
    folder = sweep(bucket, *RUNNING)
    hold(folder, host="node-7", machine="another boot", beat=2)
    lines = said(folder, capsys)
    assert lines[0].startswith("s3://results/mine: running: process ") and "on node-7 since" in lines[0]
    assert any(re.match(r"1 +0 +running +7 +█▁ +128", line) for line in lines)
    Folder(folder.location).remove_file(HOLDER_NAME)
    assert told(folder, capsys)["state"] == "died"


def test_while_the_best_states_are_measured_again_it_is_said(tmp_path: Path, capsys: Capture) -> None:
    folder = sweep(tmp_path, *RUNNING, ended(0, "completed"), ended(1, "pruned"), trials=2)
    hold(folder)
    line = said(folder, capsys)[0]
    assert "running: process" in line and "all trials have ended, the best states are measured again" in line
