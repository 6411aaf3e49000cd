"""Which grids of a running sweep are on disk after which ticks; without Ray."""

import itertools
from pathlib import Path

import pytest

from common.storage.atomic import WriteError
from common.storage.folder import Folder
from tune.driver.grids import MOST_WAITING, GridStore
from tune.records.events import Tick, TrialEnded, TrialStarted
from tune.records.grids import grid_places, read_grids
from tune.records.trial_records import Trial, apply


class Sweep:
    """Trials whose ticks are told to a store."""

    def __init__(
        self, folder: Folder, most: int, trials: dict[int, Trial] | None = None, candidates: int = 0
    ) -> None:
        self.trials: dict[int, Trial] = {} if trials is None else trials
        self.folder = folder
        self.store = GridStore(folder, self.trials, "swd", most, candidates)

    def tick(self, number: int, images: int, value: float, grid: bytes = b"") -> None:
        if number not in self.trials:
            apply(self.trials, TrialStarted(number=number, trial_id=str(number)))
        row = {"swd": value, "images_seen": float(images)}
        apply(self.trials, Tick(number=number, trial_id=str(number), images_seen=images, metrics=row))
        self.store.add(number, images, grid or f"{number} {images}".encode())

    def end(self, number: int, state: str = "completed") -> None:
        apply(self.trials, TrialEnded(number=number, state=state))  # type: ignore[arg-type]

    def places(self) -> dict[int, list[int]]:
        """What is on disk once the thread has done all."""
        self.store.write()
        for job in self.store._jobs:
            job.result()
        return grid_places(self.folder)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path))


def test_a_late_bloomer_has_its_grids_from_the_first_tick_on(folder: Folder) -> None:
    sweep = Sweep(folder, most=1)
    sweep.tick(0, 64, 5.0)
    sweep.tick(1, 64, 3.0)
    sweep.tick(2, 64, 4.0)
    assert sweep.places() == {0: [64], 1: [64]}
    sweep.tick(2, 128, 2.0)
    sweep.tick(1, 128, 3.5)
    assert sweep.places() == {0: [64], 1: [64], 2: [64, 128]}  # 1 trains on, and may become the best again
    sweep.end(1, "pruned")
    assert sweep.places() == {0: [64], 2: [64, 128]}
    sweep.end(2)
    sweep.end(0)
    sweep.store.finish()
    assert sweep.places() == {0: [64], 2: [64, 128]}


def test_whoever_wins_at_the_end_has_its_grids(folder: Folder) -> None:
    sweep = Sweep(folder, most=1, candidates=3)
    for number, value in enumerate((9.0, 3.0, 2.0, 4.0, 5.0)):
        sweep.tick(number, 64, value)
        sweep.end(number)
    assert sweep.places() == {0: [64], 1: [64], 2: [64], 3: [64]}
    sweep.store.finish()  # nothing is decided
    assert grid_places(folder) == {0: [64], 1: [64], 2: [64], 3: [64]}
    sweep.store.finish(winner=3)
    assert grid_places(folder) == {0: [64], 2: [64], 3: [64]}


def test_a_tick_that_is_trained_again_replaces_its_grid(folder: Folder) -> None:
    sweep = Sweep(folder, most=8)
    sweep.tick(0, 64, 5.0, b"first")
    sweep.store.write()
    apply(sweep.trials, TrialStarted(number=0, trial_id="again", attempt=1))
    sweep.tick(0, 64, 5.0, b"second")
    sweep.store.finish()
    assert read_grids(folder, [0]) == {0: {64: b"second"}}


def test_an_interrupted_sweep_keeps_what_a_resumed_one_may_need_and_drops_it_later(folder: Folder) -> None:
    sweep = Sweep(folder, most=1)
    for number, value in ((0, 5.0), (1, 1.0), (2, 3.0), (3, 4.0)):
        sweep.tick(number, 64, value)
    sweep.end(3, "failed")
    sweep.end(2, "interrupted")
    sweep.store.finish()
    assert grid_places(folder) == {0: [64], 1: [64], 2: [64]}
    resumed = Sweep(folder, most=1, trials=sweep.trials)
    resumed.tick(2, 128, 3.0)
    resumed.end(2, "pruned")
    assert resumed.places() == {0: [64], 1: [64]}


def test_grids_that_wait_are_thinned_evenly(folder: Folder) -> None:
    sweep = Sweep(folder, most=1)
    sweep.tick(1, 1, 0.5)
    for images in range(1, 301):
        sweep.tick(2, images, 1.0)
        assert len(sweep.store._waiting[2]) <= MOST_WAITING
    sweep.tick(2, 301, 0.1)
    places = sweep.places()[2]
    assert places[0] == 1 and places[-1] == 301 and len(places) == MOST_WAITING
    assert max(later - first for first, later in itertools.pairwise(places)) <= 4 * 301 / MOST_WAITING


def test_without_grids_nothing_is_written(folder: Folder) -> None:
    sweep = Sweep(folder, most=0, candidates=5)
    sweep.tick(0, 64, 5.0)
    sweep.store.finish(winner=0)
    assert folder.list_files() == []


def test_a_grid_that_cannot_be_written_ends_the_sweep_with_the_reason(tmp_path: Path, folder: Folder) -> None:
    sweep = Sweep(folder, most=1)
    (tmp_path / "grids").write_bytes(b"in the way")
    sweep.tick(0, 64, 5.0)
    with pytest.raises(WriteError, match="cannot be written"):
        sweep.store.finish()
