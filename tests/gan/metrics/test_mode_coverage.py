"""Modes covered and the divergence of class histograms against SciPy, closed forms and many draws."""

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ConfigError
from gan.metrics.mode_coverage import Modes, count_modes


def labels(*counts: int) -> torch.Tensor:
    return torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))


def test_equal_histograms_have_all_modes_and_no_divergence() -> None:
    assert count_modes(labels(3, 1, 2), labels(6, 2, 4), 3) == Modes(3, 3, 0.0)


def test_a_single_class_of_ten_equal_ones_diverges_by_the_logarithm_of_ten() -> None:
    found = count_modes(labels(0, 0, 500), labels(*[30] * 10), 10)
    assert found == Modes(1, 10, pytest.approx(math.log(10), rel=1e-12))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=8))
def test_divergence_is_scipys_of_generated_from_real(counts: list[tuple[int, int]]) -> None:
    generated, real = (np.array(each) for each in zip(*counts, strict=True))
    generated[0] += 1
    found = count_modes(labels(*generated), labels(*real), len(counts))
    assert found.kl == pytest.approx(scipy.stats.entropy(generated, real), rel=1e-9, abs=1e-12)
    assert (found.covered, found.in_real) == (np.count_nonzero(generated), len(counts))
    again = count_modes(labels(*generated).flip(0), labels(*real).flip(0), len(counts))
    assert again == found


def test_a_class_without_real_images_counts_as_half_an_image_and_not_as_a_mode() -> None:
    found = count_modes(labels(1, 1, 2), labels(2, 2, 0), 3)
    assert (found.covered, found.in_real) == (2, 2)
    assert found.kl == pytest.approx(scipy.stats.entropy([1, 1, 2], [2, 2, 0.5]), rel=1e-12)
    assert count_modes(labels(1, 1, 0), labels(2, 2, 0), 3).kl < 0.15


def test_a_class_counts_from_the_given_number_of_images_on() -> None:
    generated, real = labels(1, 2, 3, 0), labels(5, 5, 5, 5)
    assert [count_modes(generated, real, 4, least_images=n).covered for n in (1, 2, 3, 4)] == [3, 2, 1, 0]


def test_a_perfect_generator_gets_about_the_divergence_that_the_docstring_says() -> None:
    random = torch.Generator().manual_seed(0)
    drawn = [
        count_modes(*(torch.randint(50, (n,), generator=random) for n in (4000, 6000)), 50).kl
        for _ in range(60)
    ]
    assert np.mean(drawn) == pytest.approx(49 / 2 * (1 / 4000 + 1 / 6000), rel=0.1)


def test_wrong_labels_are_refused_in_one_line() -> None:
    good = labels(1, 1)
    for generated, real, classes, said in [
        (good[:0], good, 2, "generated labels must be at least 1, not 0"),
        (good, good[:0], 2, "real labels must be at least 1, not 0"),
        (good, good, 1, "generated labels must lie between 0 and 0, not 0 and 1; check the classifier"),
        (good, good - 1, 2, "real labels must lie between 0 and 1, not -1 and 0"),
        (good.float(), good, 2, r"generated labels must be integers of shape \(N,\), not torch.float32"),
        (good, good[None], 2, r"real labels must be integers of shape \(N,\), not torch.int64 \(1, 2\)"),
        (good, good, 0, "number of classes must be at least 1"),
    ]:
        with pytest.raises(ConfigError, match=said) as caught:
            count_modes(generated, real, classes)
        assert "\n" not in str(caught.value)
    with pytest.raises(ConfigError, match="least_images must be at least 1, not 0"):
        count_modes(good, good, 2, least_images=0)
