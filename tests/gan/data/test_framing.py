"""From pictures of any shape to squares: pixels against positions that are computed by hand."""

import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from common.image_files import UnreadableError
from gan.data.config import Fit
from gan.data.decode import Framing, read_squares


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def square_of(image: Image.Image, resolution: int, **settings: object) -> np.ndarray:
    (square,) = read_squares(encode(image), Framing(resolution=resolution, **settings)).pixels  # type: ignore[arg-type]
    return square


# Cropped at the centre


@given(st.integers(1, 5), st.integers(0, 60), st.booleans(), st.sampled_from([16, 32]))
@settings(deadline=None)
def test_the_shorter_side_is_resized_and_the_centre_kept(
    factor: int, margin: int, is_wide: bool, resolution: int
) -> None:
    side = factor * resolution
    ramp = np.linspace(20, 230, side)
    centre = np.repeat(ramp[:, None], side, axis=1)
    bars = np.full((side, margin), 255.0)
    picture = np.rint(np.concatenate([bars, centre, bars], axis=1)).astype(np.uint8)
    read = square_of(Image.fromarray(picture if is_wide else picture.T), resolution)[..., 0]
    expected = ramp.reshape(resolution, factor).mean(axis=1)  # a symmetric filter keeps a line's values
    read = read if is_wide else read.T
    # at the rim the filter is cut off, and beside the bars it sees them
    assert np.abs(read - expected[:, None])[4:-4, 4:-4].max() <= 1


def test_resizing_and_cropping_in_one_call_is_resizing_then_cropping() -> None:
    noise = np.random.default_rng(2).integers(0, 256, (48, 112, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    even = np.asarray(image.resize((56, 24), Image.Resampling.LANCZOS))
    np.testing.assert_array_equal(square_of(image, 24), even[:, 16:40])


def test_the_filter_leaves_no_moire() -> None:
    """Stripes finer than the result's pixels become even grey, where nearest would beat."""
    stripes = np.tile(np.array([0, 255], np.uint8), (300, 150))
    read = square_of(Image.fromarray(stripes), 32).astype(int)
    assert np.abs(read - 127.5)[:, 2:-2].max() < 6


@pytest.mark.parametrize("fit", ["crop", "pad"])
@pytest.mark.parametrize("size", [(1, 1), (1, 60_000), (60_000, 1), (3, 2000)])
def test_extreme_sizes_are_read_without_growing(size: tuple[int, int], fit: Fit) -> None:
    data = encode(Image.new("RGB", size, (9, 80, 170)))
    tracemalloc.start()
    (read,) = read_squares(data, Framing(resolution=32, fit=fit)).pixels
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (read == (9, 80, 170)).all()
    assert peak < 4e6


# Padded


def test_padding_keeps_the_whole_picture_between_bars_of_the_mean_of_the_edges_beside_them() -> None:
    """Of 48 x 32 pixels, whose left half is red: at side 24 a picture of 24 x 16 between bars of 4 rows."""
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:, :24, 0] = 200
    picture[-2:, :, 2] = 90  # the lower edge is blue, too; its mean over both edges is half of that
    read = square_of(Image.fromarray(picture), 24, fit="pad")
    bars = np.concatenate([read[:4], read[20:]])
    assert (bars == bars[0, 0]).all()
    assert np.abs(bars[0, 0] - np.array([100, 0, 45])).max() <= 3  # the filter mixes a little beside steps
    assert np.abs(read[4:18, 2:10] - np.array([200, 0, 0])).max() <= 3
    assert read[4:18, 14:22].max() <= 3


@pytest.mark.parametrize(
    ("size", "across", "along"),
    [((40, 20), slice(8, 24), slice(None)), ((20, 40), slice(None), slice(8, 24)), ((9, 30), ..., ...)],
)
def test_bars_of_one_colour_lie_on_both_sides_and_the_longer_side_fills_the_square(
    size: tuple[int, int], across: slice, along: slice
) -> None:
    read = square_of(Image.new("RGB", size, (10, 20, 30)), 32, fit="pad", pad_colour="#ff8000")
    expected = np.full((32, 32, 3), (255, 128, 0), np.uint8)
    if size == (9, 30):  # 9 x 32 / 30 = 9.6 columns: 10, with 11 on either side
        expected[:, 11:21] = (10, 20, 30)
    else:
        expected[across, along] = (10, 20, 30)
    np.testing.assert_array_equal(read, expected)


def test_padding_a_square_picture_is_cropping_it() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 50, 3), dtype=np.uint8))
    np.testing.assert_array_equal(square_of(noise, 16, fit="pad"), square_of(noise, 16))


def test_a_turned_transparent_picture_is_turned_then_padded() -> None:
    exif = Image.Exif()
    exif[274] = 6  # a quarter turn
    clear = Image.new("RGBA", (32, 16), (0, 0, 0, 0))
    (read,) = read_squares(
        encode(clear, exif=exif), Framing(resolution=16, fit="pad", pad_colour="red")
    ).pixels
    assert (read[:, 4:12] == 255).all(), "transparent on white, upright"
    assert (read[:, :4] == (255, 0, 0)).all() and (read[:, 12:] == (255, 0, 0)).all()


# Several random crops


def ramps(width: int, height: int) -> Image.Image:
    """Red grows with the column and green with the row, in straight lines from 0 to nearly 250."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = np.rint(np.arange(width) * 250 / width)
    picture[..., 1] = np.rint(np.arange(height) * 250 / height)[:, None]
    return Image.fromarray(picture)


def places_of(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """left, top, side along the columns and along the rows, in pixels, of each crop of `ramps`: (N, 4)."""
    found = []
    for square in pixels.astype(float):
        inner = np.arange(3, len(square) - 3)  # where the filter is not cut off, it keeps straight lines
        (across, left), (along, top) = (
            np.polyfit(inner + 0.5, line[inner] * size / 250 + 0.5, 1)
            for line, size in ((square[..., 0].mean(0), width), (square[..., 1].mean(1), height))
        )
        found.append((left, top, across * len(square), along * len(square)))
    return np.array(found)


@pytest.mark.parametrize(("width", "height"), [(400, 250), (120, 300), (40, 64)])
def test_random_crops_are_squares_inside_the_picture_of_half_its_shorter_side_or_more(
    width: int, height: int
) -> None:
    framing = Framing(resolution=32, crops=50, seed=7)
    data = encode(ramps(width, height))
    pixels = read_squares(data, framing, 3).pixels
    assert pixels.shape == (50, 32, 32, 3)
    left, top, across, along = places_of(pixels, width, height).T
    assert np.abs(across - along).max() < 0.03 * height, "a square stays a square"
    shorter = min(width, height)
    assert across.min() > max(shorter / 2, 32) - 4 and across.max() < shorter + 4
    assert left.min() > -3 and top.min() > -3
    assert (left + across).max() < width + 3 and (top + along).max() < height + 3
    if shorter >= 64:  # places and sides differ, over their whole range
        assert across.min() < 0.55 * shorter and across.max() > 0.95 * shorter
        assert np.ptp(left / (width - across + 1)) > 0.8 and np.ptp(top / (height - along + 1)) > 0.7
    np.testing.assert_array_equal(read_squares(data, framing, 3).pixels, pixels)


def test_other_seeds_and_other_pictures_are_cropped_elsewhere() -> None:
    data = encode(ramps(200, 200))
    found = [
        read_squares(data, Framing(resolution=16, crops=2, seed=seed), place).pixels.tobytes()
        for seed, place in ((0, 0), (0, 1), (1, 0), (1, 1))
    ]
    assert len(set(found)) == 4


def test_a_large_jpeg_that_is_shrunk_while_it_is_decoded_is_cropped_at_the_same_places() -> None:
    image, framing = ramps(1600, 1200), Framing(resolution=32, crops=10)
    jpeg = read_squares(encode(image, "JPEG", quality=98, subsampling=0), framing).pixels.astype(int)
    png = read_squares(encode(image), framing).pixels.astype(int)
    assert np.abs(jpeg - png).max() <= 6  # a shift of one of its 32 pixels would be 2 to 7 levels everywhere
    assert abs((jpeg - png).mean()) < 0.5


def test_a_picture_with_fewer_pixels_than_a_crop_is_broken() -> None:
    framing = Framing(resolution=32, crops=4)
    with pytest.raises(UnreadableError, match="300 x 31 pixels, too small for --crops 4 of 32 pixels"):
        read_squares(encode(ramps(300, 31)), framing)
    smallest = read_squares(encode(ramps(32, 32)), framing).pixels
    assert (smallest == np.asarray(ramps(32, 32))).all(), "there is only one square in it"


@pytest.mark.parametrize(
    ("size", "fit", "is_enlarged"),
    [
        ((31, 500), "crop", True),
        ((32, 500), "crop", False),
        ((31, 500), "pad", False),
        ((31, 20), "pad", True),
        ((2000, 31), "crop", True),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_it_is_known_which_pictures_have_too_few_pixels(
    size: tuple[int, int], fit: Fit, is_enlarged: bool, kind: str
) -> None:
    read = read_squares(encode(Image.new("RGB", size), kind), Framing(resolution=32, fit=fit))
    assert read.is_enlarged == is_enlarged and read.pixels.shape == (1, 32, 32, 3)
