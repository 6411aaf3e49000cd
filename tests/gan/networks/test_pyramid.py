"""Pyramids of images in one tensor: against a loop over cells of pixels, and back again."""

import numpy as np
import pytest
import torch
from torch import Tensor

from gan.networks.pyramid import enlarged, pyramids, seen_shape, shrunk, split, stacked


def random_images(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def test_a_pyramid_has_the_means_of_ever_larger_cells_below_the_image() -> None:
    images = random_images(2, 3, 16, 16)
    pixels, stack = images.numpy(), pyramids(images, 3).numpy()
    assert stack.shape == (2, 3, 24, 16) == (2, *seen_shape(3, 16, 3))
    expected = np.zeros_like(stack)
    expected[:, :, :16] = pixels
    for row in range(8):
        for column in range(8):
            cell = pixels[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            expected[:, :, 16 + row, column] = cell.mean((2, 3))
    for row in range(4):
        for column in range(4):
            cell = pixels[:, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
            expected[:, :, 16 + row, 8 + column] = cell.mean((2, 3))
    np.testing.assert_allclose(stack, expected, rtol=1e-5)


@pytest.mark.parametrize("packing", [1, 2])
@pytest.mark.parametrize("sides", [(16,), (16, 8), (16, 8, 4)])
def test_what_was_stacked_is_split_again(sides: tuple[int, ...], packing: int) -> None:
    scales = [random_images(4, 3, side, side) for side in sides]
    packs = stacked(scales).unflatten(0, (-1, packing)).flatten(1, 2)
    assert packs.shape[1:] == seen_shape(3 * packing, 16, len(sides))
    for one, other in zip(split(packs, len(sides)), scales, strict=True):
        assert torch.equal(one, other.unflatten(0, (-1, packing)).flatten(1, 2))


def test_scales_in_one_size_repeat_each_pixel_and_become_the_same_pyramids_again() -> None:
    images = random_images(2, 3, 16, 16)
    stack = pyramids(images, 3)
    same_size = enlarged(stack, 3)
    assert same_size.shape == (6, 3, 16, 16)
    assert torch.equal(same_size[3], images[1])
    quarter = images[1].unflatten(2, (4, 4)).unflatten(1, (4, 4)).mean((2, 4))
    expected = quarter.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2)
    torch.testing.assert_close(same_size[5], expected)
    torch.testing.assert_close(shrunk(same_size, 3), stack)


def test_a_gradient_reaches_every_scale_where_it_was_taken() -> None:
    scales = [random_images(2, 3, side, side).requires_grad_() for side in (16, 8, 4)]
    weights = [random_images(2, 3, side, side) for side in (16, 8, 4)]
    parts = split(stacked(scales), 3)
    torch.stack([(part * weight).sum() for part, weight in zip(parts, weights, strict=True)]).sum().backward()
    for image, weight in zip(scales, weights, strict=True):
        assert image.grad is not None
        torch.testing.assert_close(image.grad, weight)
