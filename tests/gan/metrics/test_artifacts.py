"""Patterns and burnt pixels: planted ones of known strength on photos, grey pictures and digits."""

import functools
import io
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter

from common.errors import ConfigError
from gan.config import NetworkConfig
from gan.distributed import Ranks
from gan.generation import sample_on_device
from gan.metrics.artifacts import TILE_PX, Artifacts, _at_frequencies, artifact_sums
from gan.metrics.reference import RealImages
from gan.networks import build_generator
from tests.gan.ranks import on_two_ranks

COUNT = 80


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def photos(count: int, side: int, channels: int, seed: int) -> np.ndarray:
    """Noise whose amplitude falls with the frequency as in photos (Field 1987), uint8."""
    random = np.random.default_rng(seed)
    size = 2 * side  # cut from larger ones: a photo does not continue at its other edge
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = math.inf
    colours = random.normal(size=(count, size, size, channels)) + random.normal(size=(count, size, size, 1))
    smooth = np.fft.irfft2(np.fft.rfft2(colours, axes=(1, 2)) / frequency[..., None], axes=(1, 2))
    smooth = smooth[:, :side, :side]
    spread = smooth.std(axis=(1, 2, 3), keepdims=True)
    return np.clip(120 + 45 * smooth / spread, 0, 255).round().astype(np.uint8)


def digits(count: int, side: int, seed: int) -> np.ndarray:
    """White strokes on black, antialiased: most pixels are black."""
    random, zoom = np.random.default_rng(seed), 4
    found = []
    for _ in range(count):
        large = Image.new("L", (zoom * side, zoom * side))
        points = random.uniform(0.2, 0.8, (4, 2)) * zoom * side
        ImageDraw.Draw(large).line(
            [tuple(point) for point in points], fill=255, width=zoom * side // 10, joint="curve"
        )
        found.append(np.asarray(large.resize((side, side), Image.Resampling.BOX)))
    return np.stack(found)[..., None]


def pictures(kind: str, side: int, seed: int) -> np.ndarray:
    if kind == "digits":
        return digits(COUNT, side, seed)
    return photos(COUNT, side, 3 if kind == "colour" else 1, seed)


class Data(NamedTuple):
    """Real pictures, and what measures others beside them."""

    held_out: np.ndarray
    train: np.ndarray
    artifacts: Artifacts

    def checkerboard(self, generated: np.ndarray) -> float:
        return self.measured(generated)["checkerboard"]

    def burnt(self, generated: np.ndarray) -> float:
        return self.measured(generated)["burnt"]

    def measured(self, generated: np.ndarray) -> dict[str, float]:
        return self.artifacts.measure(torch.from_numpy(generated), Ranks())


@functools.cache
def data_of(kind: str, side: int) -> Data:
    held_out, train = (pictures(kind, side, seed) for seed in (1, 2))
    real = RealImages(held_out=held_out, train=train, seed=0, device=torch.device("cpu"))
    return Data(held_out, train, Artifacts(real, len(train)))


KINDS = [("colour", 16), ("colour", 32), ("colour", 64), ("grey", 128), ("digits", 16), ("digits", 32)]


@pytest.fixture(params=KINDS, ids=lambda param: f"{param[0]}-{param[1]}")
def data(request: pytest.FixtureRequest) -> Data:
    return data_of(*request.param)


def with_pattern(images: np.ndarray, amplitude: float, period: int, where: str) -> np.ndarray:
    """The images and a wave of that amplitude in grey levels and period in pixels."""
    wave = np.cos(2 * np.pi * np.arange(images.shape[1]) / period)
    one = np.ones_like(wave)
    rows, columns = {"rows": (wave, one), "columns": (one, wave), "diagonals": (wave, wave)}[where]
    pattern = amplitude * rows[:, None, None] * columns[None, :, None]
    return np.clip(images + pattern, 0, 255).round().astype(np.uint8)


def blurred(images: np.ndarray, radius: float) -> np.ndarray:
    return np.stack(
        [
            np.asarray(Image.fromarray(image.squeeze()).filter(ImageFilter.GaussianBlur(radius))).reshape(
                image.shape
            )
            for image in images
        ]
    )


def with_noise(images: np.ndarray, spread: float) -> np.ndarray:
    noise = np.random.default_rng(3).normal(scale=spread, size=images.shape)
    return np.clip(images + noise, 0, 255).round().astype(np.uint8)


def as_jpeg(images: np.ndarray, quality: int) -> np.ndarray:
    found = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image.squeeze()).save(file, "JPEG", quality=quality)
        found.append(np.asarray(Image.open(file)).reshape(image.shape))
    return np.stack(found)


def test_the_energies_are_those_of_a_fourier_transform_of_windowed_tiles() -> None:
    images = photos(5, 48, 3, seed=0)
    sums = artifact_sums(torch.from_numpy(images))
    window = np.hanning(TILE_PX + 1)[:-1]
    expected = np.zeros((5, 5))
    for image in images:
        for start in (0, 16, 32):
            tile = image[start : start + 16, start : start + 16].astype(float)
            spectrum = np.fft.fft2(tile * np.outer(window, window)[..., None], axes=(0, 1))
            energy = (np.abs(spectrum) ** 2).sum(axis=2)[::2, ::2] / (window**2).sum() ** 2
            # of a frequency and the one in the other diagonal
            expected += (energy[:5, :5] + energy[:5, [0, 7, 6, 5, 4]]) / 2
    assert sums[-3:].tolist() == [45, np.isin(images, [0, 1, 2, 253, 254, 255]).sum(), images.size]
    assert _at_frequencies(sums[:-3]).numpy() == pytest.approx(expected, rel=1e-4)


def test_sums_of_parts_add_up_to_the_sums_of_all() -> None:
    images = torch.from_numpy(photos(700, 16, 3, seed=0))
    whole = artifact_sums(images)
    parts = torch.stack([artifact_sums(part) for part in images.split([1, 256, 300, 143])]).sum(dim=0)
    torch.testing.assert_close(parts, whole, rtol=1e-6, atol=0)
    assert artifact_sums(images[:0]).tolist() == [0] * 67


def _share(rank: int, world_size: int = 2) -> dict[str, float]:
    ranks = Ranks(rank, world_size)
    real = RealImages(
        held_out=photos(40, 16, 1, 1), train=photos(40, 16, 1, 2), seed=0, device=torch.device("cpu")
    )
    generated = torch.from_numpy(with_pattern(photos(31, 16, 1, 3), 4, 2, "rows"))
    return Artifacts(real, 31).measure(generated[ranks.share(31)], ranks)


def test_two_ranks_measure_what_one_does(tmp_path: Path) -> None:
    first, second = on_two_ranks(_share, folder=tmp_path)
    assert first == second == pytest.approx(_share(0, world_size=1), rel=1e-6)


def test_real_pictures_are_at_1_and_0(data: Data) -> None:
    found = data.measured(data.train)
    assert found == {
        "checkerboard": found["checkerboard_noise"],
        "burnt": found["burnt_noise"],
        "checkerboard_noise": pytest.approx(1, abs=0.1),
        "burnt_noise": pytest.approx(0, abs=0.01),
    }


@pytest.mark.parametrize("where", ["rows", "columns", "diagonals"])
@pytest.mark.parametrize("period", [2, 4])
def test_a_checkerboard_raises_the_number_the_more_the_stronger_it_is(
    data: Data, period: int, where: str
) -> None:
    amplitudes = (0, 4, 8, 16, 32) if period == 4 else (0, 1, 2, 4, 8, 16, 32)
    values = [
        data.checkerboard(with_pattern(data.train, amplitude, period, where)) for amplitude in amplitudes
    ]
    assert values == sorted(values)
    assert values[-3] > {2: 1.15, 4: 1.005}[period] * values[0]
    assert values[-1] > {2: 3.5, 4: 1.3}[period] * values[0]


@pytest.mark.parametrize("radius", [0.4, 1, 2, 4])
def test_blur_does_not_raise_either_number(data: Data, radius: float) -> None:
    found, floor = data.measured(blurred(data.train, radius)), data.measured(data.train)
    assert found["checkerboard"] < floor["checkerboard"] + 0.1 and found["burnt"] <= floor["burnt"]


@pytest.mark.parametrize("spread", [2, 5, 20])
def test_noise_raises_neither_by_much(data: Data, spread: float) -> None:
    found, floor = data.measured(with_noise(data.train, spread)), data.measured(data.train)
    assert found["checkerboard"] == pytest.approx(floor["checkerboard"], rel=0.15)
    assert found["burnt"] < floor["burnt"] + 0.02


@pytest.mark.parametrize("quality", [90, 60, 20])
def test_the_blocks_of_a_jpeg_are_no_checkerboard(data: Data, quality: int) -> None:
    found, floor = data.checkerboard(as_jpeg(data.train, quality)), data.checkerboard(data.train)
    assert found == pytest.approx(floor, rel=0.15)


def test_transposed_convolutions_that_have_learned_nothing_leave_a_checkerboard(data: Data) -> None:
    config = NetworkConfig(width=8, upsampling="transposed")
    side, channels = data.train.shape[1], data.train.shape[3]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = build_generator(config, resolution=side, channels=channels).eval()
        samples, _ = sample_on_device(generator, torch.randn(COUNT, config.latent_size), None)
    assert data.checkerboard(samples.numpy()) > 3


def test_more_contrast_burns_what_it_clips_and_less_burns_nothing(data: Data) -> None:
    stretched, flat = (
        np.clip((data.train - 128.0) * factor + 128, 0, 255).round().astype(np.uint8) for factor in (1.5, 0.5)
    )
    at_ends = [np.isin(each, [0, 1, 2, 253, 254, 255]).mean() for each in (stretched, flat, data.held_out)]
    values = [data.burnt(each) for each in (stretched, flat)]
    assert values == pytest.approx([at_ends[0] - at_ends[2], at_ends[1] - at_ends[2]])
    assert values[0] > data.burnt(data.train) + 0.01 and at_ends[1] == 0
    assert data.checkerboard(stretched) < 1.15


@pytest.mark.parametrize("level", [0, 77, 255])
def test_pictures_of_one_colour_have_no_pattern(data: Data, level: int) -> None:
    found = data.measured(np.full_like(data.train, level))
    assert all(map(math.isfinite, found.values())) and 0 < found["checkerboard"] < 2


def test_real_pictures_of_one_colour_have_none_either() -> None:
    black = np.zeros((40, 16, 16, 1), np.uint8)
    real = RealImages(held_out=black, train=black, seed=0, device=torch.device("cpu"))
    found = Artifacts(real, 40).measure(torch.from_numpy(black), Ranks())
    assert found == {"checkerboard": 1, "burnt": 0, "checkerboard_noise": 1, "burnt_noise": 0}


@pytest.mark.parametrize(
    "images", [torch.zeros(4, 16, 16, 3), torch.zeros(4, 8, 16, 3, dtype=torch.uint8)], ids=["float", "small"]
)
def test_other_images_are_refused_in_one_line(images: torch.Tensor) -> None:
    with pytest.raises(ConfigError, match=r"^patterns are looked for in uint8 images .* 16 pixels, not .*$"):
        artifact_sums(images)
