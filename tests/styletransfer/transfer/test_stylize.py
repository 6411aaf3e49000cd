"""A whole style transfer with a tiny network: what must come out, what must stay, what is refused."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.data import astronaut, coffee

from common.errors import ConfigError
from perceptual.loading import load_network
from styletransfer.config import StyleConfig
from styletransfer.transfer.colours import luminance
from styletransfer.transfer.request import TransferRequest
from styletransfer.transfer.scales import as_tensor, resized
from styletransfer.transfer.stylize import Progress, stylize, stylize_together
from styletransfer.transfer.targets import content_targets, style_targets
from tests.styletransfer.tiny import picture, tiny_config, tiny_network

NETWORK = tiny_network()
CONTENT, STYLE = picture(24, 32), picture(40, 30, seed=1)


def test_the_style_comes_nearer_and_the_content_stays_in_sight() -> None:
    steps: list[Progress] = []
    config = tiny_config(iterations=60)
    made = stylize(CONTENT, STYLE, config, network=NETWORK, on_step=steps.append)
    first = next(step for step in steps if step.scale == 0)
    assert made.losses["style"] < 0.2 * first.losses["style"]
    assert made.losses["content"] < 0.9
    assert made.picture.shape == CONTENT.shape
    assert made.picture.dtype == np.float32
    assert 0 <= made.picture.min() < made.picture.max() <= 1


def test_progress_counts_through_the_scales() -> None:
    steps: list[Progress] = []
    made = stylize(CONTENT, STYLE, tiny_config(iterations=9), network=NETWORK, on_step=steps.append)
    assert [step.done for step in steps] == list(range(1, 10))
    assert {step.total for step in steps} == {9}
    assert [step.scale for step in steps] == sorted(step.scale for step in steps)
    assert {(step.scale, step.height, step.width) for step in steps} == {(0, 12, 16), (1, 24, 32)}
    assert {step.scales for step in steps} == {2}
    assert all(first.seconds <= second.seconds for first, second in itertools.pairwise(steps))
    assert len(made.seconds_by_scale) == 2
    assert made.iterations == 9
    assert made.stayed_finite


@settings(deadline=None, max_examples=15)
@given(height=st.integers(1, 220), width=st.integers(1, 220), seed=st.integers(0, 9))
def test_every_aspect_ratio_comes_out_at_the_wanted_size(height: int, width: int, seed: int) -> None:
    made = stylize(picture(height, width, seed), STYLE, tiny_config(iterations=2), network=NETWORK)
    longer = max(height, width)
    assert made.picture.shape == (
        max(1, int(height * 32 / longer + 0.5)),
        max(1, int(width * 32 / longer + 0.5)),
        3,
    )
    assert np.isfinite(made.picture).all()


@pytest.mark.parametrize(("height", "width"), [(37, 211), (2, 40), (40, 2), (1, 1)])
def test_narrow_pictures_are_stylized(height: int, width: int) -> None:
    made = stylize(picture(height, width), picture(1, 1), tiny_config(size=40), network=NETWORK)
    assert max(made.picture.shape) == 40
    assert np.isfinite(made.picture).all()


@pytest.mark.parametrize("start", ["content", "noise", "gray"])
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_the_same_seed_gives_the_same_pixels(start: str, optimizer: str) -> None:
    config = tiny_config(start=start, optimizer=optimizer)
    first, second = (stylize(CONTENT, STYLE, config, network=NETWORK).picture for _ in range(2))
    np.testing.assert_array_equal(first, second)
    other = stylize(CONTENT, STYLE, dataclasses.replace(config, seed=1), network=NETWORK).picture
    assert np.array_equal(first, other) == (start != "noise")


def test_the_random_numbers_of_the_caller_are_left_alone() -> None:
    state = torch.get_rng_state()
    stylize(CONTENT, STYLE, tiny_config(start="noise"), network=NETWORK)
    assert torch.equal(state, torch.get_rng_state())


def test_a_start_is_where_it_begins() -> None:
    config = tiny_config(scales=1, iterations=1, lr=1e-6)
    begin = picture(24, 32, seed=7)
    made = stylize(CONTENT, STYLE, config, network=NETWORK, start=begin)
    np.testing.assert_allclose(made.picture, begin, atol=1e-4)
    gray = stylize(CONTENT, STYLE, dataclasses.replace(config, start="gray"), network=NETWORK)
    np.testing.assert_allclose(gray.picture, 0.5, atol=0.5 / 255 + 1e-4)  # it is dithered
    with pytest.raises(ConfigError, match=r"--start cat\.png is a file"):
        stylize(CONTENT, STYLE, dataclasses.replace(config, start="cat.png"), network=NETWORK)


@pytest.mark.parametrize("colours", ["style", "luminance", "lab"])
def test_targets_computed_before_change_nothing(colours: str) -> None:
    config = tiny_config(colours=colours)
    plain = stylize(CONTENT, [STYLE, picture(30, 30)], config, network=NETWORK)
    request = TransferRequest(
        content=CONTENT,
        styles=[STYLE, picture(30, 30)],
        content_targets=content_targets(CONTENT, config, network=NETWORK),
        style_targets=[
            style_targets(style, config, network=NETWORK, content=CONTENT)
            for style in (STYLE, picture(30, 30))
        ],
    )
    [known] = stylize_together([request], config, network=NETWORK)
    np.testing.assert_array_equal(plain.picture, known.picture)


def test_targets_are_made_once_a_scale() -> None:
    calls: list[tuple[int, ...]] = []

    class Counting:
        taps = NETWORK.taps

        def __call__(self, images: torch.Tensor, taps: tuple[str, ...]) -> dict[str, torch.Tensor]:
            calls.append((images.shape[3], images.requires_grad))
            return NETWORK(images, taps)

    stylize(CONTENT, STYLE, tiny_config(iterations=8, coarser_iterations=1.0), network=Counting())
    # content 16 and 32 wide, style 12 and 24 wide; the last look is the final loss
    assert [width for width, learns in calls if not learns] == [16, 32, 12, 24, 32]
    assert [width for width, learns in calls if learns] == [16] * 4 + [32] * 4


def test_a_batch_gives_what_each_pair_gives_alone() -> None:
    config = tiny_config(start="noise", optimizer="adam")
    requests = [
        TransferRequest(content=picture(24, 32, seed=seed), styles=[picture(30, 20 + seed, seed=seed)])
        for seed in (3, 4, 5)
    ]
    steps: list[Progress] = []
    together = stylize_together(requests, config, network=NETWORK, on_step=steps.append)
    assert len(steps) == config.iterations
    for request, made in zip(requests, together, strict=True):
        alone = stylize(request.content, request.styles, config, network=NETWORK)
        # the order of sums may differ; Adam makes steps of one size out of the smallest gradients
        assert np.abs(made.picture - alone.picture).mean() < 2e-3
        assert made.losses["total"] == pytest.approx(alone.losses["total"], rel=1e-2)


def test_where_the_mask_is_black_the_content_stays_exactly() -> None:
    mask = np.zeros((24, 32), dtype=np.float32)
    mask[:, 16:] = 1
    made = stylize(CONTENT, STYLE, tiny_config(), network=NETWORK, masks=[mask])
    np.testing.assert_array_equal(made.picture[:, :14], CONTENT[:, :14])
    assert np.abs(made.picture[:, 18:] - CONTENT[:, 18:]).mean() > 0.01


def correlation(made: np.ndarray, photo: np.ndarray) -> float:
    return float(np.corrcoef(made.ravel(), photo.ravel())[0, 1])


def alone(photo: np.ndarray, style_weight: float) -> np.ndarray:
    """Stylized as a picture of its own, with strokes as in one three times as large."""
    config = tiny_config(size=16, iterations=60, scales=1, style_scale=3, style_weight=style_weight)
    return stylize(photo, STYLE_40, config, network=NETWORK).picture


LARGE, STYLE_40 = picture(48, 48), picture(40, 40, seed=1)


def test_a_white_rectangle_keeps_as_much_of_the_content_as_a_picture_of_its_own() -> None:
    box = (slice(0, 16), slice(16, 32))  # a ninth of the picture
    mask = np.zeros((48, 48), dtype=np.float32)
    mask[box] = 1
    config = tiny_config(size=48, iterations=60, scales=1, style_weight=10.0)
    made = stylize(LARGE, STYLE_40, config, network=NETWORK, masks=[mask]).picture
    # the content was divided by the energy of the whole picture, and the style by the mask's: 9 to 1
    assert correlation(made[box], LARGE[box]) > correlation(alone(LARGE[box], 10.0), LARGE[box]) - 0.05


def test_what_is_clear_uses_up_no_style() -> None:
    box = (slice(16, 32), slice(16, 32))
    alpha = np.zeros((48, 48), dtype=np.uint8)
    alpha[box] = 255
    content = np.where(alpha[..., None] > 0, LARGE, np.float32(1))
    config = tiny_config(size=48, iterations=60, scales=1, style_weight=960.0)  # 20 at this area
    made = stylize(content, STYLE_40, config, network=NETWORK, alpha=alpha).picture
    assert correlation(made[box], LARGE[box]) > correlation(alone(LARGE[box], 960.0), LARGE[box]) - 0.05
    np.testing.assert_array_equal(made[alpha == 0], content[alpha == 0])


@pytest.mark.parametrize("colours", ["lab", "luminance"])
def test_a_palette_is_taken_from_what_is_seen(colours: str) -> None:
    alpha = np.zeros((24, 32), dtype=np.float32)
    alpha[:, :8] = 1
    seen = np.ascontiguousarray(CONTENT[:, :8])
    config = tiny_config(size=32, scales=1, colours=colours)
    white = np.where(alpha[..., None] > 0, CONTENT, np.float32(1))
    found = style_targets(STYLE, config, network=NETWORK, content=white, alpha=alpha)
    # read at 24 pixels, its own size
    same = dataclasses.replace(config, size=24, style_scale=32 / 24)
    expected = style_targets(STYLE, same, network=NETWORK, content=seen)
    for tap, moments in found[0].items():
        torch.testing.assert_close(moments.mean, expected[0][tap].mean, rtol=1e-3, atol=1e-3)


def test_a_content_of_24_pixels_is_kept_nearly_as_one_of_96() -> None:
    network, found = load_network("compact", last_tap="relu4_1"), []
    for size in (24, 96):
        config = StyleConfig(size=size, scales=1, iterations=40, precision="fp32")
        made = stylize(astronaut(), coffee()[:, 100:500], config, network=network).picture
        photo = resized(as_tensor(astronaut()), size, size)[0].permute(1, 2, 0).numpy()
        found.append(correlation(made.mean(axis=2), photo.mean(axis=2)))
    assert found[0] > found[1] - 0.08, found  # with the style's full weight the difference was 0.11


@pytest.mark.parametrize("grey", [0.35, 0.65])
def test_a_flat_photo_gets_strokes_everywhere_at_once_and_no_frame(grey: float) -> None:
    flat, network = np.full((72, 96, 3), grey, np.float32), load_network("compact", last_tap="relu4_1")
    config = StyleConfig(size=96, scales=1, iterations=15, precision="fp32")
    made = 255 * stylize(flat, coffee()[:, 100:500], config, network=network).picture.mean(axis=2)
    y, x = np.indices(made.shape)
    from_border = np.minimum(np.minimum(y, 71 - y), np.minimum(x, 95 - x))
    rim, middle = made[from_border < 8], made[from_border >= 24]
    # strokes that grew inwards from the border alone had 0.05 to 0.5 of its spread in the middle
    assert middle.std() > 0.7 * rim.std()
    # and were stripes along it: rows differed as wholes, by 0.5 to 1.3 of the spread
    assert made[:8, 16:-16].mean(axis=1).std() < 0.3 * made.std()
    assert abs(rim.mean() - middle.mean()) < 0.7  # of 255; it was 0.8 to 1.9


def test_two_masked_styles_go_where_they_are_told() -> None:
    red, blue = (np.tile(np.eye(3, dtype=np.float32)[channel], (20, 20, 1)) for channel in (0, 2))
    left = np.zeros((24, 32), dtype=np.uint8)
    left[:, :16] = 255
    config = tiny_config(iterations=80, content_weight=0.01, start="gray", lr=0.05)
    made = stylize(CONTENT, [red, blue], config, network=NETWORK, masks=[left, 255 - left]).picture
    assert made[4:-4, 3:12, 0].mean() > made[4:-4, 3:12, 2].mean() + 0.2
    assert made[4:-4, 20:29, 2].mean() > made[4:-4, 20:29, 0].mean() + 0.2


def test_luminance_moves_the_lightness_and_keeps_the_hue() -> None:
    made = stylize(CONTENT, STYLE, tiny_config(colours="luminance"), network=NETWORK).picture
    mine, theirs = as_tensor(made), as_tensor(CONTENT)
    assert float((luminance(mine) - luminance(theirs)).abs().mean()) > 0.01
    chroma, expected = mine - luminance(mine), theirs - luminance(theirs)
    lengths = chroma.norm(dim=1) * expected.norm(dim=1)
    cosine = (chroma * expected).sum(dim=1)[lengths > 1e-3] / lengths[lengths > 1e-3]
    assert float(cosine.min()) > 0.999


def test_lab_brings_the_content_s_palette_into_the_style() -> None:
    green = picture(24, 32) * np.float32([0.2, 0.9, 0.2])
    free, kept = (
        stylize(green, STYLE, tiny_config(iterations=40, colours=colours), network=NETWORK).picture
        for colours in ("style", "lab")
    )
    distances = [np.abs(each.mean(axis=(0, 1)) - green.mean(axis=(0, 1))).sum() for each in (free, kept)]
    assert distances[1] < 0.5 * distances[0]


def test_tiles_leave_no_seam_and_the_same_picture() -> None:
    content, style = picture(150, 200), picture(90, 90, seed=1)
    config = tiny_config(size=200, iterations=6)  # in more, L-BFGS makes much of a difference by rounding
    whole = stylize(content, style, config, network=NETWORK).picture
    tiled = stylize(content, style, dataclasses.replace(config, tile=64), network=NETWORK).picture
    assert np.abs(whole - tiled).mean() < 1e-4
    jumps = np.abs(np.diff(tiled, axis=1)).mean(axis=(0, 2))  # between columns x and x + 1
    borders = [48, 100, 148]  # 200 in 4 tiles, on multiples of 4
    between = np.delete(jumps, [border - 1 for border in borders])
    for border in borders:
        assert jumps[border - 1] < between.mean() + 4 * between.std()


def test_bf16_gives_nearly_the_picture_of_fp32() -> None:
    config = tiny_config(iterations=40, lr=0.01)
    exact, fast = (
        stylize(CONTENT, STYLE, dataclasses.replace(config, precision=precision), network=NETWORK)
        for precision in ("fp32", "bf16")
    )
    assert fast.losses["total"] == pytest.approx(exact.losses["total"], rel=0.1)
    assert np.abs(exact.picture - fast.picture).mean() < 0.03


def test_a_network_that_is_not_finite_once_costs_one_step() -> None:
    class Faulty:
        taps = NETWORK.taps
        done = 0

        def __call__(self, images: torch.Tensor, taps: tuple[str, ...]) -> dict[str, torch.Tensor]:
            found = NETWORK(images, taps)
            self.done += images.requires_grad
            return {tap: each * np.nan for tap, each in found.items()} if self.done == 4 else found

    for optimizer in ("adam", "lbfgs"):
        config = tiny_config(iterations=40, optimizer=optimizer)
        made = stylize(CONTENT, STYLE, config, network=Faulty())
        healthy = stylize(CONTENT, STYLE, config, network=NETWORK)
        assert not made.stayed_finite
        assert np.isfinite(made.picture).all()
        assert made.losses["style"] < 3 * healthy.losses["style"]


@pytest.mark.parametrize(
    ("changes", "arguments", "part"),
    [
        ({"style_layers": ("relu9_1",)}, {}, "relu9_1 is not a layer of the network; choose among relu1_1"),
        ({}, {"masks": [None, None]}, "as many masks as styles, 1, not 2"),
        ({}, {"style_targets": []}, "as many style targets as styles, 1, not 0"),
        ({"style_blend": (1, 2)}, {}, "--style-blend must have one weight for each of the 1 styles"),
        ({}, {"masks": [np.zeros((3, 3, 3))]}, "a mask must have the shape"),
        ({}, {"content_targets": [{}]}, "targets must be of the same configuration"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(
    changes: dict[str, object], arguments: dict[str, object], part: str
) -> None:
    request = TransferRequest(content=CONTENT, styles=[STYLE], **arguments)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=part) as refused:
        stylize_together([request], tiny_config(**changes), network=NETWORK)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("requests", "optimizer", "part"),
    [
        ([], "adam", "nothing to stylize"),
        ([TransferRequest(content=CONTENT, styles=[])], "adam", "at least one style"),
        ([TransferRequest(content=CONTENT, styles=[STYLE])] * 2, "lbfgs", "one pair at a time"),
        (
            [
                TransferRequest(content=CONTENT, styles=[STYLE]),
                TransferRequest(content=CONTENT, styles=[STYLE, STYLE]),
            ],
            "adam",
            "equally many styles, not 1 and 2",
        ),
        (
            [
                TransferRequest(content=CONTENT, styles=[STYLE]),
                TransferRequest(content=STYLE, styles=[STYLE]),
            ],
            "adam",
            "not 24 x 32 and 32 x 24",
        ),
    ],
)
def test_requests_that_make_no_batch_are_refused_in_one_line(
    requests: list[TransferRequest], optimizer: str, part: str
) -> None:
    with pytest.raises(ConfigError, match=part) as refused:
        stylize_together(requests, tiny_config(optimizer=optimizer), network=NETWORK)
    assert "\n" not in str(refused.value)
