"""A run remembers the network that measures it, and is not resumed with another one in silence."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from common.errors import ConfigError
from common.storage.folder import Folder
from gan.__main__ import main
from gan.config import GanConfig
from gan.data.loading import load_images
from gan.metrics.preparation import check_same_network, prepare_metric
from gan.run_folder import Row, RunFolder
from perceptual.loading import load_network

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting Ray fails the test."""

    def refuse(*_: object) -> None:
        pytest.fail("Ray was started")

    monkeypatch.setattr("common.cluster.session.start_ray", refuse)


@pytest.mark.parametrize("devices", [0, 1])
def test_the_driver_learns_which_network_measures(
    tiny_config: GanConfig, devices: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    config = tiny_config.with_values({"evaluation.metric": "fd_compact", "evaluation.metric_images": 16})
    images, digest = load_images(config.data), load_network("compact", last_tap="relu5_2").digest
    expected = f"compact-{digest[:16]}-v3-relu2_2+relu3_2+relu4_2+relu5_2"
    assert prepare_metric(config, images) == expected
    assert prepare_metric(config.with_values({"evaluation.metric": "swd"}), images) is None


def test_a_run_of_an_earlier_version_remembers_no_network() -> None:
    for begun_with in (None, "lite0-1"):
        check_same_network(begun_with, "lite0-1", "fd_lite0_1k")
    with pytest.raises(ConfigError, match="measured by lite0-2 instead of lite0-1") as caught:
        check_same_network("lite0-1", "lite0-2", "fd_lite0_1k")
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("no_ray")
def test_a_run_is_not_resumed_with_another_network_to_measure_it(
    tiny_config: GanConfig,
    tmp_path: Path,
    plain_driver: Callable[[GanConfig, Folder, int], list[Row]],
    capsys: Capture,
) -> None:
    values = {"evaluation.metric": "fd_compact", "evaluation.metric_images": 16, "images": 512}
    config = tiny_config.with_values(values)
    run = Folder(str(tmp_path / "run"))
    plain_driver(config, run, 1)
    RunFolder(run).begin(config, {"workers": 1, "network": "compact-0123456789abcdef-v3-relu5_2"})
    assert main(["train", "--resume", run.location, "--images", "1024"]) == 2
    said = capsys.readouterr().err
    assert "fd_compact_16 would be measured by compact-" in said
    assert "instead of compact-0123456789abcdef-v3-relu5_2" in said
