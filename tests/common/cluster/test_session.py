"""The message when Ray does not start, and who may read its token."""

import os
from pathlib import Path

import pytest
import ray

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


def test_only_its_user_may_read_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    hide_token()  # there is none
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.touch(0o644)
    hide_token()
    assert token.stat().st_mode & 0o777 == 0o600
