"""What the tracker writes for TensorBoard, as TensorBoard's own readers find it."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata

from common.errors import ConfigError
from common.storage.folder import Folder
from gan.tracking.named import TRACKERS
from tests.gan.tracking.conftest import COLLAPSE, GRID, row, run_info

TENSORBOARD = TRACKERS["tensorboard"]


def read(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder), size_guidance={"images": 0, "scalars": 0, "tensors": 0})
    accumulator.Reload()
    return accumulator


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read(folder).Scalars(tag)]


def hparams(folder: Path, tag: str) -> Any:
    content = read(folder).SummaryMetadata(tag).plugin_data.content
    parse = {
        metadata.EXPERIMENT_TAG: metadata.parse_experiment_plugin_data,
        metadata.SESSION_START_INFO_TAG: metadata.parse_session_start_info_plugin_data,
        metadata.SESSION_END_INFO_TAG: metadata.parse_session_end_info_plugin_data,
    }
    return parse[tag](content)


def test_a_trial_has_scalars_grids_its_verdict_and_how_it_ended(tmp_path: Path) -> None:
    run = TENSORBOARD.begin(run_info(tmp_path))
    run.tick(1000, row(3.0), grid=GRID, verdict=None)
    run.tick(2000, row(2.0), grid=GRID[:, :, :1], verdict=COLLAPSE)
    run.end("pruned", "mode_collapse: recall fell to 0.1", 2.0)
    folder = tmp_path / "tensorboard" / "trial_0000"
    assert scalars(folder, "objective/fd") == [(1000, 3.0), (2000, 2.0)]
    assert scalars(folder, "players/generator_loss") == [(1000, 2.0), (2000, 2.0)]
    assert scalars(folder, "objective/best") == [(2000, 2.0)]
    colour, grey = read(folder).Images("samples")
    assert (colour.step, grey.step) == (1000, 2000)
    with Image.open(io.BytesIO(colour.encoded_image_string)) as picture:
        assert np.array_equal(np.asarray(picture), GRID)
    texts = {tag: read(folder).Tensors(f"{tag}/text_summary")[-1] for tag in ("verdict", "end")}
    assert texts["verdict"].step == 2000
    said = texts["verdict"].tensor_proto.string_val[0].decode()
    assert said == "mode_collapse: recall fell to 0.1; lower the rates"
    assert texts["end"].tensor_proto.string_val == [b"pruned: mode_collapse: recall fell to 0.1"]


def test_hparams_have_what_is_searched_and_the_objective_of_all_trials(tmp_path: Path) -> None:
    for number in range(2):
        run = TENSORBOARD.begin(run_info(tmp_path, number))
        run.tick(1000, row(3.0), grid=None, verdict=None)
        run.end("completed" if number else "diverged", "", 3.0)
    top = tmp_path / "tensorboard"
    experiment = hparams(top / "trial_0001", metadata.EXPERIMENT_TAG)
    types = {info.name: info.type for info in experiment.hparam_infos}
    assert types == {"optimizer.generator_lr": 3, "loss.name": 1, "balance.loss_threshold": 3}
    assert [info.name.tag for info in experiment.metric_infos] == ["objective/best", "objective/fd"]
    for number in range(2):
        start = hparams(top / f"trial_{number:04d}", metadata.SESSION_START_INFO_TAG)
        assert set(start.hparams) == {"optimizer.generator_lr", "loss.name"}, "one has no effect here"
        assert start.hparams["optimizer.generator_lr"].number_value == pytest.approx(1e-4 * (number + 1))
        end = hparams(top / f"trial_{number:04d}", metadata.SESSION_END_INFO_TAG)
        assert end.status == (1 if number else 2)


def test_a_run_of_its_own_shows_all_its_settings(tmp_path: Path) -> None:
    run = TENSORBOARD.begin(run_info(tmp_path, sweep=None, searched={}))
    run.tick(1000, row(3.0), grid=None, verdict=None)
    run.end("completed", "", 3.0)
    start = hparams(tmp_path / "tensorboard", metadata.SESSION_START_INFO_TAG)
    assert start.hparams["batch"].number_value == 64
    assert start.hparams["network.spectral_norm"].bool_value is False
    assert "data.root" not in start.hparams


def test_a_run_that_goes_on_repeats_the_ticks_after_its_last_state(tmp_path: Path) -> None:
    run = TENSORBOARD.begin(run_info(tmp_path))
    for images_seen in (1000, 2000, 3000):
        run.tick(images_seen, row(9.0), grid=None, verdict=None)
    run.end("interrupted", "", 9.0)
    run = TENSORBOARD.begin(run_info(tmp_path, images_seen=1000))
    for images_seen in (2000, 3000, 4000):
        run.tick(images_seen, row(1.0), grid=None, verdict=None)
    run.end("completed", "", 1.0)
    folder = tmp_path / "tensorboard" / "trial_0000"
    assert scalars(folder, "objective/fd") == [(1000, 9.0), (2000, 1.0), (3000, 1.0), (4000, 1.0)]
    assert scalars(folder, "objective/best") == [(4000, 1.0)]
    assert hparams(folder, metadata.SESSION_END_INFO_TAG).status == 1


def test_what_is_measured_after_the_end_is_added_and_hides_nothing(tmp_path: Path) -> None:
    run = TENSORBOARD.begin(run_info(tmp_path))
    for images, value in ((1000, 2.0), (2000, 3.0)):
        run.tick(images, row(value), grid=None, verdict=None)
    run.end("completed", "", 2.0)
    run = TENSORBOARD.begin(run_info(tmp_path, images_seen=2000))
    run.tick(1000, {"confirmed/fd": 2.5}, grid=None, verdict=None)
    run.end("completed", "", None)
    folder = tmp_path / "tensorboard" / "trial_0000"
    assert scalars(folder, "objective/fd") == [(1000, 2.0), (2000, 3.0)]
    assert scalars(folder, "confirmed/fd") == [(1000, 2.5)]
    assert scalars(folder, "objective/best") == [(2000, 2.0)]
    assert hparams(folder, metadata.SESSION_END_INFO_TAG).status == 1


def test_a_url_is_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--tensorboard appends to files on a disk.*memory://runs/x"):
        TENSORBOARD.check(Folder("memory://runs/x"))
    TENSORBOARD.check(Folder(str(tmp_path)))
