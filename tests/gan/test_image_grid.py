"""Grids are checked against pixels put in place one by one, files against Pillow's reading."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError
from gan.image_grid import GAP_PX, cut_out, grid, small_grid, write_gif, write_png


def _images(count: int, side: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(256, size=(count, side, side, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_pixel_becomes_a_square_at_its_place_with_gaps_between(channels: int) -> None:
    images = _images(5, 16, channels)
    picture = grid(images)
    factor, columns = 8, 3
    cell = 16 * factor + GAP_PX
    assert picture.shape == (2 * cell - GAP_PX, columns * cell - GAP_PX, channels)
    expected = np.full_like(picture, 255)
    for n in range(5):
        for y in range(16):
            for x in range(16):
                top, left = n // columns * cell + y * factor, n % columns * cell + x * factor
                expected[top : top + factor, left : left + factor] = images[n, y, x]
    np.testing.assert_array_equal(picture, expected)


@pytest.mark.parametrize("side", [16, 32, 128])
def test_an_image_that_is_cut_out_is_the_one_that_was_put_in(side: int) -> None:
    images = _images(13, side, 3)
    picture = grid(images, columns=4)
    for index in (0, 3, 4, 12):
        found = cut_out(picture, index, columns=4, side=side)
        factor = found.shape[0] // side
        np.testing.assert_array_equal(found[::factor, ::factor], images[index])
        np.testing.assert_array_equal(found, np.kron(images[index], np.ones((factor, factor, 1), np.uint8)))
    for index, columns, of_side in ((16, 4, side), (0, 5, side), (0, 4, side - 1), (0, 4, 2048)):
        with pytest.raises(ConfigError, match=f"has no image {index} of {of_side} pixels"):
            cut_out(picture, index, columns=columns, side=of_side)


@pytest.mark.parametrize("count", [16, 36, 64, 100])
def test_a_grid_of_small_images_is_comfortable_to_look_at(count: int) -> None:
    assert 600 <= grid(_images(count, 32, 3)).shape[1] <= 1030


def test_large_images_are_not_enlarged_and_columns_can_be_asked_for() -> None:
    assert grid(_images(64, 128, 1)).shape == (8 * 130 - 2, 8 * 130 - 2, 1)
    assert grid(_images(6, 128, 1), columns=6).shape == (128, 6 * 130 - 2, 1)
    assert grid(_images(2, 128, 1), columns=9).shape[1] < 1000


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_the_pixels_exactly_and_nothing_is_left_beside_it(channels: int, tmp_path: Path) -> None:
    image = _images(1, 20, channels)[0]
    write_png(tmp_path / "new" / "a.png", image)
    with Image.open(tmp_path / "new" / "a.png") as read:
        assert read.mode == {1: "L", 3: "RGB"}[channels]
        np.testing.assert_array_equal(np.asarray(read).reshape(image.shape), image)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["a.png"]


def test_a_gif_plays_all_frames_for_ever(tmp_path: Path) -> None:
    frames = [np.full((20, 20, 1), level, np.uint8) for level in (0, 90, 180)]
    write_gif(tmp_path / "a.gif", frames, frame_ms=50)
    with Image.open(tmp_path / "a.gif") as read:
        assert (read.n_frames, read.info["loop"], read.info["duration"]) == (3, 0, 50)  # type: ignore[attr-defined]
        for number, frame in enumerate(frames):
            read.seek(number)
            np.testing.assert_array_equal(np.asarray(read.convert("L")), frame[:, :, 0])


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    for wrong in (
        _images(0, 16, 3),
        _images(2, 16, 2),
        _images(2, 16, 3).astype(float),
        _images(2, 16, 3)[0],
    ):
        with pytest.raises(ConfigError, match="pictures must be uint8"):
            grid(wrong)
    with pytest.raises(ConfigError, match="at least 1 column"):
        grid(_images(2, 16, 3), columns=0)
    with pytest.raises(ConfigError, match="at least 1 frame"):
        write_gif(tmp_path / "a.gif", [])


@pytest.mark.parametrize(("side", "width"), [(32, 134), (128, 518), (256, 515)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_small_grid_has_four_columns_and_is_bounded_in_width_and_size(
    side: int, width: int, channels: int
) -> None:
    levels = np.linspace(0, 255, 16).astype(np.uint8)
    images = np.broadcast_to(levels[:, None, None, None], (16, side, side, channels))
    content = small_grid(np.ascontiguousarray(images))
    with Image.open(io.BytesIO(content)) as picture:
        shown = np.asarray(picture.convert("L")).astype(int)
    assert shown.shape == (width, width) and len(content) < 20_000
    step = (width + 1) // 4
    centres = shown[step // 2 :: step, step // 2 :: step].ravel()
    assert np.abs(centres - levels).max() <= 2


def test_a_small_grid_of_noise_stays_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 128, 128, 3), dtype=np.uint8)
    assert len(small_grid(noise[:, ::4, ::4])) < 30_000 and len(small_grid(noise)) < 300_000
