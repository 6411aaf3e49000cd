"""A run's state, and a generator alone, as safetensors blobs.

A blob holds the tensors and, as JSON in its `__metadata__`, everything else. Nothing is ever unpickled.
"""

import dataclasses
import json
from typing import Any

import safetensors
import safetensors.torch
import torch

from common.errors import ConfigError
from common.text import one_line

FORMAT_VERSION = 1
_LENGTH_BYTES = 8  # a safetensors blob begins with the length of its JSON header, little-endian


class CheckpointError(ConfigError):
    """The bytes are not a readable checkpoint; the message is one line."""


@dataclasses.dataclass(frozen=True)
class RunState:
    """All that a resume needs."""

    tensors: dict[str, torch.Tensor]
    """By dotted flat name: `generator.*`, `discriminator.*`, `ema.*`, `generator_optimizer.*`, ..."""
    meta: dict[str, Any]
    """JSON values: step, images_seen, channels, history, ... (tuples come back as lists)."""
    config: dict[str, Any]
    """`GanConfig.to_dict()`."""


@dataclasses.dataclass(frozen=True)
class GeneratorState:
    """A generator alone, enough to sample from."""

    tensors: dict[str, torch.Tensor]
    """The generator's own `state_dict` names."""
    channels: int
    """1 for grey, 3 for colour."""
    config: dict[str, Any]
    """`GanConfig.to_dict()`."""


def to_bytes(state: RunState) -> bytes:
    """The whole state as one blob. Tensors may be on any device and in any memory layout."""
    return _pack("run", state.tensors, {"meta": state.meta, "config": state.config})


def from_bytes(data: bytes, *, name: str = "the checkpoint") -> RunState:
    """Undo `to_bytes`; tensors come back on the CPU, contiguous. `name` stands for the data in errors.

    Raises: CheckpointError for truncated or foreign bytes or another format version.
    """
    kind, tensors, values = _unpack(data, name)
    if kind != "run":
        raise CheckpointError(f"{name} holds a {kind} alone, not a whole run; give the run's checkpoint")
    return RunState(tensors, values["meta"], values["config"])


def generator_of(state: RunState) -> GeneratorState:
    """The averaged generator of a run; tensors that are not averaged come from the trained generator."""
    tensors = _below(state.tensors, "generator.") | _below(state.tensors, "ema.")
    return GeneratorState(tensors, int(state.meta["channels"]), state.config)


def generator_to_bytes(generator: GeneratorState) -> bytes:
    """The generator as one blob."""
    values = {"channels": generator.channels, "config": generator.config}
    return _pack("generator", generator.tensors, values)


def generator_from_bytes(data: bytes, *, name: str = "the generator") -> GeneratorState:
    """Undo `generator_to_bytes`; from the blob of a whole run, its averaged generator.

    Raises: CheckpointError for truncated or foreign bytes or another format version.
    """
    kind, tensors, values = _unpack(data, name)
    try:
        if kind == "run":
            return generator_of(RunState(tensors, values["meta"], values["config"]))
        return GeneratorState(tensors, int(values["channels"]), values["config"])
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(
            f"{name} does not say its channels; it is not the checkpoint of a run"
        ) from None


def _pack(kind: str, tensors: dict[str, torch.Tensor], values: dict[str, Any]) -> bytes:
    metadata = {name: json.dumps(value) for name, value in values.items()}
    metadata |= {"artsweep_kind": kind, "artsweep_version": str(FORMAT_VERSION)}
    return safetensors.torch.save(_storable(tensors), metadata)


def _storable(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """On the CPU, contiguous, no two sharing memory, as safetensors demands; copies only where needed."""
    storable: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        if plain.data_ptr() in seen:
            plain = plain.clone()
        seen.add(plain.data_ptr())
        storable[name] = plain
    return storable


def _unpack(data: bytes, name: str) -> tuple[str, dict[str, torch.Tensor], dict[str, Any]]:
    # a safetensors file may begin with 0x80 too: it begins with the length of its header, which is JSON
    if data.startswith((b"PK\x03\x04", b"\x80")) and data[8:9] != b"{":
        raise CheckpointError(
            f"{name} is a pickle or torch.save file, which is never loaded; give a .safetensors file"
        )
    try:
        tensors = safetensors.torch.load(data)
    except (safetensors.SafetensorError, KeyError) as error:
        raise CheckpointError(
            f"{name} is truncated or not a safetensors file ({one_line(error)}); give another checkpoint"
        ) from None
    metadata = _metadata(data)
    kind, version = metadata.pop("artsweep_kind", None), metadata.pop("artsweep_version", None)
    if kind not in ("run", "generator"):
        raise CheckpointError(
            f"{name} is a safetensors file of another program; give a checkpoint that artsweep wrote"
        )
    if version != str(FORMAT_VERSION):
        raise CheckpointError(
            f"{name} has format version {version}, not {FORMAT_VERSION}; use the version that wrote it"
        )
    needed = {"meta": dict, "config": dict} if kind == "run" else {"channels": int, "config": dict}
    try:
        values = {part: json.loads(metadata[part]) for part in needed}
        for part, expected in needed.items():
            if not isinstance(values[part], expected):
                raise TypeError(f"{part} is {values[part]!r}")
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{name} has broken metadata ({one_line(error)}); give another checkpoint"
        ) from None
    return kind, tensors, values


def _metadata(data: bytes) -> dict[str, str]:
    # the library reads metadata from files alone; it has already checked this header
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    header: dict[str, Any] = json.loads(memoryview(data)[_LENGTH_BYTES : _LENGTH_BYTES + length].tobytes())
    return dict(header.get("__metadata__") or {})


def _below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
