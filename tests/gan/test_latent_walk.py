"""Walks between latents, against closed forms and SciPy."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial import geometric_slerp

from gan.latent_walk import slerp, walk


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_a_walk_from_one_axis_to_another_goes_along_the_circle() -> None:
    frames = walk(2 * torch.eye(2), frames_between=4)
    angles = torch.arange(4) * math.pi / 8
    quarter = 2 * torch.stack([angles.cos(), angles.sin()], dim=1)
    assert torch.allclose(frames[:4], quarter, atol=1e-6)
    assert torch.allclose(frames[4:], quarter.flip(1), atol=1e-6)


def test_slerp_on_a_sphere_is_that_of_scipy() -> None:
    start, end = torch.nn.functional.normalize(normal(2, 9, seed=1).double(), dim=1)
    shares = torch.linspace(0, 1, 12, dtype=torch.float64)
    expected = geometric_slerp(start.numpy(), end.numpy(), shares.numpy())
    assert np.abs(slerp(start, end, shares[:, None]).numpy() - expected).max() < 1e-12
    # lengths other than 1 only scale it
    assert np.abs(slerp(7 * start, 7 * end, shares[:, None]).numpy() - 7 * expected).max() < 1e-11


def test_slerp_begins_and_ends_where_it_should_and_keeps_the_length() -> None:
    start, end = normal(2, 100, seed=2)
    ends = slerp(start, end, torch.tensor([[0.0], [1.0]]))
    assert torch.allclose(ends, torch.stack([start, end]), atol=1e-5)
    same_length = end * start.norm() / end.norm()
    lengths = slerp(start, same_length, torch.linspace(0, 1, 20)[:, None]).norm(dim=1)
    assert torch.allclose(lengths, start.norm().expand(20), rtol=1e-5)


def test_lengths_on_a_linear_walk_are_too_short_in_the_middle_and_on_a_spherical_one_they_are_not() -> None:
    latents = normal(4, 400, seed=3)
    usual = latents.norm(dim=1).mean()
    middles = {way: walk(latents, 2, interpolation=way)[1::2] for way in ("linear", "spherical")}
    assert torch.allclose(middles["linear"], (latents + latents.roll(-1, 0)) / 2, atol=1e-6)
    # two independent latents stand nearly at right angles
    assert (middles["linear"].norm(dim=1) / usual).tolist() == pytest.approx([math.sqrt(0.5)] * 4, rel=0.1)
    assert (middles["spherical"].norm(dim=1) / usual).tolist() == pytest.approx([1] * 4, rel=0.1)


@pytest.mark.parametrize("way", ["linear", "spherical"])
def test_a_walk_between_equal_latents_does_not_move(way: str) -> None:
    frames = walk(torch.ones(2, 3), frames_between=3, interpolation=way)  # type: ignore[arg-type]
    assert torch.allclose(frames, torch.ones(6, 3))
    opposite = walk(torch.tensor([[1.0, 2.0], [-1.0, -2.0]]), 4, interpolation=way)  # type: ignore[arg-type]
    assert bool(opposite.isfinite().all())
