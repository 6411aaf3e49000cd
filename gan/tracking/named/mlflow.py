"""Runs in MLflow, at $MLFLOW_TRACKING_URI, else in the file mlflow.db of the results; needs an extra."""

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.errors import require
from common.storage.folder import Folder
from gan.tracking.named import BEST, FAILURES, RunInfo, RunState, Tracker

if TYPE_CHECKING:
    import numpy as np

    from gan.training.health import Verdict

DATABASE, ARTIFACTS = "mlflow.db", "mlflow-artifacts"
IDENTITY_TAG = "artsweep.identity"
_BATCH = 100  # most params that a server takes at once


class _Run:
    """One run at the tracking server; one that goes on is found by its tag."""

    def __init__(self, info: RunInfo) -> None:
        self._client, uri_is_given = _client(info.folder)
        experiment = self._experiment(info, None if uri_is_given else info.folder)
        found = self._client.search_runs([experiment], f"tags.`{IDENTITY_TAG}` = '{info.identity}'")
        if found:
            self._id = found[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
        else:
            tags = {IDENTITY_TAG: info.identity, "artsweep.folder": info.folder.location}
            self._id = self._client.create_run(experiment, run_name=info.name, tags=tags).info.run_id
            self._log_settings(info.settings)

    def tick(
        self,
        images_seen: int,
        row: Mapping[str, float],
        *,
        grid: "np.ndarray | None",
        verdict: "Verdict | None",
    ) -> None:
        from mlflow.entities import Metric

        now_ms = int(time.time() * 1000)
        metrics = [Metric(name, value, now_ms, images_seen) for name, value in row.items()]
        self._client.log_batch(self._id, metrics=metrics)
        if grid is not None:
            self._client.log_image(self._id, grid, key="samples", step=images_seen)
        if verdict is not None:
            self._client.set_tag(self._id, "verdict", verdict.name)
            self._client.set_tag(self._id, "verdict_evidence", verdict.evidence)

    def end(self, state: RunState, reason: str, best: float | None) -> None:
        if best is not None:
            self._client.log_metric(self._id, BEST, best)
        self._client.set_tag(self._id, "state", state)
        self._client.set_tag(self._id, "reason", reason)
        status = "FAILED" if state in FAILURES else "KILLED" if state == "interrupted" else "FINISHED"
        self._client.set_terminated(self._id, status)

    def _experiment(self, info: RunInfo, folder: Folder | None) -> str:
        """The id of the experiment; its pictures are in `folder` if one is given, else at the server."""
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or info.sweep or "artsweep"
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        place = None if folder is None else (Path(folder.location) / ARTIFACTS).as_uri()
        return str(self._client.create_experiment(name, artifact_location=place))

    def _log_settings(self, settings: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        params = [Param(path, str(value)) for path, value in settings.items()]
        for first in range(0, len(params), _BATCH):
            self._client.log_batch(self._id, params=params[first : first + _BATCH])


def _client(folder: Folder) -> tuple[Any, bool]:
    """A client, and whether the user has said of which server."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow.tracking

    api: Any = mlflow.tracking  # untyped in places
    logging.getLogger("mlflow").setLevel(logging.WARNING)  # its lines would cut through the live table
    logging.getLogger("alembic").setLevel(logging.WARNING)
    is_given = api.is_tracking_uri_set()
    uri = api.get_tracking_uri() if is_given else f"sqlite:///{folder.path(DATABASE)}"
    return api.MlflowClient(tracking_uri=uri), is_given


def _check(folder: Folder) -> None:
    require(
        folder.is_local or "MLFLOW_TRACKING_URI" in os.environ,
        f"--mlflow keeps its database on a disk, not in {folder.location}; name a server with "
        "MLFLOW_TRACKING_URI=http://host:port, or leave it out",
    )


TRACKER = Tracker(begin=_Run, check=_check, package="mlflow", extra="mlflow")
