"""How a run starts: a signal at any stage is one line with its exit code; what never began leaves nothing."""

import importlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common.cluster import session
from common.storage.folder import Folder
from gan.__main__ import main
from gan.cli import train
from gan.config import GanConfig
from gan.data.images import remember
from gan.data.loading import load_images
from gan.raytrain import worker
from gan.raytrain.broadcast import ImageBroadcast
from gan.raytrain.events import Begun, Ended, RunEvent
from gan.run_folder import RunFolder

Capture = pytest.CaptureFixture[str]

STAGES = [
    "gan.cli.early:check_early",
    "gan.cli.train:plan_run",
    "gan.cli.train:share_resources",
    "common.storage.claim:FolderLock.__enter__",
    "gan.cli.train:load_images",
    "gan.cli.train:check_same",
    "gan.cli.train:prepare_metric",
    "common.cluster.session:start_ray",
    "gan.cli.train:check_seen_by_all",
    "gan.cli.train:RunFolder.begin",
    "gan.cli.train:broadcast_images",
    "gan.cli.train:RunDisplay.__enter__",
    "gan.raytrain.worker:Queue",
    "gan.raytrain.worker:build_trainer",
    "gan.raytrain.worker:_take_all",
]


class Ray:
    """Stands in for Ray and its workers: starts and ends nothing, and says what a test tells it to say."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.says: list[RunEvent] = []
        self.is_started = False
        self._killed = threading.Event()

        def start(*_: object) -> None:
            self.is_started = True

        def shut_down() -> None:
            waiting = [thread.name for thread in threading.enumerate() if thread.name == "ray-train"]
            assert not waiting, "a thread that waits for Ray when it is shut down ends the process"
            self.is_started = False

        monkeypatch.setattr(session, "start_ray", start)
        monkeypatch.setattr(session.ray, "is_initialized", lambda: False)
        monkeypatch.setattr(session.ray, "shutdown", shut_down)
        monkeypatch.setattr(session, "kill_actors", lambda _: self._killed.set())
        monkeypatch.setattr(train, "check_seen_by_all", lambda _: None)
        monkeypatch.setattr(train, "broadcast_images", lambda *_: (ImageBroadcast(""), None))
        monkeypatch.setattr(worker, "beside_driver", lambda: None)
        monkeypatch.setattr(worker, "Queue", lambda **_: None)
        monkeypatch.setattr(worker, "build_trainer", lambda *_: self)
        monkeypatch.setattr(worker, "_take_all", lambda _: [self.says.pop(0)] if self.says else [])
        monkeypatch.setattr(worker, "SECONDS_BETWEEN_POLLS", 0.01)

    def fit(self) -> None:
        """Train until somebody kills the controller."""
        assert self._killed.wait(30)


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ray]:
    fake = Ray(monkeypatch)
    yield fake
    assert not fake.is_started


def hit(monkeypatch: pytest.MonkeyPatch, stage: str, signum: int, *, after: bool) -> None:
    """This process gets a signal right before, or right after, it does what the stage names."""
    module, _, path = stage.partition(":")
    *parents, name = path.split(".")
    owner: Any = importlib.import_module(module)
    for parent in parents:
        owner = getattr(owner, parent)
    original: Callable[..., Any] = getattr(owner, name)

    def stopped(*args: Any, **settings: Any) -> Any:
        if not after:
            os.kill(os.getpid(), signum)
        result = original(*args, **settings)
        if after:
            os.kill(os.getpid(), signum)
        return result

    monkeypatch.setattr(owner, name, stopped)


@pytest.fixture
def new_run(tiny_config: GanConfig, tmp_path: Path) -> list[str]:
    """The command of a new run."""
    load_images(tiny_config.data)
    data, network = tiny_config.data, tiny_config.network
    flags = ["--resolution", "16", "--max-images", str(data.max_images), "--held-out", str(data.held_out)]
    flags += ["--width", str(network.width), "--latent-size", str(network.latent_size), "--batch", "16"]
    flags += ["--metric", "swd", "--metric-images", "32", "--cache-dir", data.cache, "--no-gpu"]
    return ["train", "--name", "run", "--storage", str(tmp_path / "runs"), *flags]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_signal_at_any_stage_of_the_start_is_one_line_and_leaves_nothing(
    stage: str,
    after: bool,
    ray: Ray,
    new_run: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    signum = signal.SIGTERM if (STAGES.index(stage) + after) % 2 else signal.SIGINT
    hit(monkeypatch, stage, signum, after=after)
    assert main(new_run) == 128 + signum
    name = "Ctrl-C" if signum == signal.SIGINT else "SIGTERM"
    assert capsys.readouterr().err == f"python -m gan: stopped by {name}\n"
    assert list(tmp_path.iterdir()) == [], "nothing is left"


@pytest.mark.parametrize("stage", ["gan.cli.train:RunFolder.begin", "gan.raytrain.worker:_take_all"])
def test_a_signal_while_a_run_resumes_loses_nothing_and_says_how_to_go_on(
    stage: str,
    ray: Ray,
    tiny_config: GanConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    run = RunFolder(Folder(str(tmp_path / "run")))
    run.begin(tiny_config, {"workers": 1, "images": remember(load_images(tiny_config.data))})
    hit(monkeypatch, stage, signal.SIGINT, after=False)
    assert main(["train", "--resume", run.folder.location, "--no-gpu"]) == 130
    shown = capsys.readouterr()
    assert shown.err == "" and shown.out.splitlines()[-1] == (
        "stopped by Ctrl-C; every finished tick is saved; resume with "
        f"python -m gan train --resume {run.folder.location}"
    )
    assert run.config() == tiny_config and run.details()["workers"] == 1


def test_a_signal_after_the_workers_are_ready_keeps_the_run(
    ray: Ray, new_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    ray.says = [Begun(0)]
    hit(monkeypatch, "gan.cli.train:RunDisplay.show", signal.SIGTERM, after=True)
    assert main(new_run) == 143
    assert f"resume with python -m gan train --resume {tmp_path}/runs/run" in capsys.readouterr().out
    assert RunFolder(Folder(str(tmp_path / "runs" / "run"))).exists()


def test_workers_that_cannot_start_end_a_new_run_in_one_line_and_leave_its_name_free(
    ray: Ray, new_run: list[str], tmp_path: Path, capsys: Capture
) -> None:
    ray.says = [Ended("failed", "on host: --data shapes has other pictures")]
    assert main(new_run) == 1
    assert capsys.readouterr().err == "failed: on host: --data shapes has other pictures\n"
    assert list(tmp_path.iterdir()) == []


def test_a_fault_of_ray_itself_is_one_line(
    ray: Ray, new_run: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise session.ray.exceptions.RayError("the node is gone\nwith a trace")

    monkeypatch.setattr(worker, "Queue", broken)
    assert main(new_run) == 1
    assert capsys.readouterr().err == "failed: Ray has failed: the node is gone\n"
    assert list(tmp_path.iterdir()) == []
