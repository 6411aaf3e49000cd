"""Reads weights as named tensors without unpickling objects, checks their shapes, and hashes them."""

import hashlib
import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from common.errors import ConfigError, require
from common.text import one_line, os_reason

Tensors = dict[str, torch.Tensor]


def read_tensors(path: Path) -> Tensors:
    """Read the tensors of a weights file by name, on the CPU.

    Accepts a .safetensors file, or a state dict in a .pth file, of which PyTorch loads only tensors
    (`weights_only`). The first bytes decide which of them it is.

    Raises: ConfigError when the file is missing, truncated, or holds something else.
    """
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise ConfigError(
            f"the weights file {path} cannot be read: {os_reason(error)}; give the path of a "
            ".safetensors or .pth file"
        ) from None
    # a safetensors file begins with the length of its header in 8 bytes; the header is JSON
    if start[8:] == b"{":
        return _safely(lambda: safetensors.torch.load_file(path), str(path))
    return _read_pth(path)


def parse_safetensors(data: bytes, name: str) -> Tensors:
    """Read the tensors from the bytes of a .safetensors file; `name`: what errors call it.

    Raises: ConfigError when it is truncated or another kind of file.
    """
    return _safely(lambda: safetensors.torch.load(data), name)


def _safely(load: Callable[[], Tensors], name: str) -> Tensors:
    try:
        return load()
    except (OSError, safetensors.SafetensorError, KeyError) as error:
        raise ConfigError(
            f"the weights file {name} is truncated or damaged ({one_line(error, 160)}); get it anew"
        ) from None


def _read_pth(path: Path) -> Tensors:
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # reading arbitrary bytes can raise nearly anything, in words for programmers
        raise ConfigError(
            f"the weights file {path} is truncated, damaged or not a file of tensors alone; give a "
            ".safetensors file or a state dict that torch.save wrote"
        ) from None
    if not isinstance(loaded, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in loaded.items()
    ):
        raise ConfigError(
            f"the weights file {path} must hold tensors by name, not {type(loaded).__name__}; save the "
            "network's state_dict()"
        )
    return dict(loaded)


def check_tensors(tensors: Mapping[str, torch.Tensor], like: Mapping[str, torch.Tensor], what: str) -> None:
    """Raise `ConfigError` unless the names and shapes are those of `like`, and the values finite floats.

    what: the subject of the error message: the file and what it should be.
    """
    missing, foreign = sorted(like.keys() - tensors.keys()), sorted(tensors.keys() - like.keys())
    require(not missing, f"{what}: it lacks {_listed(missing)}; give another file")
    require(not foreign, f"{what}: it holds {_listed(foreign)} as well; give another file")
    for name, expected in like.items():
        found = tensors[name]
        require(
            found.shape == expected.shape,
            f"{what}: {name} must have the shape {tuple(expected.shape)}, not {tuple(found.shape)}; give "
            "another file",
        )
        require(
            found.is_floating_point() == expected.is_floating_point(),
            f"{what}: {name} must be of {expected.dtype}, not {found.dtype}; give another file",
        )
        require(bool(torch.isfinite(found).all()), f"{what}: {name} is not finite; give another file")


def digest_of(tensors: Mapping[str, torch.Tensor], *words: str) -> str:
    """Hex hash of names, types, shapes and values, and of further words; it does not depend on the device."""
    whole = hashlib.sha256()
    for word in words:
        whole.update(word.encode() + b"\0")
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        whole.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        whole.update(tensor.flatten().view(torch.uint8).numpy().data)
    return whole.hexdigest()


def _listed(names: list[str]) -> str:
    shown = ", ".join(itertools.islice(names, 2))
    return shown if len(names) <= 2 else f"{shown} and {len(names) - 2} more"
