"""Whether a folder is locked, as another process sees it that does not take the lock."""

import dataclasses
import json
import os
import uuid
from pathlib import Path

import pytest

from common.storage.folder import Folder
from common.storage.lock import HOLDER_NAME, FolderLock, Holder, LockTimes
from common.storage.lock_state import lock_state

QUICK = LockTimes(beat_s=0.1, dead_after_s=0.6, settle_s=0.05)


def url() -> Folder:
    return Folder(f"memory://state-{uuid.uuid4().hex}/sweep")


def elsewhere(**changes: object) -> Holder:
    holder = dataclasses.replace(Holder.this_process(), host="node-7", pid=4711, machine="another boot")
    return dataclasses.replace(holder, **changes)  # type: ignore[arg-type]


def test_a_lock_on_a_disk_and_behind_a_url_is_seen_while_it_is_held(
    tmp_path: Path,
) -> None:
    for folder in (Folder(str(tmp_path)), url()):
        assert lock_state(folder).state == "free"
        with FolderLock(folder, who="driver", remedy="wait", times=QUICK):
            found = lock_state(folder)
            assert found.state == "held" and found.holder is not None and found.holder.pid == os.getpid()
        assert lock_state(folder).state == "free"


def test_looking_does_not_take_the_lock(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    lock_state(folder)
    assert not list(tmp_path.iterdir())


def test_a_process_of_this_machine_that_has_died_has_left_its_lock(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    dead = dataclasses.replace(Holder.this_process(), started="1")  # another process had this pid
    folder.write(HOLDER_NAME, dead.to_json())
    assert lock_state(folder).state == "left"


def test_on_another_machine_a_renewed_lock_is_held(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    folder.write(HOLDER_NAME, elsewhere(beat=3).to_json())
    assert lock_state(folder).state == "held", "written just now"


def test_where_the_clocks_differ_a_renewal_tells(tmp_path: Path) -> None:
    folder, slept = url(), list[float]()
    folder.write(HOLDER_NAME, elsewhere(beat=3).to_json())
    in_an_hour = tmp_path.stat().st_mtime + 3600

    def renewed(seconds: float) -> None:
        slept.append(seconds)
        folder.write(HOLDER_NAME, elsewhere(beat=4).to_json())

    assert lock_state(folder, clock=lambda: in_an_hour, sleep=renewed).state == "held"
    assert slept == [10.0], "two renewals"
    assert lock_state(folder, clock=lambda: in_an_hour, sleep=slept.append).state == "left"
    folder.remove_file(HOLDER_NAME)
    assert lock_state(folder, clock=lambda: in_an_hour, sleep=slept.append).state == "free"


def test_nothing_is_known_of_a_kernels_lock_that_another_machine_took(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    folder.write(HOLDER_NAME, elsewhere().to_json())
    os.utime(tmp_path / HOLDER_NAME, (1, 1))
    assert lock_state(folder, sleep=lambda _: pytest.fail("it waited")).state == "unknown"


def test_a_file_that_is_no_holder_is_nobody(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    for content in (b"", b"{", json.dumps({"host": "x"}).encode(), b"[]"):
        folder.write(HOLDER_NAME, content)
        assert lock_state(folder).state == "free"
