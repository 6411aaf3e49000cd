"""Saves and loads the state of a training: tensors and JSON in one safetensors file."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch

from common.errors import ConfigError, require
from common.storage.atomic import replace_file
from common.text import one_line
from perceptual.train.classifier import Epoch, Training

_KIND = "artsweep compact training 1"


def save_state(training: Training, settings: dict[str, Any], data_digest: str, path: Path) -> None:
    """Save the training's state after its last epoch at `path`, atomically.

    Raises: WriteError when it cannot be written; an earlier state is intact.
    """
    values = {
        "settings": settings,
        "data": data_digest,
        "epochs": [dataclasses.asdict(epoch) for epoch in training.epochs],
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in training.tensors().items()}
    replace_file(path, safetensors.torch.save(tensors, {"kind": _KIND, "values": json.dumps(values)}))


def load_state(training: Training, settings: dict[str, Any], data_digest: str, path: Path) -> None:
    """Load a state of `save_state` into the training.

    Raises: ConfigError for a missing or damaged file, or one from other settings or pictures.
    """
    require(
        path.is_file(),
        f"--resume needs {path}, which does not exist; leave --resume out to start a new training",
    )
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        if metadata.get("kind") != _KIND:
            raise ValueError("written by another program or version")
        values = json.loads(metadata["values"])
        epochs = [Epoch(**epoch) for epoch in values["epochs"]]
        before, data = dict(values["settings"]), values["data"]
    except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise _unusable(path, error) from None
    _require_equal(before, settings)
    require(
        data == data_digest, "--resume needs the pictures of the stopped training, not others; restore them"
    )
    try:
        training.load(tensors, epochs)
    except (KeyError, RuntimeError) as error:
        raise _unusable(path, error) from None


def _require_equal(before: dict[str, Any], now: dict[str, Any]) -> None:
    for name in sorted(before.keys() | now.keys()):
        flag = "--" + name.replace("_", "-")
        require(
            before.get(name) == now.get(name),
            f"--resume needs {flag} {before.get(name)} as the stopped training had it, not {now.get(name)}; "
            "give that, or start a new training with another --out",
        )


def _unusable(path: Path, error: Exception) -> ConfigError:
    reason = one_line(error, 160)
    return ConfigError(f"--resume cannot use {path} ({reason}); remove it and start a new training")
