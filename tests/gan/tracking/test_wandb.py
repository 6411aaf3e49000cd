"""What the tracker writes for Weights & Biases, offline, as wandb's own reader finds it."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from common.errors import ConfigError
from common.storage.folder import Folder
from gan.tracking.named import TRACKERS
from tests.gan.tracking.conftest import COLLAPSE, GRID, row, run_info

wandb = pytest.importorskip("wandb")
WANDB = TRACKERS["wandb"]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("WANDB_DIR", "WANDB_PROJECT", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def records(file: Path) -> list[Any]:
    """The records of a run's file: blocks of 32 KiB with pieces of records, as in LevelDB's logs."""
    from wandb.proto import wandb_internal_pb2

    data, at, pieces, found = file.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        left = 0x8000 - at % 0x8000
        _, length, kind = struct.unpack("<IHB", data[at : at + 7]) if left >= 7 else (0, 0, 0)
        if kind == 0:
            at += left
            continue
        pieces += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last piece
            record = wandb_internal_pb2.Record()
            record.ParseFromString(pieces)
            found, pieces = [*found, record], b""
    return found


def test_a_trial_is_a_run_with_its_ticks_its_grid_and_its_end(tmp_path: Path) -> None:
    run, other = WANDB.begin(run_info(tmp_path)), WANDB.begin(run_info(tmp_path, 1))
    other.tick(500, row(8.0), grid=None, verdict=None)
    run.tick(1000, row(3.0), grid=GRID, verdict=COLLAPSE)
    run.tick(2000, row(2.0), grid=GRID[:, :, :1], verdict=None)
    other.end("diverged", "a weight is not finite", None)
    run.end("completed", "", 2.0)
    wandb.teardown()  # as at the end of a process: it waits for all files
    (file,) = (tmp_path / "wandb").glob("offline-run-*-abc-0/*.wandb")
    found = records(file)
    (begun,) = [record.run for record in found if record.HasField("run")][:1]
    assert (begun.project, begun.run_group, begun.display_name) == ("artsweep", "shapes", "trial_0000")
    config = {item.key: json.loads(item.value_json) for item in begun.config.update}
    assert config["optimizer.generator_lr"] == 1e-4
    ticks = [
        {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for record in found
        if record.HasField("history")
    ]
    assert [(tick["images_seen"], tick["objective/fd"]) for tick in ticks] == [(1000, 3.0), (2000, 2.0)]
    assert ticks[0]["verdict"] == "mode_collapse"
    assert len(list(file.parent.glob("files/media/images/samples_*.png"))) == 2
    exits = [record.exit.exit_code for record in found if record.HasField("exit")]
    assert exits == [0]


def test_without_a_login_one_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setattr(wandb, "login", lambda *, prompt: False)
    wandb.teardown()
    with pytest.raises(ConfigError, match=r"--wandb has no login; run wandb login, or .*WANDB_MODE=offline"):
        WANDB.check(Folder(str(tmp_path)))
    monkeypatch.setenv("WANDB_MODE", "offline")
    wandb.teardown()
    WANDB.check(Folder(str(tmp_path)))
