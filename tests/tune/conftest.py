"""Fixtures of the sweep's tests: one Ray, a cache of images, trials that fail."""

import functools
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import ray.cloudpickle

from common.cluster.session import start_ray
from tests.tune import sweeps
from tune.worker_groups import launcher


@pytest.fixture(scope="session")
def shared_ray() -> Iterator[None]:
    """One Ray for all tests of a session that need one."""
    ray.cloudpickle.register_pickle_by_value(sweeps)
    start_ray(None, num_cpus=2)
    yield
    ray.shutdown()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded images go to the test's own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def sabotage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets trials with certain learning rates fail, in the workers of the worker groups."""
    monkeypatch.setattr(launcher, "work", functools.partial(sweeps.sabotaged_work, scene=str(tmp_path)))
