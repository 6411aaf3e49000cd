"""The networks' weights that come with the package, by name and checked by hash."""

import hashlib
import importlib.resources

from common.errors import ConfigError
from common.text import os_reason
from perceptual.tensors import Tensors, parse_safetensors

# SHA-256 of perceptual/weights/<name>.safetensors. Names are <network>-<number>, oldest first, and a
# network's last is its default. Better weights get a new file, name and line: results name their weights.
SHIPPED = {
    "compact-1": "2708f5a4f920e41f6474f9c9ccd15b2f716a084c6130692bfdf2745473e761c1",
    "lite0-1": "6002fdc14ae7c70607e2e45ab91a59ab837bb1d4f7b086740b48b5e77b667f05",
}
FOLDER = importlib.resources.files("perceptual").joinpath("weights")


def sets_of(network: str) -> list[str]:
    """The names of a network's sets, oldest first: compact-1 of compact."""
    return [name for name in SHIPPED if name.rpartition("-")[0] == network]


def newest(network: str) -> str:
    """The name of a network's default set."""
    return sets_of(network)[-1]


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
