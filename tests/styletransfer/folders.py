"""Shared by tests of batches: small pictures in folders, quick settings, a plan made from flags."""

from pathlib import Path

import numpy as np
from PIL import Image

from common.storage.folder import Folder
from styletransfer.commands import parse_command
from styletransfer.pictures.reading import read_picture
from styletransfer.planning.batch_request import make_request
from styletransfer.planning.manifest import Entry, read_manifest
from styletransfer.planning.pairs import Pair
from styletransfer.planning.plan import BatchPlan, make_plan
from styletransfer.transfer import stylize
from tests.styletransfer.tiny import picture

_QUICK = {
    "--weights": "random:0",
    "--size": "32",
    "--iterations": "2",
    "--scales": "1",
    "--precision": "fp32",
}


def save(path: Path, width: int = 48, height: int = 36, seed: int = 0) -> None:
    """A small picture of smooth random colours."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.rint(picture(height, width, seed) * 255).astype(np.uint8)).save(path)


def make_folders(root: Path, contents: int = 3, styles: int = 2) -> list[str]:
    """`photos` and `paintings` below root; returns the places of a command that writes to `out`."""
    for index in range(contents):
        save(root / "photos" / f"c{index}.png", seed=index)
    for index in range(styles):
        save(root / "paintings" / f"s{index}.png", 40, 40, seed=100 + index)
    return [str(root / name) for name in ("photos", "paintings", "out")]


def quick(*flags: str) -> list[str]:
    """These flags, and others with which a pair takes only a moment."""
    return [*flags, *(word for flag, value in _QUICK.items() if flag not in flags for word in (flag, value))]


def plan_of(*flags: str) -> BatchPlan:
    """The plan of a command with quick settings."""
    return make_plan(make_request(parse_command(quick(*flags))))


def entries(root: Path) -> dict[Pair, Entry]:
    """The entries of the manifest in `out` below root."""
    return read_manifest(Folder(str(root / "out")))


def pixels(path: Path) -> np.ndarray:
    """The pixels of a picture's file."""
    return np.asarray(Image.open(path))


def stylized_alone(plan: BatchPlan, root: Path, content: str, style: str) -> np.ndarray:
    """The picture that a single call makes of the same files, uint8 (H, W, 3)."""
    [config] = plan.request.variants.values()
    photo = read_picture(root / "photos" / content, long_side_px=config.size, enlarge=True).rgb
    painting = read_picture(root / "paintings" / style, long_side_px=config.size).rgb
    [network] = plan.request.networks.values()
    picture = stylize.stylize(photo, painting, config, network=network).picture
    made: np.ndarray = np.rint(picture * 255).astype(np.uint8)
    return made
