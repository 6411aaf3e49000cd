"""The built-in data set: ten shapes in ten hues, rendered from a seed.

Its hundred classes are known and equally frequent, so that the modes a generator covers can be counted.
Each shape is a signed distance (negative inside) in units in which it fills about [-1, 1]^2; distances to
line segments and arcs follow Quilez, "2D distance functions".
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
# float32 arrays in and out; NumPy's annotations lose the width on the way
Distance = Callable[[Any, Any], Any]

DEFAULT_COUNT = 12_000
RENDERING_VERSION = 1  # raise it whenever the same seed renders other pixels, so that caches are renewed

HUES = {
    "red": (214, 48, 49),
    "orange": (240, 125, 30),
    "yellow": (240, 196, 25),
    "lime": (146, 196, 38),
    "green": (28, 140, 70),
    "teal": (20, 172, 160),
    "sky": (70, 170, 240),
    "blue": (42, 82, 200),
    "violet": (126, 60, 190),
    "pink": (236, 92, 168),
}

_TURN_RAD = np.pi / 6  # with more, squares would look like diamonds and arrows point anywhere
_HALF_SIZE = (0.28, 0.40)  # of the side
_MARGIN = 0.03
_NUMBERS = 8  # random numbers an image; a multiple of Philox's 4 a block, so that images start on a block


def _length(x: Any, y: Any) -> Any:
    return np.sqrt(x * x + y * y)


def _circle(x: Any, y: Any) -> Any:
    return _length(x, y) - 0.9


def _ring(x: Any, y: Any) -> Any:
    return np.abs(_length(x, y) - 0.7) - 0.24


def _crescent(x: Any, y: Any) -> Any:
    outer = _length(x - 0.1, y) - 0.95
    bite = _length(x - 0.52, y) - 0.74
    return np.maximum(outer, -bite)


def _drop(x: Any, y: Any) -> Any:
    """A disc and the tangents from a point above it."""
    radius, centre, tip = 0.62, 0.36, -1.0
    disc = _length(x, y - centre) - radius
    sine = radius / (centre - tip)
    cosine = math.sqrt(1 - sine * sine)
    side = np.abs(x) * cosine - (y - tip) * sine  # distance to the nearer tangent
    touches_y = centre - radius * sine
    return np.minimum(disc, np.maximum(side, y - touches_y))


def _heart(x: Any, y: Any) -> Any:
    """Two quarter-turned half discs on a square standing on its corner (Quilez, "Heart", y downwards)."""
    x, y = np.abs(x) * 0.58, 0.53 - y * 0.58
    lobe = _length(x - 0.25, y - 0.75) - math.sqrt(2) / 4
    along = np.maximum(x + y, 0) / 2
    body = np.minimum(_length(x, y - 1), _length(x - along, y - along))
    body *= np.sign(x - y)
    return (np.where(x + y > 1, lobe, body) / 0.58).astype(np.float32)


def _polygon(corners: list[tuple[float, float]]) -> Distance:
    """Signed distance to a simple polygon: nearest segment, sign by crossing number."""

    def distance(x: Any, y: Any) -> Any:
        nearest = np.full_like(x, np.inf)
        inside = np.zeros(x.shape, dtype=bool)
        for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
            ex, ey = bx - ax, by - ay
            px, py = x - ax, y - ay
            along = np.clip((px * ex + py * ey) * (1 / (ex * ex + ey * ey)), 0, 1)
            nearest = np.minimum(nearest, (px - along * ex) ** 2 + (py - along * ey) ** 2)
            if ey != 0:
                crosses = (y >= min(ay, by)) & (y < max(ay, by))
                inside ^= crosses & (px < py * (ex / ey))
        return np.where(inside, -1, 1).astype(np.float32) * np.sqrt(nearest)

    return distance


def _star_corners() -> list[tuple[float, float]]:
    turns = np.arange(10) * np.pi / 5
    radii = np.where(np.arange(10) % 2 == 0, 1.06, 0.46)
    return [(float(r * np.sin(t)), float(0.06 - r * np.cos(t))) for r, t in zip(radii, turns, strict=True)]


def _cross_corners() -> list[tuple[float, float]]:
    arm = 0.34  # half the width
    corners = [(-arm, -1.0), (arm, -1.0), (arm, -arm)]
    for _ in range(3):
        corners += [(-y, x) for x, y in corners[-3:]]
    return corners


SHAPES: dict[str, Distance] = {
    "circle": _circle,
    "ring": _ring,
    "triangle": _polygon([(0, -1), (0.92, 0.62), (-0.92, 0.62)]),
    "square": _polygon([(-0.8, -0.8), (0.8, -0.8), (0.8, 0.8), (-0.8, 0.8)]),
    "star": _polygon(_star_corners()),
    "heart": _heart,
    "cross": _polygon(_cross_corners()),
    "crescent": _crescent,
    "drop": _drop,
    "arrow": _polygon(
        [(-1, -0.3), (0.05, -0.3), (0.05, -0.85), (1, 0), (0.05, 0.85), (0.05, 0.3), (-1, 0.3)]
    ),
}

CLASS_NAMES = tuple(f"{hue} {shape}" for shape in SHAPES for hue in HUES)


def labels_of(start: int, stop: int) -> npt.NDArray[np.int64]:
    """Classes of images `start` to `stop`, int64: shape * 10 + hue, every hundred images once each."""
    # a stride without a common factor with 100, so that also the first few images differ in both
    return np.arange(start, stop, dtype=np.int64) * 37 % 100


def render_shapes(start: int, stop: int, *, resolution: int, seed: int) -> npt.NDArray[np.uint8]:
    """Images `start` to `stop` of the endless series that `seed` names.

    One antialiased shape on a plain light ground, at a random place, size and angle. Image i depends only on
    `seed`, `resolution` and i. Returns (stop - start, resolution, resolution, 3) uint8.
    """
    rows = np.random.Generator(np.random.Philox(seed).advance(start * _NUMBERS // 4)).random(
        (stop - start, _NUMBERS)
    )
    labels = labels_of(start, stop)
    half = _HALF_SIZE[0] + rows[:, 0] * (_HALF_SIZE[1] - _HALF_SIZE[0])
    # no shape reaches further than the square's corner, 0.8 * sqrt(2) from the centre
    play = np.maximum(0.5 - _MARGIN - 1.13 * half, 0)
    centre_x = 0.5 + (2 * rows[:, 1] - 1) * play
    centre_y = 0.5 + (2 * rows[:, 2] - 1) * play
    coverage = _coverage(labels // 10, half, centre_x, centre_y, (2 * rows[:, 3] - 1) * _TURN_RAD, resolution)

    palette = np.array(list(HUES.values()), dtype=np.float64)
    shade = palette[labels % 10] * (0.94 + 0.06 * rows[:, 4:5])
    ground = 255 * (0.90 + 0.06 * rows[:, 5:6]) + 8 * (rows[:, [6, 7, 6]] - 0.5) * [1, 1, -1]
    mixed = ground[:, None, None] + coverage[..., None] * (shade - ground)[:, None, None]
    return np.rint(mixed).astype(np.uint8)


def _coverage(
    shapes: npt.NDArray[np.int64],
    half: npt.NDArray[np.float64],
    centre_x: npt.NDArray[np.float64],
    centre_y: npt.NDArray[np.float64],
    turn: npt.NDArray[np.float64],
    resolution: int,
) -> Floats:
    """Share of each pixel that is inside its shape, (N, resolution, resolution) in [0, 1]."""
    pixels = (np.arange(resolution) + 0.5) / resolution

    def across(values: npt.NDArray[np.float64]) -> Floats:
        return values.astype(np.float32)[:, None, None]

    dx = (pixels[None, None, :].astype(np.float32) - across(centre_x)) / across(half)
    dy = (pixels[None, :, None].astype(np.float32) - across(centre_y)) / across(half)
    cosine, sine = across(np.cos(turn)), across(np.sin(turn))
    x, y = dx * cosine + dy * sine, dy * cosine - dx * sine
    distance = np.empty_like(x)
    for index, shape in enumerate(SHAPES.values()):
        mine = shapes == index
        if mine.any():
            distance[mine] = shape(x[mine], y[mine])
    # a straight edge at signed distance d from a pixel's centre covers about 1/2 - d of it
    covered: Floats = np.clip(0.5 - distance * (across(half) * resolution), 0, 1)
    return covered
