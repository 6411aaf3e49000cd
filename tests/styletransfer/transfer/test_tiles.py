"""Tiles cover a picture once, and a network's reach against pixels that are changed one at a time."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from perceptual.network import CompactNetwork
from styletransfer.transfer.tiles import Span, reach, stride_of, tiles_of


@settings(deadline=None)
@given(
    height=st.integers(1, 300),
    width=st.integers(1, 300),
    side=st.integers(16, 200),
    stride=st.sampled_from([1, 4, 8]),
)
def test_tiles_cover_every_pixel_once_and_see_it_with_its_margin(
    height: int, width: int, side: int, stride: int
) -> None:
    margin = 5
    covered = np.zeros((height, width), dtype=int)
    for tile in tiles_of(height, width, side, margin=margin, stride=stride):
        covered[slice(*tile.rows), slice(*tile.columns)] += 1
        for own, seen, length in (
            (tile.rows, tile.seen_rows, height),
            (tile.columns, tile.seen_columns, width),
        ):
            assert seen.start % stride == own.start % stride == 0
            assert seen.start == 0 or seen.start <= own.start - margin
            assert seen.stop == length or seen.stop >= own.stop + margin
            assert own.stop - own.start <= side + stride
    assert (covered == 1).all()


def test_side_zero_is_one_tile() -> None:
    (tile,) = tiles_of(37, 211, 0, margin=30, stride=8)
    assert tile == (Span(0, 37), Span(0, 211), Span(0, 37), Span(0, 211))


@pytest.mark.parametrize("tap", ["relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu3_2"])
def test_a_position_depends_on_pixels_within_its_reach_and_on_none_beyond(tap: str) -> None:
    torch.manual_seed(0)
    network = CompactNetwork((3, 3, 3)).double()
    for layer in network.layers():  # so that no ReLU hides a dependence
        torch.nn.init.uniform_(layer.weight, 0.1, 1)
        torch.nn.init.ones_(layer.bias)
    stride = stride_of(tap)
    place = 32 // stride
    image = torch.rand(1, 3, 64, 64, dtype=torch.float64, requires_grad=True)
    value = network(image, [tap])[tap][0, :, place, place].sum()
    (gradient,) = torch.autograd.grad(value, image)
    rows = gradient[0].abs().sum(dim=(0, 2)).nonzero().flatten()
    far = reach(network.taps, [tap])
    assert (int(rows.min()), int(rows.max())) == (place * stride - far, place * stride + stride - 1 + far)


def test_reach_and_stride_are_those_of_the_deepest_layer() -> None:
    taps = CompactNetwork().taps
    assert reach(taps, ["relu3_1", "relu1_1"]) == 1 + 1 + 2 + 2 + 4
    assert stride_of("relu5_2") == 16
