"""Pyramids of images in one tensor: against a loop over cells of pixels, and back again."""

import numpy as np
import pytest
import torch

from gan.networks.pyramid import pyramids, split, stacked


def test_a_pyramid_has_the_means_of_ever_larger_cells() -> None:
    images = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    stack = pyramids(images, 3).numpy()
    assert stack.shape == (2, 9, 16, 16)
    pixels = images.numpy()
    for scale, cell in enumerate((1, 2, 4)):
        for row in range(0, 16, cell):
            for column in range(0, 16, cell):
                part = (..., slice(row, row + cell), slice(column, column + cell))
                mean = pixels[part].mean((2, 3), keepdims=True)
                found = stack[:, 3 * scale : 3 * scale + 3][part]
                np.testing.assert_allclose(found, np.broadcast_to(mean, found.shape), rtol=1e-5)


@pytest.mark.parametrize("packing", [1, 2])
def test_what_was_stacked_is_split_again(packing: int) -> None:
    scales = [torch.rand(4, 3, side, side) for side in (16, 8, 4)]
    packs = stacked(scales).unflatten(0, (-1, packing)).flatten(1, 2)
    for one, other in zip(split(packs, 3, packing), scales, strict=True):
        assert one.shape == (4 // packing, 3 * packing, other.shape[-1], other.shape[-1])
        torch.testing.assert_close(one, other.unflatten(0, (-1, packing)).flatten(1, 2))
