"""Servers of the tests: an object store on this machine."""

import contextlib
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator

import pytest

from tests.waiting import wait_for


@contextlib.contextmanager
def s3_bucket(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[str]:
    """URL of a new bucket on a server of moto's, which this process and its children use within the block."""
    pytest.importorskip("moto.server", reason="moto is not installed; the test extra has it")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    settings = {"AWS_ENDPOINT_URL": address, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    for variable, value in {**settings, "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(variable, value)

    def answers() -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/moto-api/"):
            return True
        return False

    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(answers, timeout_s=60)
            urllib.request.urlopen(urllib.request.Request(f"{address}/{name}", method="PUT")).close()
            yield f"s3://{name}"
        finally:
            server.kill()
