"""Grids in a sweep's folder: their names, reading them, and whose are kept."""

from pathlib import Path

import pytest

from common.storage.folder import Folder
from tune.config import SweepConfig
from tune.records.grids import grid_name, grid_places, kept_numbers, read_grids


@pytest.fixture(params=["disk", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """A sweep's folder, on a disk and in a store behind a URL."""
    if request.param == "disk":
        return Folder(str(tmp_path))
    return Folder(f"memory://{tmp_path.name}-{request.node.name[-20:].strip('[]')}")


def test_grids_are_read_by_trial_and_images_in_the_order_of_training(folder: Folder) -> None:
    for number, images in ((0, 2000), (12, 10_000), (12, 2000), (12, 4000), (3, 2000)):
        folder.write(grid_name(number, images), f"{number} {images}".encode())
    found = read_grids(folder, [12, 0, 7])
    assert found == {0: {2000: b"0 2000"}, 12: {2000: b"12 2000", 4000: b"12 4000", 10_000: b"12 10000"}}
    assert list(found[12]) == [2000, 4000, 10_000] and list(found) == [0, 12]
    assert grid_places(folder) == {0: [2000], 3: [2000], 12: [2000, 4000, 10_000]}


def test_files_of_other_names_are_passed_over(folder: Folder) -> None:
    names = ("grids/1/x.webp", "grids/1/20.png", "grids/-1/20.webp", "grids/a/20.webp", "grids/1/a/20.webp")
    for name in (*names, "grids/1/.0000.webp.7-ab.tmp", "1/20.webp"):
        folder.write(name, b"")
    assert read_grids(folder, range(10)) == {} and read_grids(folder, []) == {}


def test_the_best_trials_and_the_first_one_keep_their_grids() -> None:
    values = {0: 9.0, 1: 3.0, 2: float("nan"), 3: 1.0, 4: 2.0}
    assert kept_numbers(values, 2) == {3, 4, 0}
    assert kept_numbers(values, 8) == {0, 1, 3, 4}
    assert kept_numbers({}, 8) == {0} and kept_numbers(values, 0) == set()


def test_a_sweep_of_an_earlier_version_goes_on_with_grids() -> None:
    saved = SweepConfig().to_dict()
    del saved["grid_trials"]
    assert SweepConfig.from_dict(saved).grid_trials == 8
