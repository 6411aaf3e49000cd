"""Another number of held-out images, without decoding any picture again."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan.config import DataConfig
from gan.data import loading
from gan.data.images import Images
from gan.data.loading import load_images

PARTS = ("train", "held_out", "train_labels", "held_out_labels")


@pytest.fixture
def config(tmp_path: Path) -> DataConfig:
    """Sixty pictures in two classes, one of them broken."""
    for number in range(60):
        path = tmp_path / "root" / "ab"[number % 2] / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16), (number, 0, 77)).save(path)
    (tmp_path / "root" / "a" / "broken.png").write_bytes(b"x")
    return DataConfig(source=str(tmp_path / "root"), cache=str(tmp_path / "cache"), resolution=16)


def _assert_equal(first: Images, second: Images) -> None:
    for part in PARTS:
        np.testing.assert_array_equal(getattr(first, part), getattr(second, part))
    assert (first.fingerprint, first.skipped) == (second.fingerprint, second.skipped)
    assert first.class_names == second.class_names


@pytest.mark.parametrize("held_out", [1, 5, 2000])
def test_another_split_is_that_of_decoding_anew(
    held_out: int, config: DataConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = dataclasses.replace(config, held_out=held_out)
    anew = load_images(dataclasses.replace(other, cache=str(tmp_path / "other")))
    load_images(dataclasses.replace(config, held_out=7))
    with monkeypatch.context() as patch:
        patch.setattr(loading, "write_store", lambda *_: pytest.fail("decoded again"))
        _assert_equal(load_images(other), anew)


def test_other_pictures_or_another_order_are_decoded(config: DataConfig) -> None:
    first = load_images(config)
    decoded: list[object] = []
    load_images(dataclasses.replace(config, data_seed=1, held_out=5), on_progress=decoded.append)
    assert decoded
    (Path(config.source) / "a" / "00.png").unlink()
    decoded.clear()
    changed = load_images(dataclasses.replace(config, held_out=5), on_progress=decoded.append)
    assert decoded and len(changed.train) + len(changed.held_out) == 59
    assert len(first.train) + len(first.held_out) == 60
