"""The distance against a second implementation in NumPy and SciPy, and how it reacts to known changes."""

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import torch

from gan.metrics import sliced_wasserstein

CPU = torch.device("cpu")
KERNEL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256


def _images(count: int, side: int, channels: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(count, side, side, channels))
    smooth = scipy.ndimage.gaussian_filter(noise, (0, 1.5, 1.5, 0), mode="wrap")
    return (128 + 45 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)


def _value(first: np.ndarray, second: np.ndarray, seed: int = 0) -> float:
    reference = list(sliced_wasserstein.sorted_projections(first, seed=seed, device=CPU))
    sums = sliced_wasserstein.summed_distances(
        reference, sliced_wasserstein.sorted_projections(second, seed=seed, device=CPU)
    )
    return 1000 * float(sums.mean()) / sliced_wasserstein.NUM_DIRECTIONS


def _scipy_pyramid(image: np.ndarray) -> list[np.ndarray]:
    """One plane, the way OpenCV's pyrDown and pyrUp do it."""
    levels = [image.astype(np.float64)]
    while (levels[-1].shape[0] + 1) // 2 >= 16:
        coarse = scipy.ndimage.convolve(levels[-1], KERNEL, mode="mirror")[::2, ::2]
        spread = np.zeros_like(levels[-1])
        spread[::2, ::2] = coarse
        levels[-1] = levels[-1] - scipy.ndimage.convolve(spread, 4 * KERNEL, mode="mirror")
        levels.append(coarse)
    return levels


@pytest.mark.parametrize("side", [16, 24, 31, 32, 50, 64])
def test_the_pyramid_equals_scipy_s_convolutions(side: int) -> None:
    images = _images(2, side, 3)
    planes = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    pyramid = sliced_wasserstein.laplacian_pyramid(planes)
    assert [level.shape[-1] for level in pyramid] == sliced_wasserstein.level_sides(side)
    for n in range(2):
        for channel in range(3):
            for ours, theirs in zip(pyramid, _scipy_pyramid(images[n, :, :, channel]), strict=True):
                np.testing.assert_allclose(ours[n, channel].numpy(), theirs, atol=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_distance_equals_patches_cut_one_by_one_and_scipy_s_wasserstein_distance(channels: int) -> None:
    count, patches, num_directions = 5, 4, 6
    sets = [_images(count, 32, channels, seed) for seed in (1, 2)]
    settings = {"seed": 3, "device": CPU, "patches_per_image": patches, "num_directions": num_directions}
    ours = sliced_wasserstein.summed_distances(
        *(sliced_wasserstein.sorted_projections(images, **settings) for images in sets)
    )  # type: ignore[arg-type]
    for level, side in enumerate((32, 16)):
        corners = sliced_wasserstein._positions(count, patches, side, seed=3, level=level).numpy()
        onto = sliced_wasserstein.directions(49 * channels, num_directions, seed=3, level=level).numpy()
        cut = []
        for images in sets:
            points = np.array(
                [
                    [_scipy_pyramid(images[n, :, :, c])[level][y : y + 7, x : x + 7] for c in range(channels)]
                    for n in range(count)
                    for y, x in corners[n]
                ]
            )
            points -= points.mean(axis=(0, 2, 3), keepdims=True)
            points /= points.std(axis=(0, 2, 3), keepdims=True)
            cut.append(points.reshape(count * patches, -1))
        expected = sum(scipy.stats.wasserstein_distance(cut[0] @ d, cut[1] @ d) for d in onto)
        assert float(ours[level]) == pytest.approx(expected, rel=1e-4)


def test_patches_reach_every_place_and_directions_are_unit_vectors() -> None:
    corners = sliced_wasserstein._positions(100, 32, 16, seed=0, level=0)
    assert set(corners.flatten().tolist()) == set(range(10))
    norms = torch.linalg.vector_norm(sliced_wasserstein.directions(147, 50, seed=0, level=0), dim=1)
    torch.testing.assert_close(norms, torch.ones(50))


def test_a_set_is_at_distance_zero_of_itself_and_the_order_of_two_sets_does_not_matter() -> None:
    first, second = _images(40, 32, 3, 1), _images(40, 32, 3, 2)
    assert _value(first, first) == 0
    assert _value(first, second) == pytest.approx(_value(second, first), rel=1e-6)


def test_the_distance_grows_with_blur_and_with_noise() -> None:
    real, other = _images(150, 32, 3, 1), _images(150, 32, 3, 2)
    blurred = [scipy.ndimage.gaussian_filter(other, (0, s, s, 0)) for s in (0.5, 0.8, 1.2, 2.0)]
    values = [_value(real, images) for images in (other, *blurred)]
    assert values == sorted(set(values))
    noise = np.random.default_rng(3).normal(size=other.shape)
    noisy = [(other + s * noise).clip(0, 255).astype(np.uint8) for s in (12, 24, 48)]
    values = [_value(real, images) for images in (other, *noisy)]
    assert values == sorted(set(values))


def test_a_set_of_few_different_images_is_further_away_than_one_of_many() -> None:
    real, other = _images(128, 32, 1, 1), _images(128, 32, 1, 2)
    assert _value(real, other[np.arange(128) % 2]) > 1.3 * _value(real, other)


def test_a_shift_of_brightness_is_not_seen_since_sets_are_normalized_by_themselves() -> None:
    first = _images(40, 32, 1, 1) // 4 + 60
    assert _value(first, first + 20) == pytest.approx(0, abs=0.05)


def test_shuffled_images_change_the_value_by_less_than_another_sample_does() -> None:
    real, other = _images(300, 32, 1, 1), _images(300, 32, 1, 2)
    shuffled = other[np.random.default_rng(0).permutation(300)]
    assert _value(real, shuffled) == pytest.approx(_value(real, other), rel=0.15)


def test_grey_images_and_the_same_images_in_three_channels_are_about_as_far_apart() -> None:
    first, second = (
        _images(100, 32, 1, 1),
        scipy.ndimage.gaussian_filter(_images(100, 32, 1, 2), (0, 1, 1, 0)),
    )
    in_colour = _value(first.repeat(3, axis=3), second.repeat(3, axis=3))
    assert in_colour == pytest.approx(_value(first, second), rel=0.1)


def test_constant_images_have_a_finite_large_distance() -> None:
    real = _images(40, 32, 3)
    value = _value(real, np.full_like(real, 77))
    assert np.isfinite(value)
    # standard normal projections against a point at 0: about E|x| = sqrt(2 / pi)
    assert value > 500


def test_shares_of_the_directions_add_up_to_all() -> None:
    first, second = _images(40, 32, 3, 1), _images(40, 32, 3, 2)

    def sums(share: slice) -> torch.Tensor:
        return sliced_wasserstein.summed_distances(
            list(sliced_wasserstein.sorted_projections(first, seed=0, device=CPU, share=share)),
            sliced_wasserstein.sorted_projections(second, seed=0, device=CPU, share=share),
        )

    torch.testing.assert_close(
        sums(slice(0, 100)) + sums(slice(100, 256)), sums(slice(None)), rtol=1e-6, atol=0
    )
