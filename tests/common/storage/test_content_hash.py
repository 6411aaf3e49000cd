"""Digests of files, on a disk and behind a URL, against hashlib on their bytes."""

import hashlib
import os
import uuid
from pathlib import Path

import pytest

from common.storage import content_hash
from common.storage.content_hash import digest_bytes, digest_each, digest_remote
from common.storage.folder import Folder


def of(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=20).hexdigest()


def test_every_file_has_the_digest_of_its_bytes_or_its_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "x").write_bytes(b"one")
    files = {name: tmp_path / name for name in ("x", "pipe", "absent")}
    found = digest_each(files, tmp_path / "index.json")
    assert found == {"x": of(b"one"), "pipe": "not a file", "absent": "not a file"}
    assert digest_bytes(b"one") == of(b"one")


def test_files_behind_a_url_have_digests_too(tmp_path: Path) -> None:
    for location in (f"memory://bucket-{uuid.uuid4().hex}", str(tmp_path / "disk")):
        folder = Folder(location)
        folder.write("a/x", b"one")
        folder.write("large", b"12345")
        found = digest_remote(folder, ["a/x", "absent", "large"], tmp_path / "index.json", max_bytes=4)
        assert found == {"a/x": of(b"one"), "absent": "no such file", "large": "over 4 bytes"}
        folder.write("a/x", b"two")
        assert digest_remote(folder, ["a/x"], tmp_path / "index.json", max_bytes=4) == {"a/x": of(b"two")}


def test_unchanged_files_of_a_store_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        content_hash, "_SETTLED_S", -60.0
    )  # these files are new, which is otherwise not trusted
    folder = Folder(str(tmp_path / "disk"))  # like a store that reports times
    folder.write("x", b"one")
    first = digest_remote(folder, ["x"], tmp_path / "index.json", max_bytes=9)
    monkeypatch.setattr(Folder, "read", lambda *_: pytest.fail("read what has not changed"))
    assert digest_remote(folder, ["x"], tmp_path / "index.json", max_bytes=9) == first


def test_of_many_files_only_some_thousand_wait_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_hash, "_WAITING", 10)
    most = 0

    class Watched(content_hash.ThreadPoolExecutor):
        def map(self, function: object, names: object) -> object:  # type: ignore[override]
            nonlocal most
            given = list(names)  # type: ignore[call-overload]
            most = max(most, len(given))
            return super().map(function, given)  # type: ignore[arg-type]

    monkeypatch.setattr(content_hash, "ThreadPoolExecutor", Watched)
    files = {f"{number}": tmp_path / f"{number}" for number in range(35)}
    for number, path in enumerate(files.values()):
        path.write_bytes(b"%d" % number)
    for _ in range(2):  # read, then compared with the index
        found = digest_each(files, tmp_path / "index.json")
        assert found == {f"{number}": of(b"%d" % number) for number in range(35)}
    assert most == 10
