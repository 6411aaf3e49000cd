"""A claimed folder: what never began leaves nothing behind, and what was there stays."""

import contextlib
import uuid
from pathlib import Path

import pytest

from common.errors import ConfigError
from common.storage.claim import claimed
from common.storage.folder import Folder


def fail_in(folder: Folder, *, has_begun: bool) -> None:
    with (
        contextlib.suppress(RuntimeError),
        claimed(folder, who="driver", remedy="wait", has_begun=lambda: has_begun),
    ):
        folder.write("sweep.json", b"{}")
        folder.write("gangs/gang-0/marker", b"")
        raise RuntimeError


def test_what_never_began_is_removed_with_the_folders_that_were_made_for_it(tmp_path: Path) -> None:
    fail_in(Folder(str(tmp_path / "runs" / "sweep")), has_begun=False)
    assert list(tmp_path.iterdir()) == []
    store = Folder(f"memory://{uuid.uuid4().hex}")
    fail_in(store.child("sweep"), has_begun=False)
    assert store.list_files() == []


def test_files_that_were_there_before_stay(tmp_path: Path) -> None:
    place = tmp_path / "photos"
    (place / "empty").mkdir(parents=True)
    (place / "cat.jpg").write_bytes(b"cat")
    fail_in(Folder(str(place)), has_begun=False)
    assert {path.name for path in place.iterdir()} - {".lock"} == {"cat.jpg", "empty"}


def test_what_has_begun_or_is_resumed_stays(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path / "sweep"))
    fail_in(folder, has_begun=True)
    assert folder.read("sweep.json") == b"{}"
    with contextlib.suppress(RuntimeError), claimed(folder, who="driver", remedy="wait"):
        raise RuntimeError
    assert folder.read("sweep.json") == b"{}"


def test_a_folder_that_another_holds_loses_nothing(tmp_path: Path) -> None:
    for folder in (Folder(str(tmp_path / "sweep")), Folder(f"memory://{uuid.uuid4().hex}/sweep")):
        with claimed(folder, who="driver", remedy="wait"):
            folder.write("sweep.json", b"{}")
            with (
                pytest.raises(ConfigError, match="is being written by another driver"),
                claimed(folder, who="driver", remedy="wait", has_begun=lambda: False),
            ):
                pass
            assert folder.read("sweep.json") == b"{}"
