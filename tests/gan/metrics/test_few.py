"""What is measured where there are few pictures."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from common.errors import ConfigError
from gan.__main__ import main as gan_main
from gan.config import DataConfig, EvaluationConfig, GanConfig
from gan.data.images import Images
from gan.distributed import Ranks
from gan.metrics.evaluation import RealFeatures, evaluate
from gan.metrics.few import check_sizes, halves, say_few
from gan.metrics.preparation import metric_of_run, real_images
from tune.__main__ import main as tune_main


def _images(train: int, held_out: int) -> Images:
    pixels = np.random.default_rng(0).integers(0, 256, (train + held_out, 16, 16, 3), dtype=np.uint8)
    return Images(
        train=pixels[held_out:],
        held_out=pixels[:held_out],
        train_labels=None,
        held_out_labels=None,
        class_names=(),
        skipped=(),
        fingerprint=f"few-{train}-{held_out}",
    )


def _config(cache: Path, metric: str = "swd", part: str = "all") -> GanConfig:
    evaluation = EvaluationConfig(metric=metric, metric_images=16, held_out_part=part)  # type: ignore[arg-type]
    return GanConfig(data=DataConfig(resolution=16, cache=str(cache)), evaluation=evaluation)


@pytest.mark.parametrize("metric", ["swd", "fd_compact", "kid_compact"])
@pytest.mark.parametrize(("train", "held_out"), [(13, 3), (24, 6), (52, 12)])
def test_every_metric_has_a_value_and_a_noise_floor_also_of_few_pictures(
    metric: str, train: int, held_out: int, tmp_path: Path
) -> None:
    images = _images(train, held_out)
    check_sizes(train, held_out, "few")
    prepared = metric_of_run(_config(tmp_path, metric), images, device="cpu")
    generated = np.random.default_rng(1).integers(0, 256, (prepared.num_images, 16, 16, 3), dtype=np.uint8)
    row = prepared.measure(torch.from_numpy(generated), Ranks())
    assert all(map(math.isfinite, row.values())) and f"{prepared.name}_noise" in row
    assert row[f"{prepared.name}_noise"] != 0


def test_few_pictures_are_compared_with_one_half_and_give_the_noise_floor_by_the_other(
    tmp_path: Path,
) -> None:
    images = _images(24, 6)
    real = real_images(_config(tmp_path), images, torch.device("cpu"))
    every = {image.tobytes() for image in (*images.train, *images.held_out)}
    first, second = ({image.tobytes() for image in part} for part in (real.held_out, real.train))
    assert len(first) == len(second) == 15 and not first & second and first | second == every
    assert real.fingerprint != images.fingerprint
    assert say_few(24, 6) is not None and "all 30" in str(say_few(24, 6))


def test_eighty_pictures_are_compared_with_those_held_out_as_ever(tmp_path: Path) -> None:
    images = _images(64, 16)
    for part in ("all", "search"):  # too few to be divided
        real = real_images(_config(tmp_path, part=part), images, torch.device("cpu"))
        assert real.held_out is images.held_out and real.train is images.train
        assert real.fingerprint == images.fingerprint
    assert say_few(64, 16) is None


@pytest.mark.parametrize(
    ("train", "held_out", "said"),
    [
        (12, 3, "must hold at least 16 pictures, so that quality can be measured, not 15"),
        (96, 4, "--held-out 4 leaves too few of the 100 .* raise --held-out, to at most a fifth: 20"),
    ],
)
def test_a_refusal_names_a_remedy_that_works(train: int, held_out: int, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_sizes(train, held_out, "few")
    check_sizes(13, 3, "few")
    check_sizes(80, 20, "few")


@pytest.mark.parametrize("start", [gan_main, tune_main])
def test_too_few_pictures_are_said_before_a_batch_that_they_do_not_fill(
    start: Callable[[list[str]], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "five").mkdir()
    for number, pixels in enumerate(_images(5, 0).train):
        Image.fromarray(pixels).save(tmp_path / "five" / f"{number}.png")
    command = "train" if start is gan_main else "sweep"
    places = ["--cache-dir", str(tmp_path / "cache"), "--storage", str(tmp_path / "runs")]
    assert start([command, "--data", str(tmp_path / "five"), "--batch", "64", *places]) == 2
    assert "must hold at least 16 pictures, so that quality can be measured, not 5" in capsys.readouterr().err


def test_halves_are_of_tensors_as_of_arrays() -> None:
    held_out, train = torch.arange(3.0), torch.arange(3.0, 10.0)
    first, second = halves(held_out, train)
    assert torch.equal(first, torch.tensor([0.0, 2, 4, 6, 8]))
    assert torch.equal(second, torch.tensor([1.0, 3, 5, 7, 9]))


def test_an_evaluation_of_thirty_pictures_has_every_measure() -> None:
    random = torch.Generator().manual_seed(0)
    features = torch.randn(30, 5, generator=random)
    real = RealFeatures(train=features[6:], held_out=features[:6], network="compact")
    generated = torch.randn(40, 5, generator=random)
    found = {each.name: each for each in evaluate(generated, real).measures}
    assert len(found) == 8
    assert all(math.isfinite(each.value) and math.isfinite(each.real) for each in found.values())
    assert found["fd_compact_40"].real > 0
    copies = {each.name: each for each in evaluate(features[6:].repeat(2, 1), real).measures}
    assert copies["memorization_compact_48"].value == 0
