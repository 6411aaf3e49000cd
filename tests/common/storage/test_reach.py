"""Whether a folder can be used is answered within seconds, in one line that names the flag."""

import socket
import time
from pathlib import Path

import pytest

from common.errors import ConfigError
from common.storage.reach import check_reachable


def test_a_folder_on_a_disk_is_not_touched(tmp_path: Path) -> None:
    check_reachable(str(tmp_path / "runs"))
    check_reachable(f"file://{tmp_path}/runs")
    assert list(tmp_path.iterdir()) == []


def test_a_url_in_the_memory_of_one_process_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^--storage memory://runs would exist only in the memory"):
        check_reachable("memory://runs")


def test_a_store_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "x")
        began = time.monotonic()
        with pytest.raises(ConfigError, match=r"--out s3://bucket/x has not answered within 4 s") as caught:
            check_reachable("s3://bucket/x", flag="--out", timeout_s=4)
        assert time.monotonic() - began < 10
    assert "\n" not in str(caught.value)


def test_a_url_that_cannot_be_used_is_one_line() -> None:
    with pytest.raises(ConfigError) as caught:
        check_reachable("nonsense://bucket")
    line = str(caught.value)
    assert line.startswith("--storage nonsense://bucket cannot be used") and "\n" not in line
