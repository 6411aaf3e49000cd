"""Distances between features as a run uses them: protocol names, cache, ranks, wrong input."""

from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import scipy.ndimage
import torch

from common.errors import ConfigError
from gan.config import EvaluationConfig
from gan.distributed import Ranks
from gan.metrics import feature_distance, preparation
from gan.metrics.named import PreparedMetric
from gan.metrics.preparation import build_metric
from gan.metrics.reference import RealImages, evenly
from perceptual.embedding import Embedder
from tests.gan.ranks import on_two_ranks


def _images(count: int, seed: int, side: int = 16, channels: int = 3) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(count, side, side, channels))
    smooth = scipy.ndimage.gaussian_filter(noise, (0, 1, 1, 0), mode="wrap")
    return (128 + 45 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


HELD_OUT, TRAIN, GENERATED = _images(48, 1), _images(90, 2), _images(40, 3)
BLURRED = scipy.ndimage.gaussian_filter(GENERATED, (0, 1, 1, 0))


class MeanColour:
    """An embedder whose vectors can be computed by hand."""

    name, length = "compact", 3

    def __init__(self, key: str = "mean-colour") -> None:
        self.key, self.embedded = key, 0

    @property
    def identity(self) -> str:
        """The same on every machine."""
        return self.key

    def named(self, name: str) -> "MeanColour":
        """Itself in another network's place."""
        self.name = name
        return self

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Mean of each channel."""
        self.embedded += len(images)
        return images.float().mean(dim=(1, 2))


def _metric(
    metric: str = "fd_compact",
    num_images: int = 40,
    held_out: np.ndarray = HELD_OUT,
    train: np.ndarray = TRAIN,
    fingerprint: str | None = None,
    cache: Path | None = None,
) -> PreparedMetric:
    config = EvaluationConfig(metric=metric, metric_images=num_images)
    real = RealImages(
        held_out=held_out,
        train=train,
        seed=0,
        device=torch.device("cpu"),
        fingerprint=fingerprint,
        cache=cache,
    )
    return build_metric(config, real)


def _measured(metric: PreparedMetric, images: np.ndarray, ranks: Ranks = Ranks()) -> dict[str, float]:  # noqa: B008
    return metric.measure(torch.from_numpy(images), ranks)


@pytest.fixture
def mean_colour(monkeypatch: pytest.MonkeyPatch) -> MeanColour:
    """Takes the place of every network."""
    embedder: MeanColour = MeanColour()
    monkeypatch.setattr(feature_distance, "load_embedder", lambda name, **_: embedder.named(name))
    monkeypatch.setattr(preparation, "_prepared", type(preparation._prepared)())
    return embedder


def _frechet(first: np.ndarray, second: np.ndarray) -> float:
    """As published, with SciPy's matrix square root."""
    a, b = (images.astype(np.float64).mean(axis=(1, 2)) for images in (first, second))
    root = scipy.linalg.sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root))


def test_names_carry_the_protocol() -> None:
    assert EvaluationConfig().key().startswith(EvaluationConfig().metric)
    assert EvaluationConfig(metric="fd_compact", metric_images=5000).key() == "fd_compact_5k"
    assert EvaluationConfig(metric="fid_inception", metric_images=50_000).key() == "fid_inception_50k"
    assert EvaluationConfig(metric="kid_compact", metric_images=1024).key() == "kid_compact_1024"
    assert EvaluationConfig(metric="swd", metric_images=1024).key() == "swd"


@pytest.mark.usefixtures("mean_colour")
def test_the_inception_distance_is_to_the_training_images_and_its_noise_floor_that_of_held_out_ones() -> None:
    metric = _metric("fid_inception")
    measured = _measured(metric, GENERATED)
    assert set(measured) == {"fid_inception_40", "fid_inception_40_noise"}
    assert measured["fid_inception_40"] == pytest.approx(_frechet(TRAIN, GENERATED), rel=1e-5)
    assert measured["fid_inception_40_noise"] == pytest.approx(_frechet(TRAIN, HELD_OUT), rel=1e-5)


@pytest.mark.parametrize(("name", "times"), [("fd_compact", 3), ("kid_compact", 3), ("fd_lite0", 1.5)])
def test_damage_raises_the_value_and_the_noise_floor_is_that_of_training_images(
    name: str, times: float
) -> None:
    metric = _metric(name)
    key = f"{name}_40"
    assert (metric.name, metric.num_images) == (key, 40)
    found, damaged = (_measured(metric, images) for images in (GENERATED, BLURRED))
    assert found[f"{key}_noise"] == pytest.approx(_measured(metric, evenly(TRAIN, 40))[key])
    assert damaged[key] > times * abs(found[key])
    network = name.partition("_")[2]
    assert damaged[f"recall_{network}_40"] < found[f"recall_{network}_40"] <= 1
    diversity = {f"{kind}_{network}_40{end}" for kind in ("recall", "coverage") for end in ("", "_noise")}
    assert diversity <= set(found)


def test_the_held_out_images_themselves_are_at_zero() -> None:
    metric = _metric(num_images=48)
    measured = _measured(metric, HELD_OUT)
    assert measured["fd_compact_48"] == pytest.approx(0, abs=1e-6 * measured["fd_compact_48_noise"])
    assert measured["recall_compact_48"] == measured["coverage_compact_48"] == 1


def test_grey_images_are_measured() -> None:
    grey = [images[..., :1] for images in (HELD_OUT, TRAIN, GENERATED)]
    measured = _measured(_metric(held_out=grey[0], train=grey[1]), grey[2])
    assert 0 < measured["fd_compact_40"] < np.inf


def test_features_of_real_images_are_kept_by_content_network_and_count(
    mean_colour: MeanColour, tmp_path: Path
) -> None:
    def embedded(**changes: object) -> int:
        before = mean_colour.embedded
        preparation._prepared.clear()
        _metric(**{"fingerprint": "data", "cache": tmp_path} | changes)  # type: ignore[arg-type]
        return mean_colour.embedded - before

    assert embedded() == len(HELD_OUT) + 40
    assert embedded() == 0
    assert embedded(fingerprint="other data") > 0
    assert embedded(num_images=30) > 0
    mean_colour.key = "other weights"
    assert embedded() > 0
    for path in tmp_path.rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:100])
    assert embedded() == len(HELD_OUT) + 40
    assert embedded(fingerprint=None) > 0
    assert embedded(cache=tmp_path / "not" / "made") > 0


def test_a_cache_that_cannot_be_written_costs_only_time(mean_colour: MeanColour, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    metric = _metric(fingerprint="data", cache=tmp_path / "file")
    assert _measured(metric, GENERATED)[metric.name] > 0


def _measure_as_rank(rank: int) -> list[float]:
    metric, ranks = _metric(num_images=39), Ranks(rank, 2)
    return list(_measured(metric, GENERATED[:39][metric.share(ranks)], ranks).values())


def test_two_ranks_that_embed_a_part_each_find_what_one_finds(tmp_path: Path) -> None:
    first, second = on_two_ranks(_measure_as_rank, folder=tmp_path)
    alone = _measured(_metric(num_images=39), GENERATED[:39])
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, list(alone.values()), rtol=1e-2)


@pytest.mark.usefixtures("mean_colour")
@pytest.mark.parametrize("name", ["fd_compact", "kid_compact", "fd_lite0", "fid_inception"])
def test_wrong_input_is_refused_in_one_line(name: str) -> None:
    for few in ({"held_out": HELD_OUT[:7]}, {"train": TRAIN[:7]}):
        with pytest.raises(
            ConfigError, match=r"needs at least 8 images held out and 8 to train on"
        ) as caught:
            _metric(name, **few)
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="takes 40 from rank 0 of 1, not 39"):
        _measured(_metric(name), GENERATED[:39])


def test_float_images_are_refused() -> None:
    with pytest.raises(ConfigError, match="uint8"):
        _metric().measure(torch.from_numpy(GENERATED).float(), Ranks())


def test_our_embedders_satisfy_the_protocol() -> None:
    embedder: Embedder = MeanColour()
    assert embedder.length == embedder.embed(torch.from_numpy(GENERATED)).shape[1]


@pytest.mark.usefixtures("mean_colour")
def test_the_frechet_distance_is_to_the_held_out_images() -> None:
    measured = _measured(_metric(), GENERATED)
    assert measured["fd_compact_40"] == pytest.approx(_frechet(HELD_OUT, GENERATED), rel=1e-5)


@pytest.mark.usefixtures("mean_colour")
def test_the_distance_alone_asks_for_no_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = _measured(_metric(), GENERATED)

    def unwanted(*_: object) -> None:
        raise AssertionError("neighbours take longer than the distance")

    monkeypatch.setattr(feature_distance, "neighbourhood", unwanted)
    monkeypatch.setattr(feature_distance, "precision_recall_density_coverage", unwanted)
    metric = _metric()
    assert metric.distance(torch.from_numpy(GENERATED), Ranks()) == measured["fd_compact_40"]
    assert metric.noise_floor == measured["fd_compact_40_noise"] > 0
