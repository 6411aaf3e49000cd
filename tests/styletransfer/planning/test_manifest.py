"""The manifest: what is written stays, torn lines are survived, one batch at a time writes a folder."""

import dataclasses
import errno
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest

from common.errors import ConfigError
from common.storage.atomic import WriteError
from common.storage.folder import Folder
from styletransfer.planning.manifest import MANIFEST_NAME, Entry, Manifest, locked, read_manifest
from styletransfer.planning.pairs import Pair


def entry(content: str = "cat.jpg", **changes: object) -> Entry:
    fields: dict[str, object] = {
        "content": content,
        "style": "s.jpg",
        "output": f"{content}__s.png",
        "state": "done",
        "content_digest": "c1",
        "style_digest": "s1",
        "settings_hash": "h1",
        "weights_hash": "w1",
    }
    return Entry(**fields | changes)  # type: ignore[arg-type]


def folders(tmp_path: Path) -> list[Folder]:
    return [Folder(str(tmp_path / "out")), Folder(f"memory://bucket-{uuid.uuid4().hex}/out")]


def test_entries_come_back_and_the_last_of_a_pair_counts(tmp_path: Path) -> None:
    first = entry(state="failed", error="a broken\nfile")
    last = entry(
        notes=("fell back to tiles",),
        seconds=17.25,
        losses={"style": 0.5, "content": 2.0},
        size_px=(640, 480),
        seed=7,
        time=123.0,
    )
    odd = entry(os.fsdecode(b"\xff.png"), style="été \"'.jpg", variant="style-weight=3")
    for folder in folders(tmp_path):
        assert read_manifest(folder) == {}
        with Manifest(folder) as manifest:
            for each in (first, odd, last):
                manifest.record(each)
        with Manifest(folder) as manifest:
            manifest.record(entry("dog.jpg"))
        found = read_manifest(folder)
        assert found[last.pair] == last and found[odd.pair] == odd
        assert list(found) == [last.pair, odd.pair, Pair("dog.jpg", "s.jpg")]
        lines = (folder.read(MANIFEST_NAME) or b"").splitlines()
        assert len(lines) == 4 and all(json.loads(line)["state"] in ("done", "failed") for line in lines)


def test_numbers_that_are_not_finite_and_those_of_numpy_are_lines_of_json(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    with Manifest(folder) as manifest:
        manifest.record(
            entry(losses={"style": float("nan"), "content": np.float32(0.5)}, seconds=float("inf"))
        )
    found = read_manifest(folder)[entry().pair]
    assert found.losses == {"style": None, "content": 0.5} and found.seconds is None


def test_a_torn_last_line_is_survived_wherever_it_is_torn(tmp_path: Path) -> None:
    whole = Folder(str(tmp_path / "whole"))
    with Manifest(whole) as manifest:
        manifest.record(entry("a.jpg"))
        manifest.record(entry("b.jpg"))
    data = whole.read(MANIFEST_NAME) or b""
    second = data.index(b"\n") + 1
    for number, cut in enumerate(range(second, len(data), 17)):
        for folder in (Folder(str(tmp_path / str(number))), Folder(f"memory://torn-{uuid.uuid4().hex}")):
            folder.write(MANIFEST_NAME, data[:cut])
            assert list(read_manifest(folder)) == [Pair("a.jpg", "s.jpg")]
            with Manifest(folder) as manifest:
                manifest.record(entry("c.jpg"))
            assert list(read_manifest(folder)) == [Pair("a.jpg", "s.jpg"), Pair("c.jpg", "s.jpg")]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"3",
        b"{}",
        b'{"content": "a"}',
        b"\xff\xfe",
        b'{"content":1,"style":2,"output":3,"state":"done"}',
        b'{"content":"a","style":"b","output":"c","state":"what"}',
    ],
)
def test_lines_that_are_none_of_ours_are_passed_over(tmp_path: Path, line: bytes) -> None:
    folder = Folder(str(tmp_path))
    folder.write(MANIFEST_NAME, line + b"\n")
    with Manifest(folder) as manifest:
        manifest.record(entry())
    assert list(read_manifest(folder)) == [entry().pair]


@pytest.mark.parametrize("output", ["../a.png", "/tmp/a.png", "a/../../b.png", "", 3])
def test_a_line_whose_picture_would_lie_elsewhere_is_passed_over(tmp_path: Path, output: object) -> None:
    folder = Folder(str(tmp_path))
    with Manifest(folder) as manifest:
        manifest.record(entry(output=output))
        manifest.record(entry("dog.jpg"))
    assert list(read_manifest(folder)) == [entry("dog.jpg").pair]


def test_a_field_of_a_newer_version_is_ignored(tmp_path: Path) -> None:
    fields = dataclasses.asdict(entry(time=1.0)) | {"mood": "blue"}
    folder = Folder(str(tmp_path))
    folder.write(MANIFEST_NAME, json.dumps(fields).encode() + b"\n")
    assert read_manifest(folder) == {entry().pair: entry(time=1.0)}


def test_every_line_is_on_the_disk_when_append_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (synced.append(descriptor), sync(descriptor)))
    folder = Folder(str(tmp_path))
    manifest = Manifest(folder)
    before = len(synced)
    manifest.record(entry())
    assert len(synced) == before + 1 and list(read_manifest(folder)) == [entry().pair]
    manifest.close()


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Folder(str(tmp_path))
    with Manifest(folder) as manifest:
        manifest.record(entry("a.jpg"))
        before, write = folder.read(MANIFEST_NAME), os.write

        def half(descriptor: int, data: bytes) -> int:
            if len(data) < 60:
                raise OSError(errno.ENOSPC, "No space left on device")
            return write(descriptor, data[: len(data) // 2])

        with monkeypatch.context() as patch:
            patch.setattr(os, "write", half)
            with pytest.raises(WriteError, match="No space left on device"):
                manifest.record(entry("b.jpg"))
        assert folder.read(MANIFEST_NAME) == before
        manifest.record(entry("c.jpg"))
    assert list(read_manifest(folder)) == [Pair("a.jpg", "s.jpg"), Pair("c.jpg", "s.jpg")]


def test_an_object_store_is_written_at_a_bounded_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    folder, writes, now = Folder(f"memory://rate-{uuid.uuid4().hex}"), [], [0.0]
    write = folder.write
    monkeypatch.setattr(folder, "write", lambda name, data: (writes.append(len(data)), write(name, data)))
    monkeypatch.setattr("common.storage.append_log.time.monotonic", lambda: now[0])
    with Manifest(folder, seconds_between_writes=10.0) as manifest:
        for number in range(100):  # one a second
            now[0] += 1.0
            manifest.record(entry(f"{number}.jpg"))
        assert len(writes) == 10
        manifest.flush()
        manifest.flush()
        assert len(writes) == 11
        manifest.record(entry("last.jpg"))
    assert len(writes) == 12 and len(read_manifest(folder)) == 101


HOLD = """
import sys
from common.storage.folder import Folder
from styletransfer.planning.manifest import locked
with locked(Folder(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_batch_in_one_folder_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path / "out"))
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, folder.location], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(ConfigError, match="is being written by another batch") as caught, locked(folder):
            pass
        assert "\n" not in str(caught.value)
        other.kill()  # a killed process lets go
        other.wait()
    with locked(folder):
        pass


def test_a_folder_that_cannot_be_made_is_refused_and_a_url_is_locked_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match="cannot be written"), locked(Folder(str(tmp_path / "file" / "out"))):
        pass
    with (
        pytest.raises(ConfigError, match="file is a file; name a folder"),
        locked(Folder(str(tmp_path / "file"))),
    ):
        pass
    url = Folder(f"memory://locked-{uuid.uuid4().hex}")
    with locked(url), pytest.raises(ConfigError, match="is being written by another batch"), locked(url):
        pass
    with locked(url):
        pass
