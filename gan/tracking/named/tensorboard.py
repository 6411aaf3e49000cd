"""Scalars, grids and hparams for TensorBoard, in the folder tensorboard/ of the results."""

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

FOLDER = "tensorboard"
_TYPES = {bool: "DATA_TYPE_BOOL", int: "DATA_TYPE_FLOAT64", float: "DATA_TYPE_FLOAT64"}


class _Run:
    """Writes the events of one run; a trial of a sweep has a folder of its own."""

    def __init__(self, info: RunInfo) -> None:
        from torch.utils.tensorboard import SummaryWriter

        top = Path(info.folder.location) / FOLDER
        folder, shown = (top, info.settings) if info.sweep is None else (top / info.name, info.searched)
        goes_on = folder.is_dir() and any(folder.iterdir())
        # what was written of later ticks before a stop is hidden: they are repeated
        purge_step = info.images_seen + 1 if goes_on else None
        self._writer: Any = SummaryWriter(str(folder), purge_step=purge_step)
        self._images_seen, self._verdict = info.images_seen, ""
        self._add(_experiment(info, shown))
        self._add(_session_start(shown))
        self._writer.flush()

    def tick(
        self,
        images_seen: int,
        row: Mapping[str, float],
        *,
        grid: "np.ndarray | None",
        verdict: "Verdict | None",
    ) -> None:
        self._images_seen = max(self._images_seen, images_seen)
        for name, value in row.items():
            self._writer.add_scalar(name, value, images_seen)
        if grid is not None:
            self._writer.add_image("samples", grid, images_seen, dataformats="HWC")
        if verdict is not None and verdict.name != self._verdict:
            self._verdict = verdict.name
            remedy = f"; {verdict.remedy}" if verdict.remedy else ""
            self._writer.add_text("verdict", f"{verdict.name}: {verdict.evidence}{remedy}", images_seen)
        self._writer.flush()  # each tick is seen at once

    def end(self, state: RunState, reason: str, best: float | None) -> None:
        if best is not None:
            self._writer.add_scalar(BEST, best, self._images_seen)
        if state != "interrupted":  # TensorBoard keeps the first end that it reads
            self._writer.add_text("end", f"{state}: {reason}" if reason else state, self._images_seen)
            self._add(_session_end(is_failure=state in FAILURES))
        self._writer.close()

    def _add(self, summary: Any) -> None:
        self._writer.file_writer.add_summary(summary)


def _experiment(info: RunInfo, shown: Mapping[str, Any]) -> Any:
    """The columns of the HPARAMS tab: settings by dotted path, the best and the latest objective.

    Each trial has them, and TensorBoard takes any: it would list a folder of their own as a run.
    """
    from tensorboard.plugins.hparams import api_pb2, metadata

    settings = [
        api_pb2.HParamInfo(
            name=path, type=getattr(api_pb2, _TYPES.get(type(info.settings[path]), "DATA_TYPE_STRING"))
        )
        for path in shown
    ]
    metrics = [
        api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag), display_name=tag)
        for tag in (BEST, info.objective)
    ]
    experiment = api_pb2.Experiment(hparam_infos=settings, metric_infos=metrics)
    return _summary(metadata.EXPERIMENT_TAG, experiment=experiment)


def _session_start(shown: Mapping[str, Any]) -> Any:
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    start = plugin_data_pb2.SessionStartInfo(start_time_secs=time.time())
    for path, value in shown.items():
        if isinstance(value, bool):  # before int, of which it is one
            start.hparams[path].bool_value = value
        elif isinstance(value, int | float):
            start.hparams[path].number_value = value
        elif value is not None:
            start.hparams[path].string_value = str(value)
    return _summary(metadata.SESSION_START_INFO_TAG, session_start_info=start)


def _session_end(*, is_failure: bool) -> Any:
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    status = api_pb2.STATUS_FAILURE if is_failure else api_pb2.STATUS_SUCCESS
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=time.time())
    return _summary(metadata.SESSION_END_INFO_TAG, session_end_info=end)


def _summary(tag: str, **content: Any) -> Any:
    """A record of the plugin; TensorBoard's own functions for it need TensorFlow."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    described = metadata.create_summary_metadata(plugin_data_pb2.HParamsPluginData(**content))
    return Summary(value=[Summary.Value(tag=tag, metadata=described, tensor=metadata.NULL_TENSOR)])


def _check(folder: Folder) -> None:
    require(
        folder.is_local,
        f"--tensorboard appends to files on a disk, which {folder.location} cannot; leave it out, or give a "
        "folder with --storage",
    )


TRACKER = Tracker(begin=_Run, check=_check)
