"""What all tests share: which of them start Ray, and the figures that some of them print."""

from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.drivers import none_outlives

Figure = Callable[[str, float], None]

# `make test` runs them beside the other tests, those in `tune` in a process of their own
STARTS_RAY = (
    "cluster",
    "common/cluster",
    "gan/raytrain",
    "gan/test_drivers.py",
    "gan/test_main.py",
    "styletransfer/execution/test_batch.py",
    "styletransfer/execution/test_trouble.py",
    "styletransfer/test_main.py",
    "tune/driver",
    "tune/search/test_postgresql.py",
    "tune/test_main.py",
    "tune/worker_groups/test_short_of_memory.py",
    "tune/worker_groups/test_trainable.py",
)

# a machine that is busy with other tests may take longer than 200 ms for an example
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that start Ray."""
    here = Path(__file__).parent
    folders = [here / name for name in STARTS_RAY]
    assert all(folder.exists() for folder in folders), "a folder or file of STARTS_RAY has moved"
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in folders):
            item.add_marker("ray")


@pytest.fixture(autouse=True)
def _no_driver_outlives_its_test() -> Iterator[None]:
    with none_outlives():
        yield


@pytest.fixture
def figure(capsys: pytest.CaptureFixture[str]) -> Figure:
    """Prints what happened and after how many seconds work continued, also where the test passes."""

    def show(what: str, seconds: float) -> None:
        with capsys.disabled():
            print(f"\n{what}: continued after {seconds:.1f} s", flush=True)

    return show
