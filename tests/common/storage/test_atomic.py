"""Files that are replaced completely or not at all, also on a full disk."""

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from common.storage.atomic import WriteError, replace_file


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new" / "last.safetensors"
    replace_file(path, b"first")
    replace_file(path, b"second")
    assert path.read_bytes() == b"second"
    assert [file.name for file in path.parent.iterdir()] == ["last.safetensors"]


def test_a_full_disk_is_said_in_one_line_and_the_earlier_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "last.safetensors"
    replace_file(path, b"earlier")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WriteError, match=r"No space left on device; free some space") as caught:
        replace_file(path, b"later")
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_the_system_really_cuts_short_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    replace_file(path, b"earlier")
    script = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from common.storage.atomic import replace_file\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (4096, {resource.RLIM_INFINITY}))\n"
        "try:\n"
        "    replace_file(Path(sys.argv[1]), bytes(40_000))\n"
        "except ValueError as error:\n"
        "    sys.exit(str(error))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "File too large" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]
