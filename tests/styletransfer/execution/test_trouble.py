"""What a batch loses when something dies: killed workers, signals, a folder that is full."""

import signal
from collections import Counter
from pathlib import Path

import pytest

from styletransfer.__main__ import main
from tests.drivers import end_session, processes_of, start
from tests.styletransfer.folders import (
    entries,
    make_folders,
    pixels,
    plan_of,
    quick,
    save,
    stylized_alone,
)
from tests.styletransfer.sabotage import Sabotaged, Stillborn
from tests.waiting import HANGS_AFTER_S, wait_for

pytestmark = [pytest.mark.usefixtures("cache")]

Capture = pytest.CaptureFixture[str]


@pytest.mark.usefixtures("shared_ray")
def test_killed_workers_cost_their_pair_a_second_try_and_deadly_pictures_only_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("styletransfer.execution.worker_pool.StyleWorker", Sabotaged)
    places = make_folders(tmp_path, 4, 1)
    for name in ("once", "deadly", "read-deadly"):
        save(tmp_path / "photos" / f"{name}.png", seed=9)
    assert main(quick(*places)) == 3
    found = {pair.content: entry for pair, entry in entries(tmp_path).items()}
    assert len(found) == 7
    assert {name for name, entry in found.items() if entry.state == "failed"} == {
        "deadly.png",
        "read-deadly.png",
    }
    assert found["deadly.png"].error == "the worker died twice while stylizing it, perhaps for lack of memory"
    assert found["read-deadly.png"].error == "the worker died twice while reading read-deadly.png"
    assert found["once.png"].notes == ("its worker died: stylized again",)
    assert all(found[f"c{index}.png"].notes == () for index in range(4)), "the others were not touched"
    alone = stylized_alone(plan_of(*places), tmp_path, "once.png", "s0.png")
    assert (pixels(tmp_path / "out" / "once__s0.png") == alone).all()
    lines = (tmp_path / Sabotaged.log).read_text().splitlines()
    stylized = Counter(line.split(" ", 1)[1] for line in lines if " stylize " in line)
    assert all(stylized[f"stylize c{index}.png s0.png"] == 1 for index in range(4))
    assert stylized["stylize once.png s0.png"] == stylized["stylize deadly.png s0.png"] == 2


@pytest.mark.usefixtures("shared_ray")
def test_a_folder_that_takes_no_more_stops_the_batch_in_one_line(tmp_path: Path, capsys: Capture) -> None:
    places = make_folders(tmp_path, 1, 9)
    # every picture's folder is a file: nothing can be written, while the manifest can
    (tmp_path / "photos" / "trip").mkdir()
    (tmp_path / "photos" / "c0.png").rename(tmp_path / "photos" / "trip" / "c0.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "trip").write_text("in the way")
    assert main(quick(*places, "--workers", "1")) == 3
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("python -m styletransfer: 5 pictures in a row: ")
    remedy = "finished pairs are kept: repeat the command to continue"
    assert line.endswith(f"0 of 9 pairs done, 5 failed; {remedy}")
    found = entries(tmp_path)
    assert len(found) == 5 and {entry.state for entry in found.values()} == {"failed"}
    (tmp_path / "out" / "trip").unlink()
    assert main(quick(*places, "--workers", "1")) == 0
    assert {entry.state for entry in entries(tmp_path).values()} == {"done"}


@pytest.mark.usefixtures("shared_ray")
def test_workers_that_cannot_start_end_the_batch_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr("styletransfer.execution.worker_pool.StyleWorker", Stillborn)
    assert main(quick(*make_folders(tmp_path, 1, 1), "--workers", "1")) == 3
    [line] = capsys.readouterr().err.splitlines()
    assert "workers cannot be kept alive: RuntimeError: the device is not there; " in line
    assert entries(tmp_path) == {}


def stop_on_the_way(args: list[str], root: Path, signum: int, more: int) -> "tuple[int, str, str]":
    """Stop a batch after `more` further pairs; exit code, output and errors."""
    before = len(entries(root))
    driver = start("styletransfer", *args)
    try:
        wait_for(lambda: len(entries(root)) >= before + more or driver.poll() is not None)
        driver.send_signal(signum)  # one that has ended already says why, below
        out, err = driver.communicate(timeout=HANGS_AFTER_S)
        wait_for(lambda: not processes_of(driver.pid))
    finally:
        end_session(driver.pid)
    return driver.returncode, out, err


def test_signals_stop_cleanly_and_the_same_command_continues_each_time(tmp_path: Path) -> None:
    args = quick(*make_folders(tmp_path, 40, 10), "--iterations", "40")
    code, out, err = stop_on_the_way(args, tmp_path, signal.SIGINT, 2)
    assert (code, err) == (130, "")
    done = entries(tmp_path)
    assert 2 <= len(done) < 400 and {entry.state for entry in done.values()} == {"done"}
    assert out.splitlines()[-1] == (
        f"stopped by Ctrl-C; {len(done)} of 400 pairs done; "
        "finished pairs are kept: repeat the command to continue"
    )
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("not yet") == 400 - len(done)
    assert not list((tmp_path / "out").glob(".artsweep*"))

    code, out, err = stop_on_the_way(args, tmp_path, signal.SIGTERM, 2)
    assert (code, err) == (143, "")
    assert f"{len(done)} of 400 are up to date" in out and "stopped by SIGTERM; " in out
    again = entries(tmp_path)
    assert len(again) > len(done) and all(again[pair] == entry for pair, entry in done.items())
    lines = (tmp_path / "out" / "manifest.jsonl").read_bytes().splitlines()
    assert len(lines) == len(again), "no pair was stylized twice"
