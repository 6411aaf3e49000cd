"""The sliced Wasserstein distance as a run uses it: bad input, the cache, two ranks against one."""

from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import torch
import torch.distributed
import torch.multiprocessing

from common.errors import ConfigError
from gan.config import EvaluationConfig
from gan.distributed import Ranks
from gan.metrics import registry, sliced_wasserstein
from gan.metrics.reference import evenly
from gan.metrics.registry import Metric, build_metric


def _images(count: int, seed: int, side: int = 16, channels: int = 3) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(count, side, side, channels))
    smooth = scipy.ndimage.gaussian_filter(noise, (0, 1, 1, 0), mode="wrap")
    return (128 + 45 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


HELD_OUT, TRAIN, GENERATED = _images(40, 1), _images(90, 2), _images(40, 3)


def _swd(
    num_images: int = 40,
    seed: int = 0,
    held_out: np.ndarray = HELD_OUT,
    train: np.ndarray = TRAIN,
    ranks: Ranks = Ranks(),  # noqa: B008 - frozen
    key: str | None = None,
) -> Metric:
    config = EvaluationConfig(metric="swd", metric_images=num_images)
    return build_metric(config, held_out=held_out, train=train, seed=seed, ranks=ranks, key=key)


def _value(metric: Metric, images: np.ndarray) -> float:
    return metric.measure(torch.from_numpy(images))["swd"]


def _measure_as_rank(rank: int, rendezvous: str, out: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    metric = _swd(seed=5, ranks=Ranks(rank, 2))
    np.save(Path(out) / f"{rank}.npy", [_value(metric, GENERATED), metric.noise])
    torch.distributed.destroy_process_group()


def test_two_ranks_return_the_same_value_as_one(tmp_path: Path) -> None:
    rendezvous = (tmp_path / "rendezvous").as_uri()
    torch.multiprocessing.spawn(_measure_as_rank, (rendezvous, str(tmp_path)), nprocs=2)
    first, second = (np.load(tmp_path / f"{rank}.npy") for rank in range(2))
    alone = _swd(seed=5)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, [_value(alone, GENERATED), alone.noise], rtol=1e-6)


def test_the_held_out_images_themselves_measure_zero_and_noise_is_that_of_real_images() -> None:
    metric = _swd()
    assert (metric.name, metric.lower_is_better, metric.num_images) == ("swd", True, 40)
    assert metric.measure(torch.from_numpy(HELD_OUT)) == {"swd": 0, "swd_noise": metric.noise}
    assert 0 < metric.noise < _value(metric, scipy.ndimage.gaussian_filter(GENERATED, (0, 1, 1, 0)))


def test_the_same_seed_gives_the_same_number() -> None:
    assert _value(_swd(seed=3), GENERATED) == _value(_swd(seed=3), GENERATED)
    assert _value(_swd(seed=4), GENERATED) != _value(_swd(seed=3), GENERATED)


def test_real_images_sorted_by_class_are_taken_from_all_classes() -> None:
    dark, bright = np.full((30, 16, 16, 1), 10, np.uint8), np.full((30, 16, 16, 1), 200, np.uint8)
    taken = evenly(np.concatenate([dark, bright]), 20)
    assert sorted(set(taken.flatten().tolist())) == [10, 200]
    assert (taken == 10).mean() == 0.5
    np.testing.assert_array_equal(evenly(dark, 50), dark)


def test_the_real_images_are_prepared_once_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = []
    real_projections = sliced_wasserstein.sorted_projections

    def counted(*arguments: object, **settings: object) -> object:
        prepared.append(1)
        return real_projections(*arguments, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(sliced_wasserstein, "sorted_projections", counted)
    monkeypatch.setattr(registry, "_prepared", type(registry._prepared)())
    for _ in range(3):
        _swd(key="a")
    assert len(prepared) == 2  # held out, and training images for the noise
    _swd(key="b")
    assert len(prepared) == 4


def test_the_fewest_of_held_out_training_and_asked_images_are_compared() -> None:
    metric = _swd(num_images=1024, train=TRAIN[:25])
    assert metric.num_images == 25
    assert _value(metric, GENERATED) == _value(metric, GENERATED[:25])


def test_wrong_input_is_refused_in_one_line() -> None:
    def message(held_out: np.ndarray = HELD_OUT, train: np.ndarray = TRAIN) -> str:
        with pytest.raises(ConfigError) as caught:
            _swd(held_out=held_out, train=train)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "at least 16 images held out" in message(held_out=HELD_OUT[:15])
    assert "at least 16 pixels, not 8 x 8" in message(held_out=_images(20, 0, side=8))
    with pytest.raises(ConfigError, match="--metric-images must be at least 16, not 8"):
        EvaluationConfig(metric="swd", metric_images=8)
    with pytest.raises(ConfigError, match="--metric-weights has no meaning for swd"):
        EvaluationConfig(metric="swd", metric_weights="x")
    metric = _swd()
    for wrong in (GENERATED[:39], GENERATED.astype(np.float32), GENERATED[..., :1]):
        with pytest.raises(ConfigError, match="compares 40 uint8 images"):
            _value(metric, wrong)
