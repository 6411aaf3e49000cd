"""Pictures of 256 and 512 pixels a side: rendered, stored, split again, measured."""

from pathlib import Path

import numpy as np
import pytest
import torch

from gan.config import DataConfig, EvaluationConfig
from gan.data import array_store, shapes
from gan.data.loading import load_images
from gan.distributed import Ranks
from gan.metrics import sliced_wasserstein
from gan.metrics.artifacts import artifact_sums
from gan.metrics.named import METRICS
from gan.metrics.reference import RealImages


@pytest.mark.parametrize("side", [256, 512])
def test_large_shapes_averaged_are_the_small_ones(side: int) -> None:
    large, small = (shapes.render_shapes(0, 6, resolution=each, seed=3).astype(float) for each in (side, 32))
    factor = side // 32
    averaged = large.reshape(6, 32, factor, 32, factor, 3).mean((2, 4))
    assert np.abs(averaged - small).mean() < 1
    assert np.abs(averaged - small).max() < 60  # at the corners of shapes


def test_a_store_copied_in_blocks_of_few_large_pictures_holds_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = DataConfig(resolution=256, max_images=12, held_out=2, cache=str(tmp_path / "whole"))
    whole = load_images(data)
    monkeypatch.setattr(array_store, "_COPY_PIXELS", 3 * 256**2)
    assert array_store.pictures_at_once(256) == 3
    blocks = load_images(DataConfig(**{**vars(data), "cache": str(tmp_path / "blocks")}))
    again = load_images(DataConfig(**{**vars(data), "cache": str(tmp_path / "blocks"), "held_out": 1}))
    assert np.array_equal(whole.train, blocks.train) and np.array_equal(whole.held_out, blocks.held_out)
    everything = np.concatenate([whole.held_out, whole.train])
    assert np.array_equal(np.concatenate([again.held_out, again.train]), everything)


@pytest.mark.parametrize("metric", ["swd", "fd_lite0"])
def test_metrics_and_artifacts_bear_large_images(metric: str) -> None:
    images = shapes.render_shapes(0, 36, resolution=256, seed=1)
    config = EvaluationConfig(metric=metric, metric_images=16)
    real = RealImages(held_out=images[:16], train=images[16:], seed=0, device=torch.device("cpu"))
    prepared = METRICS[metric].prepare(config, real)
    row = prepared.measure(torch.from_numpy(255 - images[:16]), Ranks())
    value, floor = row[config.key()], row[f"{config.key()}_noise"]
    assert np.isfinite(value) and 0 < floor < value
    assert artifact_sums(torch.from_numpy(images[:2])).isfinite().all()


def test_chunks_of_a_pyramid_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    images = shapes.render_shapes(0, 5, resolution=64, seed=1)
    cut = {"seed": 0, "patches_per_image": 4, "device": torch.device("cpu")}
    expected = sliced_wasserstein.descriptors(images, **cut)
    monkeypatch.setattr(sliced_wasserstein, "_CHUNK_PIXELS", 2 * 64**2)
    for found, level in zip(sliced_wasserstein.descriptors(images, **cut), expected, strict=True):
        torch.testing.assert_close(found, level)
