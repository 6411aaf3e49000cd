"""`python -m tune dashboard` as a program: it serves, is stopped by Ctrl-C, and says what is wrong."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.tune.dashboard.conftest import WrittenSweep
from tests.waiting import HANGS_AFTER_S
from tune.__main__ import main


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as answer:
        data: bytes = answer.read()
        return data


def test_it_serves_a_sweep_until_ctrl_c(tmp_path: Path) -> None:
    sweep = WrittenSweep(str(tmp_path))
    sweep.add_trial(3.0)
    command = [sys.executable, "-m", "tune", "dashboard", sweep.location, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        found = re.search(r"(http://127\.0\.0\.1:\d+)/dashboard/studies/(\d+)", line)
        assert found, line
        assert b"<html" in fetched(found[0]).lower()
        (trial,) = json.loads(fetched(f"{found[1]}/api/studies/{found[2]}"))["trials"]
        grid = trial["artifacts"][0]["artifact_id"]
        assert fetched(f"{found[1]}/artifacts/{found[2]}/{trial['trial_id']}/{grid}")[8:12] == b"WEBP"
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=HANGS_AFTER_S)
    assert (server.returncode, out, err) == (130, "", "python -m tune: stopped by Ctrl-C\n")


def test_what_is_wrong_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dashboard", str(tmp_path)]) == 2
    assert "holds no sweep: sweep.json is missing" in capsys.readouterr().err
    sweep = WrittenSweep(str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["dashboard", sweep.location, "--port", str(port)]) == 2
    said = f"--port {port} is in use on 127.0.0.1; give another, or --port 0 for any that is free"
    assert capsys.readouterr().err == f"python -m tune: {said}\n"
    assert main(["dashboard", sweep.location, "--port", "70000"]) == 2
    assert "--port must lie between 0 and 65535" in capsys.readouterr().err
