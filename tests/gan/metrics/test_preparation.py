"""What a driver prepares of the metric, with GPUs and without."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from common.errors import ConfigError
from gan.config import DataConfig, EvaluationConfig, GanConfig
from gan.data.images import Images
from gan.metrics.named import METRICS
from gan.metrics.preparation import artifacts_of_run, check_second_metric, prepare_metric
from gan.metrics.reference import FOLDER
from perceptual import shipped


def _images(fingerprint: str) -> Images:
    pixels = np.random.default_rng(0).integers(0, 256, (80, 16, 16, 3), dtype=np.uint8)
    return Images(
        train=pixels[:40],
        held_out=pixels[40:],
        train_labels=None,
        held_out_labels=None,
        class_names=(),
        skipped=(),
        fingerprint=fingerprint,
    )


def _config(cache: Path) -> GanConfig:
    return GanConfig(
        data=DataConfig(resolution=16, cache=str(cache)),
        evaluation=EvaluationConfig(metric="fd_compact", metric_images=32),
    )


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a GPU that must not be opened."""

    def opened(*_: Any, **__: Any) -> None:
        raise AssertionError("the driver has opened the GPU")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for name in ("_lazy_init", "get_device_capability", "get_device_properties", "current_device"):
        monkeypatch.setattr(torch.cuda, name, opened)


def test_without_gpus_the_driver_fills_the_workers_cache(tmp_path: Path) -> None:
    prepare_metric(_config(tmp_path), _images("without"))
    assert len(list((tmp_path / FOLDER).iterdir())) == 1


@pytest.mark.usefixtures("gpu")
def test_with_a_gpu_the_driver_leaves_it_and_the_cache_to_the_workers(tmp_path: Path) -> None:
    prepare_metric(_config(tmp_path), _images("with"))
    assert not (tmp_path / FOLDER).exists()


@pytest.mark.usefixtures("gpu")
def test_with_a_gpu_too_what_cannot_be_measured_is_refused_by_the_driver(tmp_path: Path) -> None:
    config, broken = _config(tmp_path), tmp_path / "broken.safetensors"
    broken.write_bytes(b"nothing")
    evaluation = dataclasses.replace(config.evaluation, metric_weights=str(broken))
    with pytest.raises(ConfigError, match=r"broken\.safetensors"):
        prepare_metric(dataclasses.replace(config, evaluation=evaluation), _images("broken"))


def test_patterns_of_real_images_are_measured_once_for_all_runs_on_them(tmp_path: Path) -> None:
    config, images = _config(tmp_path), _images("once")
    first = artifacts_of_run(config, images, 32, device="cpu")
    assert artifacts_of_run(config, images, 32, device="cpu") is first
    assert artifacts_of_run(config, images, 40, device="cpu") is not first, "another noise floor"
    other = artifacts_of_run(config, _images("other"), 32, device="cpu")
    assert other is not first and other.noise == first.noise


def test_the_second_network_s_weights_are_asked_for_before_a_sweep_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_second_metric(_config(tmp_path), _images("second"))
    assert not (tmp_path / FOLDER).exists(), "only that it can be measured was asked"
    alone = dataclasses.replace(METRICS["fd_compact"], second=None)
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    with pytest.raises(ConfigError, match=r"^the package lacks its weights .*lite0.*; reinstall artsweep$"):
        check_second_metric(_config(tmp_path), _images("second"))
    monkeypatch.setattr(METRICS.module("fd_compact"), "METRIC", alone)
    check_second_metric(_config(tmp_path), _images("second"))


@pytest.mark.usefixtures("gpu")
def test_with_a_gpu_the_second_network_is_tried_on_the_cpu(tmp_path: Path) -> None:
    check_second_metric(_config(tmp_path), _images("with"))


@pytest.mark.parametrize("name", METRICS.names)
def test_the_second_metric_is_one_of_another_network_and_measures_the_same_samples(name: str) -> None:
    evaluation = EvaluationConfig(metric=name, metric_images=40).for_confirmation()
    second = evaluation.by_second_network(60)
    assert second is not None and METRICS[second.metric].uses_network
    assert second.metric.rpartition("_")[2] != name.rpartition("_")[2]
    assert (second.metric_images, second.held_out_part) == (60, evaluation.held_out_part)
    assert second.metric_weights is None
    few = evaluation.by_second_network(9)
    assert few is not None and few.metric_images == 16
