"""Finds the file of a trained generator: of a run, of a sweep's best trial, or the file itself."""

from common.errors import require
from common.storage.folder import Folder

GENERATOR = "generator.safetensors"
SWEEPS_BEST = "best"
"""Folder in which a sweep keeps its best generator."""


def find_generator(location: str) -> tuple[Folder, str]:
    """The folder and the name of the generator's file, local or at a URL.

    location: folder of a run, or of a sweep, whose `best/` is taken; or one of their .safetensors files.

    Raises: ConfigError when there is none.
    """
    whole = location.rstrip("/")
    parent, _, name = whole.rpartition("/")
    if name.endswith(".safetensors"):
        folder, names = Folder(parent or ("/" if whole.startswith("/") else "."), flag="CHECKPOINT"), [name]
    else:
        folder = Folder(whole or location, flag="CHECKPOINT")
        names = [GENERATOR, f"{SWEEPS_BEST}/{GENERATOR}"]
    found = next((each for each in names if folder.status(each) is not None), None)
    require(
        found is not None,
        f"{location} has no {names[0]}; give the folder of a run or a sweep with a finished tick, or a "
        ".safetensors file",
    )
    assert found is not None
    return folder, found
