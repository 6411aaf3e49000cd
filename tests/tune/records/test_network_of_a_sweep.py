"""A sweep remembers the network that measures it, so that it is not resumed in silence with another one."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch

from common.errors import ConfigError
from gan.config import GanConfig
from gan.data.loading import load_images
from gan.metrics import preparation
from gan.metrics.preparation import prepare_metric
from perceptual.shipped import read_shipped
from tests.tune.sweeps import rates, sweep, tiny_gan
from tune.config import SweepConfig
from tune.driver import sweep as driver
from tune.records.sweep_folder import SWEEP_FILE, SweepFolder
from tune.space.default import default_space

FD_LITE0 = {"evaluation.metric": "fd_lite0", "evaluation.metric_images": 16}


class _RayStartsError(AssertionError):
    """The sweep has passed all its checks."""


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[GanConfig], str | None]:
    """Resumes the sweep up to where Ray would start, and returns what it refuses."""

    def start(*_: object) -> None:
        raise _RayStartsError

    def resumed(gan: GanConfig) -> str | None:
        try:
            sweep(tmp_path, rates(1e-3), gan=gan, resume=True, trials=2)
        except ConfigError as error:
            return str(error)
        except _RayStartsError:
            return None
        raise AssertionError("it ended without Ray")

    monkeypatch.setattr(driver, "ray_session", start)
    return resumed


def test_a_sweep_of_an_earlier_version_is_resumed(
    tmp_path: Path, begun: Callable[[GanConfig], str | None]
) -> None:
    gan = tiny_gan().with_values(FD_LITE0)
    folder = SweepFolder(str(tmp_path), "sweep")
    folder.begin(SweepConfig(gan=gan, name="sweep", storage=str(tmp_path)), rates(1e-3), is_resumed=False)
    path = tmp_path / "sweep" / SWEEP_FILE
    record = json.loads(path.read_text())
    del record["network"]
    path.write_text(json.dumps(record))
    assert folder.network() is None and begun(gan) is None


def test_other_weights_in_the_same_file_are_refused(
    tmp_path: Path, begun: Callable[[GanConfig], str | None]
) -> None:
    weights = tmp_path / "mine.safetensors"
    tensors = read_shipped("lite0-1")
    safetensors.torch.save_file(tensors, weights)
    gan = tiny_gan().with_values({**FD_LITE0, "evaluation.metric_weights": str(weights)})
    folder = SweepFolder(str(tmp_path), "sweep")
    network = prepare_metric(gan, load_images(gan.data))
    assert network is not None and network.startswith("lite0-")
    config = SweepConfig(gan=gan, name="sweep", storage=str(tmp_path))
    folder.begin(config, rates(1e-3), is_resumed=False, network=network)
    assert folder.network() == network and begun(gan) is None
    tensors["head.bias"] += 0.5
    safetensors.torch.save_file(tensors, weights)
    preparation._prepared.clear()  # as in another process
    found = begun(gan)
    assert found is not None and "\n" not in found and found.endswith("start anew under another --name")
    assert f"instead of {network}, so that values" in found


def test_a_sweep_of_a_metric_without_a_network_remembers_none(tmp_path: Path) -> None:
    folder = SweepFolder(str(tmp_path), "sweep")
    folder.begin(SweepConfig(), default_space(), is_resumed=False)
    assert folder.network() is None
