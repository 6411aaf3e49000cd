"""How a batch starts: a signal at any stage is one line with its exit code and cuts nothing in half."""

import importlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from common.cluster import session
from styletransfer.__main__ import main
from styletransfer.execution import batch
from tests.styletransfer.folders import entries, make_folders, quick

pytestmark = pytest.mark.usefixtures("cache")

STAGES = [
    "styletransfer.run:make_request",
    "styletransfer.run:make_plan",
    "styletransfer.planning.manifest:FolderLock.__enter__",
    "styletransfer.execution.batch:fitted",
    "styletransfer.execution.batch:write_contact_sheet",
    "common.cluster.session:start_ray",
    "styletransfer.execution.batch:Manifest.__enter__",
    "styletransfer.execution.batch:OutputWriter",
    "styletransfer.execution.batch:tidy_partials",
    "styletransfer.execution.batch:WorkerPool",
    "styletransfer.execution.batch:WorkerPool.wait",
]


class Starting:
    """Stands in for workers that start and start; notes whether they were sent away."""

    alive = 0

    def __init__(self, *arguments: Any) -> None:
        self.placement = SimpleNamespace(workers=1)
        Starting.alive += 1

    def free(self) -> list[Any]:
        return []

    ready = steps = free

    def wait(self, *_: object) -> None:
        time.sleep(0.01)

    def dismiss(self) -> None:
        Starting.alive -= 1


@pytest.fixture(autouse=True)
def ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands in for Ray and its workers."""
    monkeypatch.setattr(session, "start_ray", lambda _: None)
    monkeypatch.setattr(session.ray, "is_initialized", lambda: False)
    monkeypatch.setattr(session.ray, "shutdown", lambda: None)
    monkeypatch.setattr(batch, "WorkerPool", Starting)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_signal_at_any_stage_of_the_start_is_one_line_and_leaves_nothing_half_made(
    stage: str,
    after: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module, _, path = stage.partition(":")
    *parents, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for parent in parents:
        owner = getattr(owner, parent)
    original: Callable[..., Any] = getattr(owner, name)
    signum = signal.SIGTERM if (STAGES.index(stage) + after) % 2 else signal.SIGINT

    def stopped(*args: Any, **settings: Any) -> Any:
        if not after:
            os.kill(os.getpid(), signum)
        result = original(*args, **settings)
        if after:
            os.kill(os.getpid(), signum)
        return result

    monkeypatch.setattr(owner, name, stopped)
    assert main(quick(*make_folders(tmp_path, 2, 1), "--workers", "1")) == 128 + signum
    shown = capsys.readouterr()
    lines = [*shown.out.splitlines(), *shown.err.splitlines()]
    assert [line for line in lines if "stopped by" in line] == lines[-1:], lines
    assert not any("Traceback" in line or "Error" in line for line in lines)
    assert Starting.alive == 0
    assert entries(tmp_path) == {}
    left = {path.name for path in (tmp_path / "out").rglob("*")} if (tmp_path / "out").exists() else set()
    assert left <= {"index.html", "manifest.jsonl", ".lock"}, "neither probes nor temporary files"
