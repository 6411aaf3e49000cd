"""A generator's gallery: made once, kept beside it, read without PyTorch."""

import dataclasses
import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from common.errors import ConfigError
from common.storage.folder import Folder
from gan import checkpoint
from gan.__main__ import main
from gan.config import GanConfig
from gan.report import making
from gan.report.gallery import gallery_pictures
from gan.report.pictures import Gallery
from gan.run_folder import GENERATOR, Row

ROOT = Path(__file__).parents[3]
READ = """
import sys
from gan.report.gallery import gallery_pictures
gallery = gallery_pictures(sys.argv[1], may_make=False)
print(gallery is not None and len(gallery.nearest), "torch" in sys.modules)
"""


@pytest.fixture
def location(plain_run: tuple[Folder, list[Row]], tmp_path: Path) -> str:
    """A copy of a finished run's folder."""
    shutil.copytree(plain_run[0].location, tmp_path / "run")
    return str(tmp_path / "run")


def size_of(picture: bytes) -> tuple[int, int, int]:
    with Image.open(io.BytesIO(picture)) as image:
        return *image.size, getattr(image, "n_frames", 1)


def test_a_gallery_shows_samples_a_walk_and_the_nearest_training_pictures(location: str) -> None:
    gallery = gallery_pictures(location)
    assert gallery is not None and gallery.missing == ""
    assert size_of(gallery.grid) == (8 * 18 - 2, 8 * 18 - 2, 1)
    assert size_of(gallery.walk)[:2] == (4 * 18 - 2, 16)
    assert len(gallery.nearest) == 8 and len(gallery.held_out) == 2
    assert {size_of(row.strip) for row in (*gallery.nearest, *gallery.held_out)} == {(16 + 6 + 52, 16, 1)}
    assert gallery.searched == gallery.training_pictures == 208
    assert f"{gallery.memorization:.2f} times" in gallery.meaning()


def test_a_gallery_is_made_once_for_a_generator_and_read_without_pytorch(location: str) -> None:
    first = gallery_pictures(location)
    about = Path(location, "gallery", "gallery.json")
    written = about.stat().st_mtime_ns
    assert gallery_pictures(location) == first and about.stat().st_mtime_ns == written
    answer = subprocess.run(
        [sys.executable, "-c", READ, location], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert answer.stdout.split() == ["8", "False"]

    path = Path(location, GENERATOR)
    state = checkpoint.generator_from_bytes(path.read_bytes(), name="generator")
    moved = {
        name: tensor * 2 if name.endswith("weight") else tensor for name, tensor in state.tensors.items()
    }
    path.write_bytes(checkpoint.generator_to_bytes(dataclasses.replace(state, tensors=moved)))
    assert gallery_pictures(location, may_make=False) is None, "that of another generator"
    second = gallery_pictures(location)
    assert second is not None and first is not None and second.grid != first.grid


def test_a_gallery_without_the_data_says_so_and_is_completed_when_they_are_back(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def moved(config: object) -> None:
        raise ConfigError("--data /gone does not exist; name where it is")

    with monkeypatch.context() as patch:
        patch.setattr(making, "load_images", moved)
        gallery = gallery_pictures(location)
        assert gallery is not None and gallery.missing.startswith("--data /gone")
        assert gallery.nearest == () and gallery.meaning() == ""
        assert gallery_pictures(location, may_make=False) == gallery
    completed = gallery_pictures(location)
    assert completed is not None and completed.missing == "" and completed.grid == gallery.grid


def test_the_gallery_of_a_sweeps_best_is_beside_it(location: str, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    (sweep / "best").mkdir(parents=True)
    assert gallery_pictures(str(sweep)) is None
    shutil.copy(Path(location, GENERATOR), sweep / "best")
    assert gallery_pictures(str(sweep)) is not None
    assert (sweep / "best" / "gallery" / "walk.webp").exists()


@pytest.mark.parametrize("damage", ["gallery.json", "nearest_3.webp"])
def test_a_damaged_gallery_is_made_anew(location: str, damage: str) -> None:
    first = gallery_pictures(location)
    path = Path(location, "gallery", damage)
    path.write_bytes(b'{"version": 1}') if damage.endswith("json") else path.unlink()
    assert gallery_pictures(location, may_make=False) is None
    assert gallery_pictures(location) == first


def test_the_command_says_where_the_gallery_is_and_what_it_means(
    location: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["gallery", location]) == 0
    out = capsys.readouterr().out.replace("\n", "")
    assert f"gallery: {location}/gallery" in out and "times as far from the training pictures" in out
    assert main(["report", location]) == 0
    assert Path(location, "report.html").read_text().count("nearest training pictures") >= 8


@pytest.mark.parametrize(
    ("memorization", "noise", "word"), [(0.3, 1.0, "copies."), (0.7, 1.0, "begins"), (0.97, 1.0, "no sign")]
)
def test_the_memorization_is_put_into_words(memorization: float, noise: float, word: str) -> None:
    gallery = Gallery(grid=b"", walk=b"", memorization=memorization, memorization_noise=noise)
    assert word in gallery.meaning()


def test_a_walk_is_closed_and_moves() -> None:
    """Of a generator whose pictures are the first numbers of their latents."""

    class Levels(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(0.4))

        def forward(self, latents: torch.Tensor) -> torch.Tensor:
            return (latents[:, :1, None, None] * self.scale).expand(-1, 3, 16, 16)

    with Image.open(io.BytesIO(making._walk(Levels(), GanConfig()))) as walk:
        assert walk.n_frames == 36 and walk.info["loop"] == 0
        frames = [
            np.asarray(frame.convert("RGB"))[8, 8::18].astype(int) for frame in ImageSequence.Iterator(walk)
        ]
    steps = np.abs(np.diff(frames + frames[:1], axis=0)).max(axis=(1, 2))
    assert len(steps) == 36 and steps.max() < 60, "also from the last frame to the first"
