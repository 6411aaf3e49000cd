"""Pillow kept from printing warnings about odd files, in any number of threads at once; nothing else."""

import contextlib
import threading
import warnings
from collections.abc import Iterator

from PIL import Image

_lock = threading.Lock()
_inside = 0
_filters: contextlib.ExitStack | None = None


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Hold back Pillow's warnings within the block.

    Python's warning filters are the whole process's: the first thread to come sets them, the last to go puts
    back what it found. Each thread for itself would leave filters behind.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _inside, _filters
    with _lock:
        if _inside == 0:
            _filters = contextlib.ExitStack()
            _filters.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=r"PIL\.")
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        _inside += 1


def _leave() -> None:
    global _inside
    with _lock:
        _inside -= 1
        if _inside == 0 and _filters is not None:
            _filters.close()
