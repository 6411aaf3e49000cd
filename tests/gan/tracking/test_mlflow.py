"""What the tracker writes into a store of MLflow, as MLflow's client finds it."""

from pathlib import Path

import pytest

from common.errors import ConfigError
from common.storage.folder import Folder
from gan.tracking.named import TRACKERS
from tests.gan.tracking.conftest import COLLAPSE, GRID, row, run_info

pytest.importorskip("mlflow")
MLFLOW = TRACKERS["mlflow"]


# mlflow 3.17 uses what SQLAlchemy 2.1 gives up
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_trial_is_a_run_that_goes_on_after_a_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    run = MLFLOW.begin(run_info(tmp_path))
    run.tick(1000, row(3.0), grid=GRID, verdict=None)
    run.end("interrupted", "", 3.0)
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("shapes")
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "KILLED"

    run = MLFLOW.begin(run_info(tmp_path, images_seen=1000))
    run.tick(2000, row(2.0), grid=None, verdict=COLLAPSE)
    run.end("stopped", "mode_collapse", 2.0)
    other = MLFLOW.begin(run_info(tmp_path, 1))
    other.end("diverged", "a weight is not finite", None)
    found, failed = sorted(
        client.search_runs([experiment.experiment_id]), key=lambda each: each.info.run_name
    )
    assert (found.info.run_name, found.info.status) == ("trial_0000", "FINISHED")
    assert (failed.info.run_name, failed.info.status) == ("trial_0001", "FAILED")
    history = client.get_metric_history(found.info.run_id, "objective/fd")
    assert [(metric.step, metric.value) for metric in history] == [(1000, 3.0), (2000, 2.0)]
    assert found.data.metrics["objective/best"] == 2.0
    run = MLFLOW.begin(run_info(tmp_path, images_seen=2000))  # its best state was measured again
    run.tick(2000, {"confirmed/fd": 2.25}, grid=None, verdict=None)
    run.end("stopped", "mode_collapse", 2.0)
    found = client.get_run(found.info.run_id)
    assert (found.info.status, found.data.metrics["confirmed/fd"]) == ("FINISHED", 2.25)
    assert found.data.params["optimizer.generator_lr"] == "0.0001"
    assert found.data.tags["verdict"] == "mode_collapse" and found.data.tags["state"] == "stopped"
    (picture,) = [file for file in client.list_artifacts(found.info.run_id, "images") if ".png" in file.path]
    assert "1000" in picture.path
    assert (tmp_path / "mlflow-artifacts").is_dir()


def test_a_url_needs_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_URI=http"):
        MLFLOW.check(Folder("memory://runs/x"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    MLFLOW.check(Folder("memory://runs/x"))
