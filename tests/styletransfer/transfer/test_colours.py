"""Colours against scikit-image's conversions, SciPy's matrix roots, and what must stay exactly as it is."""

import numpy as np
import pytest
import scipy.linalg
import skimage.color
import torch

from styletransfer.transfer.colours import (
    lab_to_rgb,
    luminance,
    match_lab,
    match_luminance,
    rgb_to_lab,
    with_chroma,
)
from styletransfer.transfer.scales import as_array, as_tensor
from tests.styletransfer.tiny import picture


def random_colours(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((20, 30, 3))


def test_lab_is_that_of_scikit_image() -> None:
    rgb = random_colours()
    found = rgb_to_lab(torch.from_numpy(rgb).permute(2, 0, 1)[None])
    np.testing.assert_allclose(found[0].permute(1, 2, 0), skimage.color.rgb2lab(rgb), atol=0.02)


def test_lab_and_back_is_the_same_picture() -> None:
    rgb = as_tensor(random_colours())
    torch.testing.assert_close(lab_to_rgb(rgb_to_lab(rgb)), rgb, atol=1e-5, rtol=1e-4)


def test_luminance_is_the_y_of_yiq() -> None:
    rgb = random_colours()
    found = luminance(torch.from_numpy(rgb).permute(2, 0, 1)[None])
    np.testing.assert_allclose(found[0, 0], skimage.color.rgb2yiq(rgb)[..., 0], atol=1e-3)


def test_luminance_is_kept_exactly_and_the_hue_is_the_content_s() -> None:
    lightness, content = luminance(as_tensor(picture(20, 30, seed=1))), as_tensor(picture(20, 30))
    found = with_chroma(lightness, content)
    torch.testing.assert_close(luminance(found), lightness, atol=1e-6, rtol=0)
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    ours, theirs = (skimage.color.rgb2yiq(as_array(each))[..., 1:] for each in (found, content))
    # the same direction in the plane of I and Q, no longer, and as long wherever RGB has room for it
    np.testing.assert_allclose(ours[..., 0] * theirs[..., 1], ours[..., 1] * theirs[..., 0], atol=1e-3)
    lengths = np.linalg.norm(ours, axis=-1) / np.linalg.norm(theirs, axis=-1)
    assert lengths.max() <= 1.01
    inside = as_array(found).min(axis=-1) > 1e-3
    inside &= as_array(found).max(axis=-1) < 1 - 1e-3
    assert inside.mean() > 0.3
    np.testing.assert_allclose(lengths[inside], 1, atol=0.02)


def test_a_picture_with_its_own_chroma_is_itself() -> None:
    content = as_tensor(picture(20, 30))
    torch.testing.assert_close(with_chroma(luminance(content), content), content, atol=1e-6, rtol=0)


def test_matched_luminance_has_the_content_s_mean_and_deviation() -> None:
    style = 0.3 * luminance(as_tensor(picture(20, 30, seed=1))) + 0.1
    content = 0.2 * luminance(as_tensor(picture(25, 10))) + 0.4
    found = match_luminance(style, content)
    assert float(found.mean()) == pytest.approx(float(content.mean()), abs=1e-5)
    assert float(found.std(correction=0)) == pytest.approx(float(content.std(correction=0)), abs=1e-5)


def test_lab_matching_is_the_linear_optimal_transport_between_palettes() -> None:
    style, content = 0.3 * random_colours() + 0.3, 0.2 * picture(25, 35) + 0.4
    found = skimage.color.rgb2lab(as_array(match_lab(as_tensor(style), as_tensor(content)))).reshape(-1, 3)
    first, second = (skimage.color.rgb2lab(each).reshape(-1, 3) for each in (style, content))
    np.testing.assert_allclose(found.mean(axis=0), second.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(np.cov(found.T), np.cov(second.T), atol=0.5, rtol=0.02)
    c1, c2 = np.cov(first.T), np.cov(second.T)
    root = scipy.linalg.sqrtm(c1)
    inverse = np.linalg.inv(root)
    transport = inverse @ scipy.linalg.sqrtm(root @ c2 @ root) @ inverse
    expected = (first - first.mean(axis=0)) @ transport.T + second.mean(axis=0)
    np.testing.assert_allclose(found, expected, atol=0.5)


@pytest.mark.parametrize("flat_style", [True, False])
def test_flat_pictures_give_finite_colours(flat_style: bool) -> None:
    flat, rich = as_tensor(np.full((6, 6, 3), 0.5)), as_tensor(picture(6, 6))
    style, content = (flat, rich) if flat_style else (rich, flat)
    assert torch.isfinite(match_lab(style, content)).all()
    assert torch.isfinite(match_luminance(luminance(style), luminance(content))).all()
    if not flat_style:
        torch.testing.assert_close(match_lab(style, content), flat, atol=0.02, rtol=0)
