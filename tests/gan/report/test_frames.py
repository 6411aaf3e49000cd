"""Sample grids over time for a page."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.storage.folder import Folder
from gan.image_grid import png_bytes
from gan.report.frames import sample_frames, spread_evenly


@pytest.mark.parametrize("count", [1, 23, 24, 25, 200])
def test_frames_are_spread_evenly_with_the_first_and_the_last(count: int) -> None:
    places = [100 * place for place in range(1, count + 1)]
    found = spread_evenly(places, 24)
    assert len(found) == min(count, 24) and found[0] == 100 and found[-1] == 100 * count
    gaps = np.diff(found)
    assert count < 2 or (gaps.min() > 0 and gaps.max() - gaps.min() <= 100)


def test_grids_are_shrunk_and_what_is_no_picture_is_left_out(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    left_half = np.zeros((800, 1000, 3), np.uint8)
    left_half[:, :500] = 255
    folder.write("samples/000002000.png", png_bytes(left_half))
    folder.write("samples/000000500.png", png_bytes(np.full((20, 30, 1), 7, np.uint8)))
    folder.write("samples/000001000.png", b"torn")
    folder.write("samples/notes.txt", b"")
    frames = sample_frames(folder)
    assert list(frames) == [500, 2000]
    with Image.open(io.BytesIO(frames[2000])) as frame:
        shown = np.asarray(frame.convert("L"))
    assert shown.shape == (416, 520)
    assert shown[:, :250].min() > 250 and shown[:, 270:].max() < 5
    with Image.open(io.BytesIO(frames[500])) as frame:
        assert frame.size == (30, 20)


def test_a_run_without_samples_has_no_frames(tmp_path: Path) -> None:
    assert sample_frames(Folder(str(tmp_path))) == {}
