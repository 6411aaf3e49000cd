"""Workers, threads and tiles that a batch gets on a machine, without Ray."""

import dataclasses
from pathlib import Path

import pytest

from styletransfer.execution import batch
from styletransfer.execution.batch import Options, bytes_per_worker, fitted, tiles_chosen
from styletransfer.planning.plan import BatchPlan
from tests.styletransfer.folders import make_folders, plan_of

pytestmark = pytest.mark.usefixtures("cache")

GIB = 2**30


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """8 CPUs and 23 GiB of free memory."""
    monkeypatch.setattr(batch, "local_nodes", lambda: [{"CPU": 8}])
    monkeypatch.setattr(batch, "free_memory_bytes", lambda: 23 * GIB)


def left_of(plan: BatchPlan, count: int) -> BatchPlan:
    """The same plan when only some of its pairs are left."""
    return dataclasses.replace(plan, stale=plan.stale[:count])


@pytest.mark.usefixtures("machine")
def test_a_pair_that_is_made_again_gets_the_threads_that_it_had_in_the_whole_batch(tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 4, 1))
    threads, workers = [], []
    for left in (4, 3, 1):
        placement = fitted(left_of(plan, left), Options())[1]
        threads.append(placement.cpus)
        workers.append(placement.workers)
    assert threads == [2, 2, 2] and workers == [4, 3, 1]
    assert fitted(left_of(plan, 1), Options(threads=5))[1].cpus == 5
    assert fitted(plan_of(*make_folders(tmp_path / "one", 1, 1)), Options())[1].cpus == 8


@pytest.mark.usefixtures("machine")
def test_a_picture_that_needs_more_memory_than_there_is_gets_tiles(tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1), "--size", "6000", "--iterations", "200", "--scales", "0")
    assert bytes_per_worker(plan, Options()) > 23 * GIB
    tiled, placement = fitted(plan, Options())
    [config] = tiled.request.variants.values()
    assert config.tile >= 128 and bytes_per_worker(tiled, Options()) < 0.9 * 23 * GIB
    assert not placement.is_short_of_memory
    [line] = tiles_chosen(plan, tiled, Options())
    assert line.startswith(f"in tiles of {config.tile} pixels: without them a worker would need ")
    small = plan_of(*make_folders(tmp_path / "small", 1, 1))
    assert fitted(small, Options())[0] == small and tiles_chosen(small, small, Options()) == []
