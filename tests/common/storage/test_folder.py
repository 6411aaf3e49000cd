"""Folders behave alike as a path and as a URL."""

import os
import uuid
from pathlib import Path

import pytest

from common.errors import ConfigError
from common.storage.atomic import WriteError
from common.storage.folder import Folder, parse_json


def locations(tmp_path: Path) -> list[str]:
    """A path, the same kind of place as a URL, and an object store in this process's memory."""
    return [str(tmp_path / "a"), f"file://{tmp_path}/b", f"memory://bucket-{uuid.uuid4().hex}/c"]


def test_what_was_written_last_is_read(tmp_path: Path) -> None:
    for location in locations(tmp_path):
        folder = Folder(location)
        assert folder.read("run/x.bin") is None
        folder.write("run/x.bin", b"first")
        folder.write("run/x.bin", b"second")
        assert folder.read("run/x.bin") == b"second"
        assert folder.child("run").read("x.bin") == b"second"


def test_files_are_listed_with_their_sizes_and_no_others(tmp_path: Path) -> None:
    for location in locations(tmp_path):
        folder = Folder(location)
        assert folder.list_files() == [] and folder.status("a") is None
        for name, data in (
            ("b.txt", b"12"),
            ("a/x #?%41 é.txt", b"1"),
            ("a/c/y.txt", b""),
            ("ab/z.txt", b"123"),
        ):
            folder.write(name, data)
        sizes = {file.name: file.size for file in folder.list_files()}
        assert sizes == {"a/c/y.txt": 0, "a/x #?%41 é.txt": 1, "ab/z.txt": 3, "b.txt": 2}
        assert list(sizes) == sorted(sizes)
        assert [file.name for file in folder.list_files("a")] == ["a/c/y.txt", "a/x #?%41 é.txt"]
        assert folder.list_files("absent") == []
        status = folder.status("a/x #?%41 é.txt")
        assert status in folder.list_files() and folder.status("a") is None


def test_a_listing_follows_no_link_to_a_folder_and_waits_for_no_pipe(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path / "here"))
    folder.write("a/x", b"1")
    (tmp_path / "here" / "loop").symlink_to(tmp_path / "here")
    (tmp_path / "here" / "nowhere").symlink_to(tmp_path / "absent")
    os.mkfifo(tmp_path / "here" / "pipe")
    assert [file.name for file in folder.list_files()] == ["a/x"]
    modified = (tmp_path / "here" / "a" / "x").stat().st_mtime_ns
    assert folder.list_files()[0].modified_ns == modified and folder.status("pipe") is None


def test_the_flag_is_named_for_an_unknown_kind_of_url() -> None:
    with pytest.raises(ConfigError, match=r"^CONTENTS nosuch://x cannot be used"):
        Folder("nosuch://x", flag="CONTENTS")


def test_a_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Folder("runs").location == str(tmp_path / "runs")


@pytest.mark.parametrize("location", ["", "  ", "nosuch://bucket/path", "ftp://127.0.0.1:1/path"])
def test_a_location_that_cannot_be_used_is_refused_in_one_line(location: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Folder(location)
    assert "\n" not in str(caught.value) and "--storage" in str(caught.value)


def test_a_url_that_can_only_be_read_is_refused_when_written(tmp_path: Path) -> None:
    with pytest.raises(WriteError, match=r"^http://127.0.0.1:1/sweeps/x cannot be written"):
        Folder("http://127.0.0.1:1/sweeps").write("x", b"data")


@pytest.mark.parametrize("data", [b"", b"{", b"[1, 2]", b"\xff\xfe"])
def test_a_file_that_is_not_a_json_table_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_json(data, "c.json")
    assert "\n" not in str(caught.value) and "c.json" in str(caught.value)


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "", ".", "a\0b"])
def test_a_name_that_leads_out_of_the_folder_is_refused_and_nothing_is_touched(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "x").mkdir()
    for location in (*locations(tmp_path / "y"), str(tmp_path / "z")):
        folder = Folder(location)
        folder.write("kept", b"1")
        with pytest.raises(ConfigError):
            folder.write(name, b"2")
        for act in (folder.read, folder.status, folder.remove_folder):
            with pytest.raises(ConfigError):
                act(name)
        assert folder.read("kept") == b"1"
    assert (tmp_path / "x").is_dir()


def test_a_url_with_one_slash_is_refused() -> None:
    with pytest.raises(ConfigError, match="a URL has two slashes: s3://bucket/x"):
        Folder("s3:/bucket/x")
