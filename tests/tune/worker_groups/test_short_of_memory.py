"""A sweep whose trials have two ranks each, one of which is short of memory."""

from pathlib import Path

import pytest
import ray.cloudpickle

from gan.config import DataConfig
from gan.data.images import Images
from tests.gan import shortage
from tests.gan.shortage import ShortOfMemory
from tests.tune.sweeps import rates, sweep, tiny_gan

pytestmark = [pytest.mark.usefixtures("cache", "shared_ray")]

ray.cloudpickle.register_pickle_by_value(shortage)
TICK = 64


def test_it_continues_once_from_the_last_save_and_fails_by_its_own_fault_the_second_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plant(_: DataConfig, images: Images) -> tuple[ShortOfMemory, None]:
        # in the second tick: twice of the first trial, once of the second
        return ShortOfMemory(images.fingerprint, scene=str(tmp_path), images_seen=TICK, times=3), None

    monkeypatch.setattr("tune.driver.sweep.broadcast_images", plant)
    trials = sweep(
        tmp_path,
        rates(1e-4, 2e-4),
        trials=2,
        scheduler="none",
        gan=tiny_gan(images=3 * TICK),
        workers_per_trial=2,
    )
    first, second = trials[0], trials[1]
    assert (first.state, first.attempt, second.state, second.attempt) == ("failed", 1, "completed", 1)
    assert first.reason == "OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"
    assert [tick.images_seen for tick in first.valid_ticks()] == [TICK]
    assert [tick.images_seen for tick in second.valid_ticks()] == [TICK, 2 * TICK, 3 * TICK]
    assert len(second.ticks) == 3, "no tick was trained twice"
    assert len(list(tmp_path.glob("short-*"))) == 3
