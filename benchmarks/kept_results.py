"""Results of trained runs, kept by all settings, so that a benchmark that is started again goes on."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gan.config import GanConfig

CACHE = Path.home() / ".cache" / "artsweep"
PLACES = ("root", "cache", "download")
"""Settings of the data that change no picture, and so no result."""

Result = dict[str, Any]


def kept_result(folder: str, config: GanConfig, train: Callable[[], Result]) -> Result:
    """What `train` returns for this configuration, a JSON object; trained only where it is not kept.

    folder: below `CACHE`.
    """
    settings = config.to_dict()
    for place in PLACES:
        settings["data"].pop(place)
    text = json.dumps(settings, sort_keys=True)
    name = hashlib.blake2b(text.encode(), digest_size=12).hexdigest()
    kept = CACHE / folder / f"{name}.json"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        beside = kept.with_suffix(".partial")
        beside.write_text(json.dumps(train()))
        beside.replace(kept)
    found: Result = json.loads(kept.read_text())
    return found
