"""One behaviour, whether a folder is a path or a URL."""

import uuid
from pathlib import Path

import pytest

from common.errors import ConfigError
from common.storage import Folder, parse_json


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


def test_a_path_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Folder("runs").location == str(tmp_path / "runs")


@pytest.mark.parametrize("location", ["", "  ", "nosuch://bucket/path"])
def test_a_place_that_cannot_be_is_refused_in_one_line(location: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Folder(location)
    assert "\n" not in str(caught.value) and "--storage" in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"{", b"[1, 2]", b"\xff\xfe"])
def test_a_file_that_is_no_json_table_is_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_json(data, "c.json")
    assert "\n" not in str(caught.value) and "c.json" in str(caught.value)
