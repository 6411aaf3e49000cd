"""Transparent parts of a style: they take no part in its statistics, whatever is stored there."""

import dataclasses
import io
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from common.errors import ConfigError
from styletransfer.config import StyleConfig
from styletransfer.execution.prepare import prepare
from styletransfer.pictures.reading import PictureError
from styletransfer.pictures.roles import read_style
from styletransfer.transfer.moments import Moments, moments
from styletransfer.transfer.request import TransferRequest, check_requests, targets_of
from styletransfer.transfer.scales import as_tensor
from styletransfer.transfer.statistics import STATISTICS
from styletransfer.transfer.targets import style_targets
from styletransfer.transfer.transparency import filled
from tests.styletransfer.tiny import LAYERS, picture, tiny_config, tiny_network

NETWORK = tiny_network()
CONFIG = tiny_config(size=96, scales=1)
VISIBLE = np.rint(picture(96, 48) * 200).astype(np.uint8)  # darker than white, so that white shows


def half_clear(under: int) -> np.ndarray:
    """RGBA (96, 96): the left half is visible, the right is clear with this grey under it."""
    pixels = np.full((96, 96, 4), under, np.uint8)
    pixels[:, :48, :3], pixels[..., 3] = VISIBLE, 0
    pixels[:, :48, 3] = 255
    return pixels


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def targets_in_a_batch(pixels: np.ndarray, config: StyleConfig = CONFIG) -> list[dict[str, Moments]]:
    """The moments that a batch takes of a file with these pixels."""
    style: Any = prepare("style", png(pixels), "style", config, network=NETWORK, device="cpu")[0]
    [targets] = style.targets
    return list(targets)


@pytest.mark.parametrize("name", list(STATISTICS))
def test_statistics_of_a_style_that_is_half_clear_are_those_of_its_visible_half(name: str) -> None:
    [found], [alone] = targets_in_a_batch(half_clear(255)), targets_in_a_batch(VISIBLE)
    [on_white] = targets_in_a_batch(
        np.where(half_clear(0)[..., 3:] > 0, half_clear(0), np.uint8(255))[..., :3]
    )
    for tap in LAYERS:
        distance = STATISTICS[name](alone[tap])
        assert float(distance(found[tap])) < 0.003
        assert float(distance(on_white[tap])) > 0.08


def test_positions_that_see_nothing_clear_count_as_if_the_rest_did_not_exist() -> None:
    """Where only the far border differs, so do only the positions that see it, on 4 of 48 columns."""
    [found] = targets_in_a_batch(half_clear(255))
    activations = NETWORK.padded_by("reflect")(as_tensor(VISIBLE), ["relu2_1"])["relu2_1"]
    inside = moments(activations[..., :-2])  # a position of 2 pixels looks 4 further
    # of 24 columns of positions 2 are unknown, with activations between nothing and the largest
    difference = found["relu2_1"].mean - inside.mean * (22 / 24)
    assert (difference >= -1e-4).all()
    assert (difference <= float(activations.max()) * 2 / 24).all()


@pytest.mark.parametrize("colours", ["style", "lab", "luminance"])
def test_what_is_stored_under_clear_pixels_makes_no_difference(colours: str) -> None:
    config = tiny_config(size=96, scales=2, colours=colours)
    found = [
        style_targets(
            half_clear(under)[..., :3],
            config,
            network=NETWORK,
            content=picture(40, 40, seed=3),
            style_alpha=half_clear(under)[..., 3],
        )
        for under in (0, 255)
    ]
    for black, white in zip(*found, strict=True):
        for tap in LAYERS:
            torch.testing.assert_close(black[tap].second, white[tap].second, rtol=0, atol=0)
            torch.testing.assert_close(black[tap].mean, white[tap].mean, rtol=0, atol=0)


@pytest.mark.parametrize("colours", ["lab", "luminance"])
def test_the_palette_that_is_matched_is_that_of_the_visible_part(colours: str) -> None:
    config, content = tiny_config(size=96, scales=1, colours=colours), picture(40, 40, seed=3)
    [found] = style_targets(
        half_clear(255)[..., :3],
        config,
        network=NETWORK,
        content=content,
        style_alpha=half_clear(255)[..., 3],
    )
    [alone] = style_targets(VISIBLE, config, network=NETWORK, content=content)
    for tap in LAYERS:
        assert float(STATISTICS["gram"](alone[tap])(found[tap])) < 0.01


def test_a_style_that_is_equally_half_seeneverywhere_is_as_if_opaque() -> None:
    faint = np.full((96, 48), 0.4, np.float32)
    [half_seen] = style_targets(VISIBLE, CONFIG, network=NETWORK, style_alpha=faint)
    [opaque] = style_targets(VISIBLE, CONFIG, network=NETWORK, style_alpha=np.ones_like(faint))
    [plain] = style_targets(VISIBLE, CONFIG, network=NETWORK)
    for tap in LAYERS:
        for each in (half_seen, opaque):
            torch.testing.assert_close(each[tap].second, plain[tap].second, rtol=1e-4, atol=1e-4)


def test_tiles_give_the_statistics_of_the_whole() -> None:
    alpha = picture(150, 200, seed=4)[..., 0]
    whole, tiled = (
        style_targets(
            picture(150, 200),
            tiny_config(size=200, scales=1, tile=tile),
            network=NETWORK,
            style_alpha=alpha,
        )[0]
        for tile in (0, 64)
    )
    for tap in LAYERS:
        torch.testing.assert_close(tiled[tap].second, whole[tap].second, rtol=1e-4, atol=1e-4)


def test_each_style_of_a_blend_has_its_own_alpha() -> None:
    half, alpha, other = half_clear(255)[..., :3], half_clear(255)[..., 3], picture(60, 60, seed=5)
    request = TransferRequest(
        content=picture(24, 32, seed=2), styles=[half, other], style_alphas=[alpha, None]
    )
    [found] = targets_of([request], CONFIG, network=NETWORK, device="cpu")
    [first] = style_targets(half, CONFIG, network=NETWORK, style_alpha=alpha)
    [second] = style_targets(other, CONFIG, network=NETWORK)
    for tap in LAYERS:
        expected = torch.cat([first[tap].second, second[tap].second], dim=1)
        torch.testing.assert_close(found.styles[tap].second, expected)
    with pytest.raises(ConfigError, match="as many style alphas as styles, 2, not 1"):
        check_requests([dataclasses.replace(request, style_alphas=[alpha])], CONFIG)


def test_filling_keeps_what_is_seen_and_continues_it() -> None:
    pixels, alpha = as_tensor(picture(37, 50)), torch.ones(1, 1, 37, 50)
    alpha[..., 20:, 7:31] = 0
    found = filled(pixels, alpha)
    seen = alpha.expand_as(pixels) > 0
    torch.testing.assert_close(found[seen], pixels[seen])
    assert float(found.min()) >= float(pixels[seen].min()) - 1e-6
    assert float(found.max()) <= float(pixels[seen].max()) + 1e-6
    flat = torch.full((1, 3, 37, 50), 0.3)
    torch.testing.assert_close(filled(flat * alpha, alpha), flat)


def test_a_style_that_is_clear_everywhere_is_refused_in_one_line() -> None:
    nothing = np.zeros((8, 8, 4), np.uint8)
    with pytest.raises(PictureError, match=r"ghost\.png cannot be read: transparent everywhere") as caught:
        read_style(png(nothing), CONFIG, name="ghost.png")
    assert "\n" not in str(caught.value)
    for alpha, part in ((nothing[..., 3], "must not be 0 everywhere"), (nothing[:4, :, 3], "the shape of")):
        with pytest.raises(ConfigError, match=part) as refused:
            style_targets(nothing[..., :3], CONFIG, network=NETWORK, style_alpha=alpha)
        assert "\n" not in str(refused.value)
