"""A folder of thirty pictures and a zip of sixty-four are trained on, evaluated and sampled from."""

import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from common.storage.folder import Folder
from gan.__main__ import main
from gan.config import GanConfig
from gan.data.loading import load_images
from gan.data.shapes import render_shapes
from gan.metrics.preparation import prepare_metric
from gan.run_folder import Row

Drive = Callable[[GanConfig, Folder, int], list[Row]]


@pytest.fixture(params=[30, 64])
def few(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder of 30 pictures, a zip of 64."""
    pictures = render_shapes(0, request.param, resolution=32, seed=1)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{number:02}.png")
    if request.param == 30:
        return folder
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    return tmp_path / "pictures.zip"


def test_few_pictures_are_trained_on_evaluated_and_sampled(
    few: Path,
    tiny_config: GanConfig,
    tmp_path: Path,
    plain_driver: Drive,
    capsys: pytest.CaptureFixture[str],
) -> None:
    values = {
        "data.source": str(few),
        "data.cache": str(tmp_path / "cache"),
        "data.max_images": None,
        "evaluation.metric": "fd_compact",
        "images": 512,
        "images_per_tick": 256,
    }
    config = tiny_config.with_values(values)
    images = load_images(config.data)
    images.check_batch(config.batch)
    prepare_metric(config, images)
    rows = plain_driver(config, Folder(str(tmp_path / "run")), 1)
    metric = config.evaluation.key()
    assert len(rows) == 2 and all(math.isfinite(row[metric]) and row[f"{metric}_noise"] > 0 for row in rows)
    assert main(["evaluate", str(tmp_path / "run"), "--images", "40", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed[metric] == pytest.approx(min(row[metric] for row in rows), rel=1e-3)
    assert len(printed["measures"]) == 11
    assert main(["evaluate", str(tmp_path / "run"), "--images", "40"]) == 0
    assert "few pictures: " in capsys.readouterr().out
    assert main(["sample", str(tmp_path / "run"), "--out", str(tmp_path / "out"), "--count", "4"]) == 0
