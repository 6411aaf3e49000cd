"""The compact network's weights that come with the package, by name and checked by hash."""

import hashlib
import importlib.resources

from common.errors import ConfigError
from common.text import os_reason
from perceptual.tensors import Tensors, parse_safetensors

# SHA-256 of perceptual/weights/<name>.safetensors, oldest first; the last is the default.
# Better weights get a new file, name and line, because results name the weights they were computed with.
SHIPPED = {
    "compact-1": "2708f5a4f920e41f6474f9c9ccd15b2f716a084c6130692bfdf2745473e761c1",
}
FOLDER = importlib.resources.files("perceptual").joinpath("weights")


def newest() -> str:
    """The name of the default set."""
    return list(SHIPPED)[-1]


def read_shipped(name: str) -> Tensors:
    """The tensors of a shipped set, half precision, on the CPU.

    Raises: ConfigError when the file is missing or does not have the expected hash.
    """
    file = FOLDER.joinpath(f"{name}.safetensors")
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"the package lacks its weights {file} ({os_reason(error)}); reinstall artsweep"
        ) from None
    found = hashlib.sha256(data).hexdigest()
    if found != SHIPPED[name]:
        raise ConfigError(
            f"the package's weights {file} must have the SHA-256 {SHIPPED[name]}, not {found}: they are "
            "damaged or were replaced; reinstall artsweep"
        )
    return parse_safetensors(data, str(file))
