"""Runs under a real Ray on this machine, compared with the same run driven without Ray."""

import os
import signal
from pathlib import Path

import pandas as pd
import pytest
import ray
import ray.cloudpickle
import safetensors.torch
import torch

from common.cluster.placement import Resources
from common.cluster.session import own_actors
from common.storage.folder import Folder
from gan import checkpoint
from gan.config import GanConfig
from gan.data.loading import load_images
from gan.raytrain import worker
from gan.raytrain.broadcast import ImageBroadcast
from gan.raytrain.events import Begun, Ended, RunEvent, Ticked
from gan.run_folder import LAST, Row, RunFolder
from tests.gan import shortage
from tests.gan.shortage import ShortOfMemory

pytestmark = [
    pytest.mark.usefixtures("shared_ray"),
    # ray.train 2.60 meets them in ray.data when it copies its own settings
    pytest.mark.filterwarnings(r"ignore:`use_\w+` is deprecated:DeprecationWarning"),
]
ray.cloudpickle.register_pickle_by_value(shortage)
ONE_WORKER = Resources(workers=1, cpus=1, gpu=False)
CLOCKS = {"train_s", "evaluate_s", "images_per_s"}


def numbers(rows: list[Row]) -> list[Row]:
    """The rows without what a clock decides."""
    return [{name: value for name, value in row.items() if name not in CLOCKS} for row in rows]


def tensors(folder: Folder) -> dict[str, torch.Tensor]:
    data = folder.read(LAST)
    assert data is not None
    return safetensors.torch.load(data)


def images_of(config: GanConfig) -> ImageBroadcast:
    return ImageBroadcast(load_images(config.data).fingerprint)


def kill_a_worker() -> None:
    """SIGKILL a training worker of the Ray that this process has started."""
    [actor] = own_actors("RayTrainWorker").values()
    os.kill(actor["Pid"], signal.SIGKILL)


def test_a_killed_worker_changes_no_number_of_the_run(
    tiny_config: GanConfig, plain_run: tuple[Folder, list[Row]], tmp_path: Path
) -> None:
    folder, events, was_killed = Folder(str(tmp_path / "run")), list[RunEvent](), False
    for event in worker.train(tiny_config, folder, ONE_WORKER, images_of(tiny_config)):
        events.append(event)
        if isinstance(event, Ticked) and not was_killed:
            kill_a_worker()  # one tick is saved, the next one has begun
            was_killed = True

    assert events[-1] == Ended("finished", "")
    begun = [event.images_seen for event in events if isinstance(event, Begun)]
    assert len(begun) == 2 and 0 == begun[0] < begun[1] < tiny_config.images
    rows = RunFolder(folder).history()
    plain_folder, plain_rows = plain_run
    assert numbers(rows) == numbers(plain_rows)
    ours, plain = tensors(folder), tensors(plain_folder)
    assert ours.keys() == plain.keys()
    assert all(torch.equal(ours[name], plain[name]) for name in plain)


def test_a_run_ends_for_its_verdict_also_after_a_kill_in_the_middle_of_its_patience(
    troubled_config: GanConfig, tmp_path: Path
) -> None:
    folder, events = Folder(str(tmp_path / "run")), list[RunEvent]()
    for event in worker.train(troubled_config, folder, ONE_WORKER, images_of(troubled_config)):
        events.append(event)
        is_first = isinstance(event, Ticked) and event.verdict.name == "discriminator_won"
        if is_first and sum(isinstance(each, Ticked) for each in events) == 3:
            kill_a_worker()
    ended = events[-1]
    assert isinstance(ended, Ended) and ended.outcome == "stopped"
    assert ended.verdict is not None and ended.reason == f"discriminator_won: {ended.verdict.evidence}"
    rows = pd.read_csv(tmp_path / "run" / "history.csv")
    assert list(rows["verdict"]) == ["healthy", "healthy", "discriminator_won", "discriminator_won"]
    kept = ("best.safetensors", "generator.safetensors")
    assert all((tmp_path / "run" / name).exists() for name in kept)
    # started again, it ends at once, unless it is told to go on
    again = list(worker.train(troubled_config, folder, ONE_WORKER, images_of(troubled_config)))
    assert [type(each) for each in again] == [Begun, Ended] and again[-1] == ended
    on = troubled_config.with_values({"stopping.when": "none", "images": 5 * 512})
    *_, last = worker.train(on, folder, ONE_WORKER, images_of(on))
    assert last == Ended("finished", "")


def test_two_workers_leave_all_files_of_a_run(tiny_config: GanConfig, tmp_path: Path) -> None:
    config = tiny_config.with_values({"images": 1024, "images_per_tick": 512})
    folder = Folder(str(tmp_path / "run"))
    events = list(worker.train(config, folder, Resources(workers=2, cpus=1, gpu=False), images_of(config)))
    rows = [event.row for event in events if isinstance(event, Ticked)]
    assert [type(events[0]), events[-1]] == [Begun, Ended("finished", "")]
    assert [row["images_seen"] for row in rows] == [512, 1024]
    assert numbers(RunFolder(folder).history()) == numbers(rows)
    left = {path.name for path in (tmp_path / "run").rglob("*") if path.is_file() and path.name[0] != "."}
    grids = {"000000512.png", "000001024.png"}
    assert left == {"history.csv", "last.safetensors", "best.safetensors", "generator.safetensors"} | grids


@pytest.mark.parametrize(
    ("times", "outcome"), [(1, "finished"), pytest.param(9, "failed", marks=pytest.mark.slow)]
)
def test_a_run_whose_second_rank_is_short_of_memory_goes_on_from_its_last_tick(
    times: int, outcome: str, tiny_config: GanConfig, tmp_path: Path
) -> None:
    config = tiny_config.with_values({"images": 1536, "images_per_tick": 512})
    images = ShortOfMemory(images_of(config).fingerprint, scene=str(tmp_path), images_seen=512, times=times)
    folder = Folder(str(tmp_path / "run"))
    *events, ended = worker.train(config, folder, Resources(workers=2, cpus=1, gpu=False), images)
    assert isinstance(ended, Ended) and ended.outcome == outcome
    begun = [event.images_seen for event in events if isinstance(event, Begun)]
    rows = [row["images_seen"] for row in RunFolder(folder).history()]
    if outcome == "finished":
        assert (begun, rows) == ([0, 512], [512, 1024, 1536]), "no tick is trained twice"
    else:
        assert (begun, rows) == ([0, 512, 512, 512], [512])
        assert ended.reason == "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"


def test_a_run_that_diverges_says_so_and_keeps_the_state_before(
    tiny_config: GanConfig, plain_run: tuple[Folder, list[Row]], tmp_path: Path
) -> None:
    state = RunFolder(plain_run[0]).last_state()
    assert state is not None
    poisoned = next(name for name in state.tensors if name.startswith("generator.") and "weight" in name)
    state.tensors[poisoned].fill_(float("nan"))
    folder = Folder(str(tmp_path / "run"))
    saved = checkpoint.to_bytes(state)
    folder.write(LAST, saved)
    more = tiny_config.with_values({"images": tiny_config.images + 512})
    begun, *_, ended = worker.train(more, folder, ONE_WORKER, images_of(more))
    assert begun == Begun(tiny_config.images)
    assert isinstance(ended, Ended) and ended.outcome == "diverged"
    assert "nan" in ended.reason or "not finite" in ended.reason
    assert folder.read(LAST) == saved


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_ends_the_run_with_one_line(
    tiny_config: GanConfig, tmp_path: Path
) -> None:
    folder = Folder(str(tmp_path / "run"))
    folder.write("samples", b"a file where the folder of grids should be")
    *_, last = worker.train(tiny_config, folder, ONE_WORKER, images_of(tiny_config))
    assert isinstance(last, Ended) and last.outcome == "failed"
    assert "000000512.png cannot be written" in last.reason and "\n" not in last.reason
