"""Pictures in other pictures' styles; `stylize` for notebooks is here, the command line in `__main__`."""

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
    # imported when asked for: PyTorch takes seconds, which `--help` and the files of this room do not need
    if name not in _HOMES:
        raise AttributeError(f"module 'styletransfer' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
