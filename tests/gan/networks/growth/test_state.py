"""How far networks have grown, and the mix of old and new layers while a side is faded in."""

import copy

import pytest
import torch

from gan.networks.growth.schedule import Schedule
from gan.networks.growth.state import Growth, growing_parts

SCHEDULE = Schedule((8, 16, 32), stable=100, fade=40)


@pytest.mark.parametrize(
    ("images_seen", "side", "is_fading"),
    [
        (0, 8, False),
        (99, 8, False),
        (100, 16, True),
        (139, 16, True),
        (140, 16, False),
        (239, 16, False),
        (240, 32, True),
        (279, 32, True),
        (280, 32, False),
        (10**9, 32, False),
    ],
)
def test_sides_follow_each_other(images_seen: int, side: int, is_fading: bool) -> None:
    growth = Growth(SCHEDULE)
    growth.set_images_seen(images_seen)
    assert (growth.side, growth.is_fading) == (side, is_fading)


def test_growth_ends_after_all_phases() -> None:
    assert SCHEDULE.images() == 280
    assert Schedule((8,), stable=100, fade=40).images() == 0
    assert Schedule((8, 16), stable=0, fade=0).level_at(0) == 1


def test_the_newest_layers_count_by_the_images_of_their_fade() -> None:
    growth, old, new = Growth(SCHEDULE), torch.zeros(3), torch.full((3,), 8.0)
    for images_seen, share in ((100, 0.0), (110, 0.25), (130, 0.75), (260, 0.5)):
        growth.set_images_seen(images_seen)
        assert growth.faded(old, new).tolist() == [8 * share] * 3


def test_a_network_knows_from_its_state_how_far_it_has_grown() -> None:
    growth = Growth(SCHEDULE)
    growth.set_images_seen(250)
    other = Growth(SCHEDULE)
    other.load_state_dict(growth.state_dict())
    for same in (other, copy.deepcopy(growth)):
        assert (same.side, same.is_fading, int(same.images_seen)) == (32, True, 250)
    assert growing_parts(torch.nn.Linear(1, 1), torch.nn.Sequential(growth), other) == [growth, other]
