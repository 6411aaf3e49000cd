"""The metric as a run uses it: bad input, the cache, two ranks against one."""

from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import torch
import torch.distributed
import torch.multiprocessing

from common.errors import ConfigError
from gan import metrics, swd
from gan.metrics import METRICS, build_metric


def _images(count: int, seed: int, side: int = 16, channels: int = 3) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(count, side, side, channels))
    smooth = scipy.ndimage.gaussian_filter(noise, (0, 1, 1, 0), mode="wrap")
    return (128 + 45 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


HELD_OUT, TRAIN, GENERATED = _images(40, 1), _images(90, 2), _images(40, 3)


def _measure_as_rank(rank: int, rendezvous: str, out: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    metric = build_metric(
        "swd", held_out=HELD_OUT, train=TRAIN, num_images=40, seed=5, rank=rank, world_size=2
    )
    np.save(Path(out) / f"{rank}.npy", [metric.measure(GENERATED), metric.noise])
    torch.distributed.destroy_process_group()


def test_two_ranks_return_the_same_value_as_one(tmp_path: Path) -> None:
    rendezvous = (tmp_path / "rendezvous").as_uri()
    torch.multiprocessing.spawn(_measure_as_rank, (rendezvous, str(tmp_path)), nprocs=2)
    first, second = (np.load(tmp_path / f"{rank}.npy") for rank in range(2))
    alone = build_metric("swd", held_out=HELD_OUT, train=TRAIN, num_images=40, seed=5)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, [alone.measure(GENERATED), alone.noise], rtol=1e-6)


def test_the_held_out_images_themselves_measure_zero_and_noise_is_that_of_real_images() -> None:
    metric = build_metric("swd", held_out=HELD_OUT, train=TRAIN, num_images=40, seed=0)
    assert (metric.name, metric.lower_is_better, metric.num_images) == ("swd", True, 40)
    assert metric.measure(HELD_OUT) == 0
    assert 0 < metric.noise < metric.measure(scipy.ndimage.gaussian_filter(GENERATED, (0, 1, 1, 0)))


def test_the_same_seed_gives_the_same_number_and_torch_tensors_are_taken() -> None:
    first, second = (
        build_metric("swd", held_out=HELD_OUT, train=TRAIN, num_images=40, seed=3) for _ in range(2)
    )
    assert first.measure(GENERATED) == second.measure(torch.from_numpy(GENERATED))
    other = build_metric("swd", held_out=HELD_OUT, train=TRAIN, num_images=40, seed=4)
    assert other.measure(GENERATED) != first.measure(GENERATED)


def test_real_images_sorted_by_class_are_taken_from_all_classes() -> None:
    dark, bright = np.full((30, 16, 16, 1), 10, np.uint8), np.full((30, 16, 16, 1), 200, np.uint8)
    taken = metrics._evenly(np.concatenate([dark, bright]), 20)
    assert sorted(set(taken.flatten().tolist())) == [10, 200]
    assert (taken == 10).mean() == 0.5


def test_the_real_images_are_prepared_once_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = []
    real_projections = swd.sorted_projections

    def counted(*arguments: object, **settings: object) -> object:
        prepared.append(1)
        return real_projections(*arguments, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(swd, "sorted_projections", counted)
    monkeypatch.setattr(metrics, "_prepared", type(metrics._prepared)())
    for _ in range(3):
        build_metric("swd", held_out=HELD_OUT, train=TRAIN, num_images=40, seed=0, key="a")
    assert len(prepared) == 2  # held out, and training images for the noise
    build_metric("swd", held_out=HELD_OUT, train=TRAIN, num_images=40, seed=0, key="b")
    assert len(prepared) == 4


def test_the_fewest_of_held_out_training_and_asked_images_are_compared() -> None:
    metric = build_metric("swd", held_out=HELD_OUT, train=TRAIN[:25], num_images=1024, seed=0)
    assert metric.num_images == 25
    assert metric.measure(GENERATED) == metric.measure(GENERATED[:25])


def test_wrong_input_is_refused_in_one_line() -> None:
    def message(name: str = "swd", held_out: np.ndarray = HELD_OUT, num_images: int = 40) -> str:
        with pytest.raises(ConfigError) as caught:
            build_metric(name, held_out=held_out, train=TRAIN, num_images=num_images, seed=0)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "must be one of swd, not fid" in message(name="fid")
    assert "at least 16 images held out" in message(held_out=HELD_OUT[:15])
    assert "--metric-images 16" in message(num_images=8)
    assert "at least 16 pixels, not 8 x 8" in message(held_out=_images(20, 0, side=8))
    metric = build_metric("swd", held_out=HELD_OUT, train=TRAIN, num_images=40, seed=0)
    for wrong in (GENERATED[:39], GENERATED.astype(np.float32), GENERATED[..., :1]):
        with pytest.raises(ConfigError, match="compares 40 uint8 images"):
            metric.measure(wrong)


def test_metrics_are_known_by_name() -> None:
    assert list(METRICS) == ["swd"]
    assert METRICS["swd"].lower_is_better
