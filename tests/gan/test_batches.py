"""Steps and images of runs whose batch changes, beside a loop that takes one step after another."""

import itertools

import pytest

from gan.batches import Batches


def test_steps_and_images_are_those_of_a_loop() -> None:
    batches = Batches(((0, 12), (40, 6), (40, 4), (100, 1)))
    for first, end in itertools.product((0, 5, 39, 40, 99, 150), (1, 40, 41, 100, 130)):
        steps, seen = 0, first
        while seen < end:
            seen += 12 if seen < 40 else 4 if seen < 100 else 1
            steps += 1
        assert batches.until(first, end) == (steps, seen)


@pytest.mark.parametrize(("seen", "batch"), [(0, 12), (39, 12), (40, 4), (99, 4), (100, 1), (10**9, 1)])
def test_a_step_has_the_batch_of_the_last_phase_that_has_begun(seen: int, batch: int) -> None:
    assert Batches(((0, 12), (40, 6), (40, 4), (100, 1))).at(seen) == batch
