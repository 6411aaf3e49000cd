"""The kernel distance against loops over all pairs, closed forms and torch-fidelity."""

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from common.errors import ConfigError
from gan.metrics.kid import KernelDistance, kernel_distance, kernel_set
from perceptual import feature_vectors

Array = npt.NDArray[np.float64]


def normal(count: int, length: int, seed: int, *, scale: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    """Correlated features whose directions differ in spread by three orders of magnitude."""
    random = torch.Generator().manual_seed(seed)
    mixed = torch.randn(count, length, generator=random) * torch.logspace(0, -3, length)
    return (mixed @ torch.linalg.qr(torch.randn(length, length, generator=random)).Q + shift) * scale


def kernel(x: Array, y: Array) -> float:
    return float((x @ y / len(x) + 1) ** 3)


def by_loops(first: torch.Tensor, second: torch.Tensor) -> float:
    a, b = list(first.double().numpy()), list(second.double().numpy())
    within = [np.mean([kernel(x, y) for x, y in itertools.permutations(each, 2)]) for each in (a, b)]
    return float(sum(within) - 2 * np.mean([kernel(x, y) for x in a for y in b]))


@pytest.mark.parametrize("counts", [(30, 30), (9, 31), (4, 4)])
def test_kernel_distance_is_the_mean_over_all_pairs(
    counts: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = normal(counts[0], 5, 1, shift=1), normal(counts[1], 5, 2, shift=1.3)
    in_one_block = kernel_distance(first, second)
    monkeypatch.setattr(feature_vectors, "BLOCK", 8)
    found = kernel_distance(first, second)
    assert found == pytest.approx(in_one_block, rel=1e-9)
    assert found.value == pytest.approx(by_loops(first, second), rel=1e-9, abs=1e-12)
    assert kernel_distance(kernel_set(first), kernel_set(second)) == found
    mirrored = kernel_distance(second, first)
    assert mirrored == pytest.approx(found, rel=1e-9)
    shuffled = kernel_distance(first.flip(0), second)
    assert shuffled == pytest.approx(found, rel=1e-9)


def test_kernel_distance_is_torch_fidelitys_of_one_subset_of_all() -> None:
    first, second = normal(80, 20, 1).double(), normal(80, 20, 2, shift=0.2).double()
    theirs = kid_features_to_metric(
        first, second, kid_subsets=1, kid_subset_size=80, rng_seed=0, verbose=False
    )
    ours = kernel_distance(first, second).value
    assert ours == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)


def expected_kernel(length: int, a: float, b: float) -> float:
    """E (x.y / D + 1)^3 for x ~ N(a, 1) and y ~ N(b, 1) in each of D dimensions."""
    first = a * b
    second = (1 + a**2 + b**2) / length + first**2
    third = first**3 + 3 * first * (1 + a**2 + b**2) / length + 6 * first / length**2
    return 1 + 3 * first + 3 * second + third


@pytest.mark.parametrize(("counts", "shift"), [((60, 60), 0.0), ((50, 120), 0.0), ((80, 40), 0.5)])
def test_the_mean_over_samples_is_the_true_distance_and_their_deviation_the_standard_error(
    counts: tuple[int, int], shift: float
) -> None:
    random, length, draws = torch.Generator().manual_seed(7), 12, 400

    def drawn() -> KernelDistance:
        first, second = (torch.randn(count, length, generator=random) for count in counts)
        return kernel_distance(first, second + shift)

    values, errors = np.array([drawn() for _ in range(draws)]).T
    spread = values.std(ddof=1)
    within = expected_kernel(length, 0, 0) + expected_kernel(length, shift, shift)
    true = within - 2 * expected_kernel(length, 0, shift)
    assert values.mean() == pytest.approx(true, abs=4 * spread / math.sqrt(draws))
    assert 0.9 * spread < math.sqrt((errors**2).mean()) < 1.2 * spread


def test_constant_features_have_a_kernel_distance() -> None:
    constant = torch.full((6, 5), 2.0)
    assert kernel_distance(constant, constant) == pytest.approx((0, 0), abs=1e-12)
    apart = kernel_distance(constant, constant - 1)
    assert apart == pytest.approx((5**3 + 2**3 - 2 * 3**3, 0), abs=1e-9)


def test_too_few_other_or_huge_vectors_have_no_kernel_distance() -> None:
    four = torch.zeros(4, 3)
    with pytest.raises(ConfigError, match="real features for the kernel distance must be at least 4, not 3"):
        kernel_distance(torch.zeros(3, 3), four)
    with pytest.raises(ConfigError, match="1 of 4 hold NaN"):
        kernel_distance(four, four.index_fill(0, torch.tensor([2]), torch.nan))
    with pytest.raises(ConfigError, match="equally long, not 3 and 2"):
        kernel_distance(four, torch.zeros(4, 2))
    with pytest.raises(ConfigError, match="too large for the kernel distance"):
        kernel_distance(four, torch.full((4, 3), 1e30))
