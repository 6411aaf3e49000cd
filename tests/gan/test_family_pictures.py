"""Pictures that only some families can draw, and their refusal by the others."""

import numpy as np
import pytest
import torch

from common.errors import ConfigError
from gan.config import GanConfig, NetworkConfig
from gan.family_pictures import check_asked, mixing_grid, pyramid_picture, truncate
from gan.generation import random_latents, sample
from gan.networks import build_generator

NOTHING = {"truncation": 1.0, "mix": 0, "pyramid": False}


def trained(family: str) -> tuple[torch.nn.Module, GanConfig]:
    """An untrained generator of 16 pixels, whose images differ."""
    network = NetworkConfig(family=family, width=4, latent_size=6)
    config = GanConfig(network=network).with_values({"data.resolution": 16, "precision": "fp32"})
    return build_generator(network, resolution=16, channels=3, seed=1).eval(), config


@pytest.mark.parametrize(
    ("family", "asked", "able"),
    [
        ("dcgan", {"truncation": 0.5}, "style"),
        ("msg", {"mix": 2}, "style"),
        ("style", {"pyramid": True}, "msg"),
    ],
)
def test_what_a_family_cannot_draw_is_refused(family: str, asked: dict[str, object], able: str) -> None:
    config = trained(family)[1]
    check_asked(config, **NOTHING)  # type: ignore[arg-type]
    flag = next(iter(asked))
    with pytest.raises(
        ConfigError, match=f"^--{flag} needs a generator of the family {able}, this one is a {family}"
    ):
        check_asked(config, **{**NOTHING, **asked})  # type: ignore[arg-type]


def test_without_variation_all_images_are_the_mean_one() -> None:
    generator, config = trained("style")
    check_asked(config, **{**NOTHING, "truncation": 0.0})  # type: ignore[arg-type]
    latents = random_latents(config, 3, 0)
    assert not np.array_equal(*sample(generator, latents, config)[:2])
    truncate(generator, config, 0.0)
    first, second, _ = sample(generator, latents, config)
    np.testing.assert_array_equal(first, second)


def test_a_mixing_grid_has_the_images_themselves_at_its_edges() -> None:
    generator, config = trained("style")
    own = sample(generator, random_latents(config, 4, 3), config)
    picture = mixing_grid(generator, config, 2, 3)
    white = np.full_like(own[:1], 255)
    pitch = (picture.shape[0] + 2) // 3

    def cell(row: int, column: int) -> np.ndarray:
        return picture[row * pitch : (row + 1) * pitch - 2, column * pitch : (column + 1) * pitch - 2]

    for place, expected in {
        (0, 0): white[0],
        (0, 1): own[2],
        (0, 2): own[3],
        (1, 0): own[0],
        (2, 0): own[1],
    }.items():
        np.testing.assert_array_equal(cell(*place), _large(expected, pitch - 2))
    assert not np.array_equal(cell(1, 1), cell(2, 1)) and not np.array_equal(cell(1, 1), cell(1, 2))


def _large(image: np.ndarray, side: int) -> np.ndarray:
    return image.repeat(side // 16, axis=0).repeat(side // 16, axis=1)


def test_a_pyramid_has_the_smallest_images_at_the_top() -> None:
    generator, config = trained("msg")
    picture = pyramid_picture(generator, config, 2, 0)
    images = sample(generator, random_latents(config, 2, 0), config)
    pitch = (picture.shape[0] + 2) // 2
    large = pitch - 2
    np.testing.assert_array_equal(picture[pitch:, :large], _large(images[0], large))
    block = large // 8
    coarse = picture[:large, :large]
    np.testing.assert_array_equal(
        coarse, coarse[::block, ::block].repeat(block, axis=0).repeat(block, axis=1)
    )
