"""examples/workers.py: what it asks of the autoscaler, and when it is content."""

import itertools
import runpy
import sys
from typing import Any

import pytest
import ray
import ray.autoscaler.sdk

from tests.cluster.rehearsal import ROOT


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[dict[str, float]]]:
    """The bundles requested from a cluster that grows by two GPUs at each look, up to six."""
    requests: list[list[dict[str, float]]] = []
    looks = itertools.count()

    def nodes() -> list[dict[str, Any]]:
        gone = {"Alive": False, "Resources": {"GPU": 8.0}}
        return [gone] + [{"Alive": True, "Resources": {"GPU": 2.0}} for _ in range(min(next(looks), 3))]

    monkeypatch.setattr(ray, "init", lambda *_, **__: None)
    monkeypatch.setattr(ray, "nodes", nodes)
    monkeypatch.setattr(ray.autoscaler.sdk, "request_resources", lambda bundles: requests.append(bundles))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return requests


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The script's exit code."""
    monkeypatch.setattr(sys, "argv", ["workers.py", *words])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(ROOT / "examples" / "workers.py"), run_name="__main__")
    return int(str(caught.value.code))


def test_it_returns_when_all_gpus_have_joined(
    monkeypatch: pytest.MonkeyPatch, asked: list[list[dict[str, float]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "5") == 0
    assert asked == [[{"GPU": 1}] * 5]
    assert capsys.readouterr().out.splitlines() == ["0 of 5 GPUs", "2 of 5 GPUs", "4 of 5 GPUs", "6 GPUs"]


def test_it_says_how_many_came_when_the_time_is_up(
    monkeypatch: pytest.MonkeyPatch, asked: list[list[dict[str, float]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "7", "--timeout-s", "0.01") == 1
    assert "of 7 GPUs after 0 s" in capsys.readouterr().err


def test_none_gives_the_request_up(
    monkeypatch: pytest.MonkeyPatch, asked: list[list[dict[str, float]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "0") == 0
    assert asked == [[]]
    assert "withdrawn" in capsys.readouterr().out
