"""Fixtures of tests of batches: one Ray, and a temporary cache of digests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from common.cluster.session import start_ray
from tests.styletransfer import sabotage


@pytest.fixture(scope="session")
def shared_ray() -> Iterator[None]:
    """One Ray with two CPUs, started once per session."""
    ray.cloudpickle.register_pickle_by_value(sabotage)
    start_ray(None, num_cpus=2)
    yield
    ray.shutdown()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache of digests is in the test's own folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
