"""The sliced Wasserstein distance as a run uses it: wrong input, preparation, two ranks against one."""

from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
import torch

from common.errors import ConfigError
from gan.config import EvaluationConfig
from gan.distributed import Ranks
from gan.metrics import preparation, sliced_wasserstein
from gan.metrics.named import PreparedMetric
from gan.metrics.preparation import build_metric
from gan.metrics.reference import RealImages, evenly
from tests.gan.ranks import on_two_ranks


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
    fingerprint: str | None = None,
) -> PreparedMetric:
    config = EvaluationConfig(metric="swd", metric_images=num_images)
    real = RealImages(
        held_out=held_out, train=train, seed=seed, device=torch.device("cpu"), fingerprint=fingerprint
    )
    return build_metric(config, real)


def _measured(metric: PreparedMetric, images: np.ndarray, ranks: Ranks = Ranks()) -> list[float]:  # noqa: B008
    """The value and its noise floor."""
    numbers = metric.measure(torch.from_numpy(images), ranks)
    assert set(numbers) == {"swd", "swd_noise"}
    return [numbers["swd"], numbers["swd_noise"]]


def _value(metric: PreparedMetric, images: np.ndarray) -> float:
    return _measured(metric, images)[0]


def _measure_as_rank(rank: int) -> list[float]:
    return _measured(_swd(seed=5), GENERATED, Ranks(rank, 2))


def test_two_ranks_return_the_same_value_as_one(tmp_path: Path) -> None:
    first, second = on_two_ranks(_measure_as_rank, folder=tmp_path)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, _measured(_swd(seed=5), GENERATED), rtol=1e-6)


def test_the_held_out_images_measure_zero_and_the_noise_floor_is_that_of_training_images() -> None:
    metric = _swd()
    assert (metric.name, metric.num_images) == ("swd", 40)
    value, noise_floor = _measured(metric, HELD_OUT)
    assert value == 0
    assert noise_floor == _value(metric, evenly(TRAIN, 40))
    assert 0 < noise_floor < _value(metric, scipy.ndimage.gaussian_filter(GENERATED, (0, 1, 1, 0)))


def test_the_same_seed_gives_the_same_number() -> None:
    assert _value(_swd(seed=3), GENERATED) == _value(_swd(seed=3), GENERATED)
    assert _value(_swd(seed=4), GENERATED) != _value(_swd(seed=3), GENERATED)


def test_real_images_sorted_by_class_are_taken_from_all_classes() -> None:
    dark, bright = np.full((30, 16, 16, 1), 10, np.uint8), np.full((30, 16, 16, 1), 200, np.uint8)
    taken = evenly(np.concatenate([dark, bright]), 20)
    assert sorted(set(taken.flatten().tolist())) == [10, 200]
    assert (taken == 10).mean() == 0.5
    np.testing.assert_array_equal(evenly(dark, 50), dark)


def test_the_real_images_are_prepared_once_a_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = []
    real_projections = sliced_wasserstein.sorted_projections

    def counted(*arguments: object, **settings: object) -> object:
        prepared.append(1)
        return real_projections(*arguments, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(sliced_wasserstein, "sorted_projections", counted)
    monkeypatch.setattr(preparation, "_prepared", type(preparation._prepared)())
    for _ in range(3):
        _swd(fingerprint="a")
    assert len(prepared) == 2  # held out, and training images for the noise floor
    _swd(fingerprint="b")
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

    assert "at least 8 images held out" in message(held_out=HELD_OUT[:7])
    assert "at least 16 pixels, not 8 x 8" in message(held_out=_images(20, 0, side=8))
    for count in (8, 10**7):  # the features of so many would not fit into memory, and take hours
        with pytest.raises(ConfigError, match=f"--metric-images must lie between 16 and 100000, not {count}"):
            EvaluationConfig(metric="swd", metric_images=count)
    with pytest.raises(ConfigError, match="--metric-weights has no meaning for swd"):
        EvaluationConfig(metric="swd", metric_weights="x")
    metric = _swd()
    for wrong in (GENERATED[:39], GENERATED.astype(np.float32), GENERATED[..., :1]):
        with pytest.raises(ConfigError, match="compares 40 uint8 images"):
            _value(metric, wrong)
