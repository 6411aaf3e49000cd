"""The lock of a folder: one process at a time, who holds it is said, and a dead process holds nothing."""

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from common.cli.signals import Interrupted
from common.errors import ConfigError
from common.storage.atomic import WriteError
from common.storage.folder import Folder
from common.storage.lock import HOLDER_NAME, LOCK_NAME, FolderLock, Holder, LockTimes, read_holder

QUICK = LockTimes(beat_s=0.1, dead_after_s=0.6, settle_s=0.05)
HOLD = """
import sys
from common.storage.folder import Folder
from common.storage.lock import FolderLock
with FolderLock(Folder(sys.argv[1]), who="driver", remedy="wait"):
    print("held", flush=True)
    sys.stdin.read()
"""


def lock(folder: Folder) -> FolderLock:
    return FolderLock(folder, who="driver", remedy="wait until it ends", times=QUICK)


def url() -> Folder:
    return Folder(f"memory://lock-{uuid.uuid4().hex}/sweep")


def elsewhere(**changes: object) -> Holder:
    """A holder on another machine."""
    holder = dataclasses.replace(Holder.this_process(), host="node-7", pid=4711, machine="another boot")
    return dataclasses.replace(holder, **changes)  # type: ignore[arg-type]


def test_a_second_process_is_told_who_holds_the_folder_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path / "sweep"))
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, folder.location],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError) as caught, lock(folder):
            pass
        said = str(caught.value)
        year = time.strftime("%Y-", time.gmtime())
        assert f"process {other.pid} on {socket.gethostname()} since {year}" in said
        assert said.startswith(f"{folder.location} is being written by another driver (") and "\n" not in said
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
    with lock(folder):
        holder = read_holder(folder)
        assert holder is not None and holder.pid == os.getpid()
    assert read_holder(folder) is None, "the name of a process that has let go is removed"


def test_two_locks_of_one_process_exclude_each_other_on_a_disk_and_behind_a_url(tmp_path: Path) -> None:
    for folder in (Folder(str(tmp_path)), url()):
        for _ in range(2):
            with (
                lock(folder),
                pytest.raises(ConfigError, match=f"process {os.getpid()} on"),
                lock(folder),
            ):
                pass


def test_behind_a_url_a_holder_that_renews_its_lock_is_alive() -> None:
    folder, is_over = url(), threading.Event()

    def renew() -> None:
        beat = 0
        while not is_over.wait(0.1):
            beat += 1
            folder.write(HOLDER_NAME, elsewhere(token="t", beat=beat).to_json())

    folder.write(HOLDER_NAME, elsewhere(token="t").to_json())
    thread = threading.Thread(target=renew)
    thread.start()
    try:
        with pytest.raises(ConfigError, match="process 4711 on node-7 since"), lock(folder):
            pass
    finally:
        is_over.set()
        thread.join()


def test_behind_a_url_a_holder_that_is_silent_is_dead_whatever_its_clock_says() -> None:
    folder = url()
    folder.write(HOLDER_NAME, elsewhere(since="2999-01-01 00:00:00 UTC").to_json())
    began = time.monotonic()
    with lock(folder):
        assert time.monotonic() - began >= QUICK.dead_after_s
        holder = read_holder(folder)
        assert holder is not None and holder.pid == os.getpid()


def test_behind_a_url_a_process_that_died_on_this_machine_is_not_waited_for() -> None:
    folder = url()
    me = Holder.this_process()
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    for dead in (dataclasses.replace(me, pid=gone.pid), dataclasses.replace(me, started="1", token="x")):
        folder.write(HOLDER_NAME, dead.to_json())
        began = time.monotonic()
        with lock(folder):
            assert time.monotonic() - began < QUICK.dead_after_s


def test_a_lock_is_renewed_while_it_is_held_and_its_loss_is_noticed() -> None:
    folder = url()
    with lock(folder) as held:
        time.sleep(5 * QUICK.beat_s)
        holder = read_holder(folder)
        assert holder is not None and holder.beat >= 2 and held.lost_to is None
        thief = elsewhere()
        folder.write(HOLDER_NAME, thief.to_json())
        time.sleep(5 * QUICK.beat_s)
        assert held.lost_to == thief
    assert read_holder(folder) == thief, "the lock of another is left alone"


def test_a_folder_that_cannot_be_made_is_one_line_and_no_advice_to_free_space(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for place in (tmp_path / "file" / "sweep", Path("/proc/nowhere")):
        with pytest.raises(WriteError, match="cannot be written") as caught, lock(Folder(str(place))):
            pass
        assert "free some space" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_holder_file_of_something_else_does_not_block(tmp_path: Path) -> None:
    for folder in (Folder(str(tmp_path)), url()):
        for content in (b"", b"[]", b'{"pid": 3}'):
            folder.write(HOLDER_NAME, content)
            with lock(folder):
                pass
    assert (tmp_path / LOCK_NAME).exists()


def test_a_lock_behind_a_url_that_a_signal_hits_while_it_is_taken_is_let_go(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(_: float) -> None:
        raise Interrupted(signal.SIGINT)

    folder = url()
    monkeypatch.setattr("common.storage.lock.time.sleep", interrupted)
    with pytest.raises(Interrupted), lock(folder):
        pass
    assert read_holder(folder) is None
