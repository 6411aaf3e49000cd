"""A worker's loop that says that it works, and never ends."""

import time
from pathlib import Path
from typing import Any


def work(settings: dict[str, Any]) -> None:
    Path(settings["folder"], "works").touch()
    while True:
        time.sleep(0.1)
