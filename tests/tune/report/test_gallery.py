"""The winner's gallery on the page of a sweep."""

import hashlib
from pathlib import Path

import numpy as np

from gan.image_grid import picture_of, small_grid, webp_bytes
from gan.report import gallery
from gan.report.pictures import Gallery, Nearest
from tests.tune.made_up import made_up
from tune.report import write_report


def test_a_page_shows_the_gallery_of_best_and_says_where_there_is_none(tmp_path: Path) -> None:
    made = made_up(tmp_path, "sweep", trials=3, ticks=2, grids=0)
    page = Path(write_report([made.write()])).read_text()
    assert "Not looked at yet" in page and "python -m gan gallery" in page

    level = webp_bytes(picture_of(np.full((8, 38, 3), 90, np.uint8)))
    row = Nearest(strip=level, distance=0.12)
    found = Gallery(
        grid=small_grid(np.zeros((4, 8, 8, 3), np.uint8)),
        walk=level,
        nearest=(row,) * 3,
        held_out=(row,),
        memorization=0.2,
        memorization_noise=1.0,
        searched=10,
        training_pictures=20,
    )
    generator = b"weights"
    made.folder.files.write("best/generator.safetensors", generator)
    digest = hashlib.blake2b(generator, digest_size=16).hexdigest()
    gallery._write(made.folder.files, "best/gallery", digest, found)
    page = Path(write_report([made.folder.location])).read_text()
    assert "0.20 times as far" in page and "the generator copies." in page
    assert page.count("<figcaption>0.12</figcaption>") == 4 and "10 of 20" in page
