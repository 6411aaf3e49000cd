"""Sizes from coarse to fine for any aspect ratio, pictures as tensors, and what is refused as a picture."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ConfigError
from styletransfer.config import StyleConfig
from styletransfer.transfer.scales import (
    as_array,
    as_tensor,
    content_scales,
    fitted,
    mask_tensor,
    resized,
    style_sizes,
)
from tests.styletransfer.tiny import picture

SIDES = st.integers(1, 3000)


@settings(deadline=None)
@given(height=SIDES, width=SIDES, size=st.integers(16, 2048), scales=st.integers(0, 5))
def test_scales_double_to_the_wanted_side_and_keep_the_aspect_ratio(
    height: int, width: int, size: int, scales: int
) -> None:
    steps = content_scales(StyleConfig(size=size, scales=scales), height, width)
    assert max(steps[-1][:2]) == size
    assert scales in (0, len(steps))
    assert sum(step.iterations for step in steps) == 200
    assert content_scales(StyleConfig(size=size, scales=scales), *steps[-1][:2]) == steps
    for index, step in enumerate(reversed(steps)):
        factor = size / max(height, width) / 2**index
        assert step.iterations >= 1
        # rounded at the finest scale, then once more; never none
        slack = 0.501 if index == 0 else 0.501 + 0.5 / 2**index
        assert abs(step.height - height * factor) <= slack or step.height == 1
        assert abs(step.width - width * factor) <= slack or step.width == 1


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (37, 211, (90, 512)),
        (211, 37, (512, 90)),
        (50, 1000, (26, 512)),
        (1, 1, (512, 512)),
        (1, 20000, (1, 512)),
    ],
)
def test_odd_aspect_ratios(height: int, width: int, expected: tuple[int, int]) -> None:
    assert fitted(height, width, 512) == expected


def test_by_default_the_coarsest_scale_has_64_to_127_pixels() -> None:
    for size, count in ((64, 1), (127, 1), (128, 2), (256, 3), (512, 4), (2048, 6)):
        steps = content_scales(StyleConfig(size=size), size, size)
        assert len(steps) == count
        assert 64 <= steps[0].height < 128


def test_scales_may_be_given_as_shares() -> None:
    steps = content_scales(
        StyleConfig(size=300, scales=(0.3, 1.0), iterations=30, coarser_iterations=2), 100, 300
    )
    assert [tuple(step) for step in steps] == [(30, 90, 20), (100, 300, 10)]


@settings(deadline=None)
@given(iterations=st.integers(6, 1000), ratio=st.floats(0.1, 10))
def test_iterations_are_shared_by_the_ratio_with_none_lost(iterations: int, ratio: float) -> None:
    shared = StyleConfig(size=2048, iterations=iterations, coarser_iterations=ratio).iterations_by_scale()
    assert sum(shared) == iterations
    parts = np.array([ratio**back for back in range(5, -1, -1)])
    np.testing.assert_allclose(shared, 1 + (iterations - 6) * parts / parts.sum(), atol=1)


@settings(deadline=None)
@given(height=SIDES, width=SIDES, scale=st.floats(0.1, 4))
def test_a_style_is_scaled_with_the_content_but_never_enlarged(height: int, width: int, scale: float) -> None:
    sizes = style_sizes(StyleConfig(size=256, style_scale=scale), height, width)
    for size, share in zip(sizes, (0.25, 0.5, 1), strict=True):
        assert max(size) == pytest.approx(min(256 * scale * share, max(height, width)), abs=1)


def test_bytes_and_floats_are_the_same_picture() -> None:
    values = (picture(5, 7) * 255).round().astype(np.uint8)
    torch.testing.assert_close(
        as_tensor(values), as_tensor(values.astype(np.float64) / 255), atol=1e-7, rtol=0
    )
    np.testing.assert_allclose(as_array(as_tensor(values)), values / 255, atol=1e-7)


def test_resizing_keeps_a_flat_picture_and_the_range() -> None:
    flat = as_tensor(np.full((8, 6, 3), 0.3))
    torch.testing.assert_close(resized(flat, 21, 3), torch.full((1, 3, 21, 3), 0.3))
    # bicubic overshoots at an edge
    edge = as_tensor(np.repeat(np.repeat(np.eye(2)[:, :, None], 4, axis=0), 3, axis=2))
    assert float(resized(edge, 40, 9).min()) == 0
    assert float(resized(edge, 40, 9).max()) == 1


def one_step(pictures: torch.Tensor, height: int, width: int) -> torch.Tensor:
    return F.interpolate(pictures, (height, width), mode="bicubic", antialias=True).clamp(0, 1)


@pytest.mark.parametrize(
    ("size", "wanted"), [((1030, 1030), (16, 16)), ((1000, 20), (10, 20)), ((5, 700), (9, 3))]
)
def test_no_step_of_shrinking_is_beyond_an_eighth_and_the_result_is_that_of_one_step(
    size: tuple[int, int], wanted: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, interpolate = [], F.interpolate

    def watched(pictures: torch.Tensor, goal: tuple[int, int], **options: object) -> torch.Tensor:
        steps.extend(before / after for before, after in zip(pictures.shape[2:], goal, strict=True))
        return interpolate(pictures, goal, **options)

    pictures = as_tensor(picture(*size))
    expected = one_step(pictures, *wanted)
    monkeypatch.setattr(F, "interpolate", watched)
    found = resized(pictures, *wanted)
    # a filter for 64:1 has 257 x 257 weights, too many for the shared memory of a GPU
    assert max(steps) <= 8
    assert float((found - expected).abs().mean()) < 0.005
    assert float((found - expected).abs().max()) < 0.03


def test_shrinking_to_an_eighth_is_one_step_as_ever() -> None:
    pictures = as_tensor(picture(256, 200))
    torch.testing.assert_close(resized(pictures, 32, 25), one_step(pictures, 32, 25), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("values", "part"),
    [
        (np.zeros((4, 4)), "shape"),
        (np.zeros((4, 4, 4)), "shape"),
        (np.zeros((0, 4, 3)), "convert it"),
        (np.zeros((4, 4, 3), dtype=np.int32), "int32"),
        (np.full((4, 4, 3), 7.0), "from 7 to 7"),
        (np.full((4, 4, 3), np.nan), "nan"),
        (np.full((4, 4, 3), -0.1), "from -0.1"),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(values: np.ndarray, part: str) -> None:
    with pytest.raises(ConfigError, match=part) as refused:
        as_tensor(values, name="the style picture")
    assert "\n" not in str(refused.value)
    assert "the style picture" in str(refused.value)


def test_a_mask_of_several_channels_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"a mask must have the shape \(height, width\)"):
        mask_tensor(np.zeros((4, 4, 3)))
