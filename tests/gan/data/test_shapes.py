"""The built-in shapes against brute-force supersampling of a second description of them."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from gan.data import shapes


def test_an_image_depends_only_on_seed_and_index() -> None:
    whole = shapes.render_shapes(0, 300, resolution=32, seed=7)
    assert whole.shape == (300, 32, 32, 3)
    assert whole.dtype == np.uint8
    for start, stop in ((0, 1), (1, 2), (99, 237), (299, 300)):
        np.testing.assert_array_equal(
            shapes.render_shapes(start, stop, resolution=32, seed=7), whole[start:stop]
        )
    assert (shapes.render_shapes(0, 300, resolution=32, seed=8) != whole).any(axis=(1, 2, 3)).all()


def test_every_hundred_images_have_every_class_once() -> None:
    for start in (0, 100, 12_300):
        assert sorted(shapes.labels_of(start, start + 100)) == list(range(100))
    assert len(set(shapes.CLASS_NAMES)) == 100
    assert shapes.CLASS_NAMES[37] == "blue square"


def test_hue_and_ground_can_be_read_back_from_the_pixels() -> None:
    images = shapes.render_shapes(0, 400, resolution=64, seed=3).astype(float)
    palette = np.array(list(shapes.HUES.values()), dtype=float)
    for image, label in zip(images, shapes.labels_of(0, 400), strict=True):
        spread = np.ptp(image, axis=2)
        inside = image[spread > 0.9 * spread.max()].mean(axis=0)
        assert np.linalg.norm(palette - inside, axis=1).argmin() == label % 10
        border = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
        assert (border == border[0]).all(), "a shape reaches the border, or the ground is not plain"
        assert border.min() > 220


def test_a_small_rendering_is_the_large_one_downscaled() -> None:
    large = shapes.render_shapes(0, 100, resolution=128, seed=1).astype(float)
    averaged = large.reshape(100, 32, 4, 32, 4, 3).mean(axis=(2, 4))
    small = shapes.render_shapes(0, 100, resolution=32, seed=1)
    assert np.abs(small - averaged).mean() < 0.6
    assert np.abs(small - averaged).mean(axis=(1, 2, 3)).max() < 1.5


_FINE = 16  # samples a pixel side


def _inside(name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The curved shapes as unions and differences of discs and polygons, without any distance."""

    def disc(cx: float, cy: float, r: float) -> np.ndarray:
        return (x - cx) ** 2 + (y - cy) ** 2 <= r * r

    match name:
        case "circle":
            return disc(0, 0, 0.9)
        case "ring":
            return disc(0, 0, 0.94) & ~disc(0, 0, 0.46)
        case "crescent":
            return disc(0.1, 0, 0.95) & ~disc(0.52, 0, 0.74)
        case "drop":  # all that lies on a line from the tip (0, -1) to a point of the disc
            reach = np.zeros_like(x, dtype=bool)
            for share in np.linspace(0.005, 1, 200):
                reach |= (x / share) ** 2 + ((y + 1) / share - 1.36) ** 2 <= 0.62**2
            return reach
        case "heart":  # a square on its corner and a disc on each of its upper sides
            u, v = np.abs(x) * 0.58, 0.53 - y * 0.58
            on_corner = np.abs(u) + np.abs(v - 0.5) <= 0.5
            return on_corner | ((u - 0.25) ** 2 + (v - 0.75) ** 2 <= 0.125)
    raise AssertionError(name)


_CORNERS = {
    "triangle": [(0, -1), (0.92, 0.62), (-0.92, 0.62)],
    "square": [(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)],
    "star": [
        (r * np.sin(t), 0.06 - r * np.cos(t))
        for i in range(5)
        for r, t in ((1.06, 0.4 * np.pi * i), (0.46, 0.4 * np.pi * i + 0.2 * np.pi))
    ],
    "cross": [
        *[(-0.34, -1), (0.34, -1), (0.34, -0.34), (1, -0.34), (1, 0.34), (0.34, 0.34)],
        *[(0.34, 1), (-0.34, 1), (-0.34, 0.34), (-1, 0.34), (-1, -0.34), (-0.34, -0.34)],
    ],
    "arrow": [(-1, -0.3), (0.05, -0.3), (0.05, -0.85), (1, 0), (0.05, 0.85), (0.05, 0.3), (-1, 0.3)],
}


@pytest.mark.parametrize("name", list(shapes.SHAPES))
def test_coverage_is_the_share_of_each_pixel_inside_the_shape(name: str) -> None:
    side, half, turn, centre = 32, 0.36, 0.4, (0.53, 0.48)
    index = list(shapes.SHAPES).index(name)
    one = np.array
    coverage = shapes._coverage(
        one([index]), one([half]), one([centre[0]]), one([centre[1]]), one([turn]), side
    )[0]

    fine = side * _FINE
    if name in _CORNERS:
        rotated = [
            (px * np.cos(turn) - py * np.sin(turn), px * np.sin(turn) + py * np.cos(turn))
            for px, py in _CORNERS[name]
        ]
        mask = Image.new("1", (fine, fine))
        ImageDraw.Draw(mask).polygon(
            [
                ((centre[0] + half * px) * fine - 0.5, (centre[1] + half * py) * fine - 0.5)
                for px, py in rotated
            ],
            fill=1,
        )
        inside = np.asarray(mask)
    else:
        grid = (np.arange(fine) + 0.5) / fine
        dx, dy = np.meshgrid((grid - centre[0]) / half, (grid - centre[1]) / half)
        inside = _inside(name, dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn))
    expected = inside.reshape(side, _FINE, side, _FINE).mean(axis=(1, 3))
    assert np.abs(coverage - expected).mean() < 0.006
    assert np.abs(coverage - expected).max() < 0.35  # corners, where an edge is not straight within the pixel
