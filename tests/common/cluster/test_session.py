"""The message when Ray does not start, and who may read its token."""

import os
import random
import socket
from pathlib import Path

import pytest
import ray

from common.cluster import session
from common.cluster.session import hide_token, start_ray
from common.errors import ConfigError


def test_a_ray_that_does_not_start_is_one_line_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(**settings: object) -> None:
        raise Exception("The current node timed out during startup.\nThis could happen because of much.")

    ended: list[bool] = []
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", fail)
    monkeypatch.setattr(ray, "shutdown", lambda: ended.append(True))
    monkeypatch.delenv("RAY_GCS_SERVER_PORT", raising=False)
    with pytest.raises(ConfigError) as caught:
        start_ray(None, num_cpus=1)
    assert str(caught.value) == (
        "Ray could not be started here (The current node timed out during startup. This could happen because "
        "of much.); the machine is busy or out of memory: try again"
    )
    assert ended == [True] and "RAY_GCS_SERVER_PORT" not in os.environ


def test_the_port_of_a_ray_is_none_that_a_connection_may_get_before_ray_listens_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    ports = []
    for _ in range(50):
        random.seed(0)  # as a sweep does
        ports.append(session._free_port())
    assert not [port for port in ports if first <= port <= last]
    assert len(set(ports)) > 40
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr(session, "_PORTS", [port] * 99 + [ports[0]])
        assert session._free_port() == ports[0]
        monkeypatch.setattr(session, "_PORTS", [port] * 100)
        with pytest.raises(ConfigError, match="none of 100 is free"):
            session._free_port()


def test_only_its_user_may_read_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    hide_token()  # there is none
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.touch(0o644)
    hide_token()
    assert token.stat().st_mode & 0o777 == 0o600
