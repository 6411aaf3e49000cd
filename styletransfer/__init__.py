"""Stylizes pictures after other pictures: `stylize` for notebooks, `python -m styletransfer` for folders."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from styletransfer.config import StyleConfig
    from styletransfer.notebook import Result, stylize

__all__ = ["Result", "StyleConfig", "stylize"]

_HOMES = {
    "Result": "styletransfer.notebook",
    "StyleConfig": "styletransfer.config",
    "stylize": "styletransfer.notebook",
}


def __getattr__(name: str) -> Any:
    # imported on first use: PyTorch takes seconds, which `--help` does not need
    if name not in _HOMES:
        raise AttributeError(f"module 'styletransfer' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
