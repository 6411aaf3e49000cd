"""Stylizes pictures after other pictures: `stylize` for notebooks, `python -m styletransfer` for folders."""

from typing import TYPE_CHECKING

from common.lazy_exports import exported_from

if TYPE_CHECKING:
    from styletransfer.config import StyleConfig
    from styletransfer.notebook import Result, stylize

__all__ = ["Result", "StyleConfig", "stylize"]

# PyTorch takes seconds to import, which `--help` does not need
__getattr__, __dir__ = exported_from(
    __name__,
    {
        "Result": "styletransfer.notebook",
        "StyleConfig": "styletransfer.config",
        "stylize": "styletransfer.notebook",
    },
)
