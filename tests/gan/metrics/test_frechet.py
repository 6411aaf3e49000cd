"""The Fréchet distance against SciPy and closed forms."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ConfigError
from gan.metrics import frechet
from gan.metrics.frechet import GaussianStatistics, frechet_distance


def normal(count: int, length: int, seed: int, *, scale: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    """Correlated features whose directions differ in spread by three orders of magnitude."""
    random = torch.Generator().manual_seed(seed)
    mixed = torch.randn(count, length, generator=random) * torch.logspace(0, -3, length)
    return (mixed @ torch.linalg.qr(torch.randn(length, length, generator=random)).Q + shift) * scale


def statistics(features: torch.Tensor) -> GaussianStatistics:
    return GaussianStatistics.from_features(features)


def distance(first: torch.Tensor, second: torch.Tensor) -> float:
    return frechet_distance(statistics(first), statistics(second))


def published(first: torch.Tensor, second: torch.Tensor) -> float:
    """The formula as Heusel et al. compute it."""
    a, b = first.double().numpy(), second.double().numpy()
    of_a, of_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(of_a @ of_b)
    apart = a.mean(axis=0) - b.mean(axis=0)
    return float(apart @ apart + np.trace(of_a) + np.trace(of_b) - 2 * np.trace(root).real)


def from_vectors(first: torch.Tensor, second: torch.Tensor) -> float:
    """The same without any covariance: tr (C C')^(1/2) is the nuclear norm of the vectors' products."""
    a, b = first.double().numpy(), second.double().numpy()
    centred = [(x - x.mean(axis=0)) / math.sqrt(len(x) - 1) for x in (a, b)]
    apart = a.mean(axis=0) - b.mean(axis=0)
    squares = sum(float((x * x).sum()) for x in centred)
    return float(apart @ apart + squares - 2 * np.linalg.norm(centred[0] @ centred[1].T, "nuc"))


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("counts", [(300, 200), (60, 50), (25, 200), (2, 3)])
def test_frechet_is_what_scipys_square_root_gives_also_with_fewer_vectors_than_dimensions(
    counts: tuple[int, int], scale: float
) -> None:
    first, second = normal(counts[0], 40, 1, scale=scale), normal(counts[1], 40, 2, scale=scale, shift=0.1)
    assert distance(first, second) == pytest.approx(published(first, second), rel=1e-6, abs=0)
    assert distance(first, second) == pytest.approx(from_vectors(first, second), rel=1e-9, abs=0)


@pytest.mark.parametrize("counts", [(9, 300), (40, 45), (39, 300), (300, 2)])
def test_frechet_is_what_vectors_give_on_either_side_of_as_many_as_dimensions(
    counts: tuple[int, int],
) -> None:
    first, second = normal(counts[0], 40, 1), normal(counts[1], 40, 2, shift=0.1)
    assert distance(first, second) == pytest.approx(from_vectors(first, second), rel=1e-11)


@st.composite
def sets(draw: st.DrawFn) -> torch.Tensor:
    """Float64 (N, 7), N from 2 to 12: of any size, perhaps with constants, equal rows and equal columns."""
    count = draw(st.integers(2, 12))
    random = torch.Generator().manual_seed(draw(st.integers(0, 2**20)))
    x = torch.randn(count, 7, generator=random, dtype=torch.float64)
    kind = draw(st.sampled_from(["plain", "constant", "rows", "columns", "zero", "spread"]))
    if kind == "constant":
        x[:, draw(st.integers(0, 6)) :] = x[0, 0]
    elif kind == "rows":
        x = x[torch.randint(2, (count,), generator=random)]
    elif kind == "columns":
        x = x[:, torch.randint(3, (7,), generator=random)]
    elif kind == "zero":
        x = torch.zeros_like(x)
    elif kind == "spread":
        x = x * torch.logspace(0, -150, 7, dtype=torch.float64)
    shift = draw(st.sampled_from([0.0, 1.0, 1e6]))
    return (x + shift) * 10.0 ** draw(st.integers(-150, 144))


def size_of(*features: torch.Tensor) -> float:
    """The largest value squared, times the number of dimensions: what rounding is relative to."""
    return 7 * max(float(each.abs().max()) for each in features) ** 2


@settings(max_examples=150, deadline=None)
@given(sets(), sets(), st.integers(0, 2**20))
def test_frechet_of_anything_finite_is_finite_symmetric_and_free_of_order(
    first: torch.Tensor, second: torch.Tensor, seed: int
) -> None:
    value, rounding = distance(first, second), 1e-12 * size_of(first, second)
    assert 0 <= value < math.inf
    assert distance(second, first) == pytest.approx(value, rel=1e-9, abs=rounding)
    shuffled = first[torch.randperm(len(first), generator=torch.Generator().manual_seed(seed))]
    assert distance(shuffled, second) == pytest.approx(value, rel=1e-9, abs=rounding)
    assert distance(first, first) <= rounding
    axes = torch.randperm(7, generator=torch.Generator().manual_seed(seed))
    assert distance(first[:, axes], second[:, axes]) == pytest.approx(value, rel=1e-9, abs=rounding)


@settings(max_examples=150, deadline=None)
@given(sets(), sets(), st.integers(-8, 8))
def test_frechet_of_scaled_sets_is_scaled_by_the_square(
    first: torch.Tensor, second: torch.Tensor, power: int
) -> None:
    scale = 2.0**power
    value, rounding = distance(first, second), 1e-12 * size_of(first, second)
    assert distance(first * scale, second * scale) / scale**2 == pytest.approx(value, rel=1e-9, abs=rounding)


@settings(max_examples=150, deadline=None)
@given(sets(), sets())
def test_frechet_is_between_what_means_alone_and_what_nothing_in_common_give(
    first: torch.Tensor, second: torch.Tensor
) -> None:
    # in units of the largest value, so that squares can be computed here
    unit = max(float(first.abs().max()), float(second.abs().max())) or 1.0
    one, other = first / unit, second / unit
    means = float((one.mean(dim=0) - other.mean(dim=0)).square().sum())
    spreads = [float(each.var(dim=0).sum()) for each in (one, other)]
    found = distance(one, other)
    least = means + (math.sqrt(spreads[0]) - math.sqrt(spreads[1])) ** 2
    assert least - 1e-11 <= found <= means + sum(spreads) + 1e-11
    assert found == pytest.approx(from_vectors(one, other), rel=1e-9, abs=1e-11)


@settings(max_examples=60, deadline=None)
@given(sets(), st.lists(st.integers(1, 11), max_size=4))
def test_statistics_of_any_parts_are_those_of_the_whole(x: torch.Tensor, places: list[int]) -> None:
    cuts = sorted({place for place in places if place < len(x)})
    parts = torch.tensor_split(x, cuts)
    found, whole = GaussianStatistics.merged(statistics(part) for part in parts), statistics(x)
    assert found.count == len(x) and found.factor.shape[1] <= 7
    assert frechet_distance(found, whole) <= 1e-12 * size_of(x)


@pytest.mark.parametrize("counts", [(12, 9), (60, 50)])
def test_a_driver_that_does_not_converge_costs_only_time(
    counts: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = normal(counts[0], 40, 1), normal(counts[1], 40, 2, shift=0.1)
    saved = statistics(first).to_tensors()

    def give_up(matrix: torch.Tensor) -> torch.Tensor:
        raise torch.linalg.LinAlgError("the algorithm failed to converge")

    monkeypatch.setattr(torch.linalg, "eigh", give_up)
    monkeypatch.setattr(torch.linalg, "svdvals", give_up)
    expected = from_vectors(first, second)
    assert distance(first, second) == pytest.approx(expected, rel=1e-11)
    of_file = frechet_distance(GaussianStatistics.from_tensors(saved), statistics(second))
    assert of_file == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("counts", [(12, 9), (60, 50)])
def test_statistics_of_a_file_give_the_distance_of_the_features(counts: tuple[int, int]) -> None:
    first, second = normal(counts[0], 40, 1), normal(counts[1], 40, 2, shift=0.1)
    back = GaussianStatistics.from_tensors(statistics(first).to_tensors())
    assert frechet_distance(back, statistics(second)) == pytest.approx(distance(first, second), rel=1e-6)


def test_frechet_of_one_dimension_is_the_closed_form() -> None:
    first, second = normal(50, 1, 1, scale=3), normal(80, 1, 2, shift=5)
    by_hand = (first.double().mean() - second.double().mean()) ** 2
    by_hand += (first.double().std() - second.double().std()) ** 2
    assert distance(first, second) == pytest.approx(float(by_hand), rel=1e-12)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize("count", [200, 20])
def test_a_set_is_at_zero_of_itself_and_never_below(count: int, scale: float) -> None:
    x = normal(count, 40, 1, scale=scale)
    assert 0 <= distance(x, x) <= 1e-13 * float(statistics(x).covariance.trace())


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 12), st.integers(2, 12), st.integers(1, 8), st.integers(0, 2**20))
def test_frechet_is_symmetric_and_independent_of_order(n: int, m: int, length: int, seed: int) -> None:
    first, second = normal(n, length, seed), normal(m, length, seed + 1)
    value = distance(first, second)
    shuffled = first[torch.randperm(n, generator=torch.Generator().manual_seed(seed))]
    assert value >= 0
    assert distance(second, first) == pytest.approx(value, rel=1e-9, abs=1e-12)
    assert distance(shuffled, second) == pytest.approx(value, rel=1e-9, abs=1e-12)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(-64, 64), min_size=6, max_size=6), st.integers(3, 12))
def test_a_shift_by_v_raises_frechet_by_its_squared_length(shift: list[int], count: int) -> None:
    x = normal(count, 6, 3).mul(2**10).round().div(2**10)  # so that float32 sums are exact
    moved = x + torch.tensor(shift, dtype=torch.float32)
    assert distance(x, moved) == pytest.approx(sum(step * step for step in shift), rel=1e-12, abs=1e-12)


def test_constant_features_have_a_frechet_distance() -> None:
    constant, x = torch.full((9, 5), 0.3), normal(30, 5, 1)
    apart = x.double().mean(dim=0) - constant[0].double()
    expected = float(apart.square().sum() + x.double().var(dim=0).sum())
    assert distance(constant, x) == pytest.approx(expected, rel=1e-12)
    assert distance(constant, constant) == 0
    assert distance(constant, constant + 1) == pytest.approx(5, rel=1e-6)


def test_statistics_are_numpys_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x = normal(50, 6, 1, shift=100)
    for block in (1, 7, 49, 2048):
        monkeypatch.setattr(frechet, "BLOCK", block)
        found = statistics(x)
        assert found.count == 50
        np.testing.assert_allclose(found.mean.numpy(), x.double().numpy().mean(axis=0), rtol=1e-14)
        expected = np.cov(x.double().numpy(), rowvar=False)
        np.testing.assert_allclose(found.covariance.numpy(), expected, rtol=1e-9, atol=1e-14)


def test_statistics_of_batches_are_those_of_the_whole() -> None:
    x = normal(60, 5, 1, shift=10)
    found = GaussianStatistics.merged(statistics(part) for part in x.split([1, 20, 39]))
    assert found.count == 60
    torch.testing.assert_close(found.mean, statistics(x).mean, rtol=1e-14, atol=0)
    torch.testing.assert_close(found.covariance, statistics(x).covariance, rtol=1e-10, atol=1e-14)


def test_statistics_survive_a_file_and_a_damaged_one_is_refused() -> None:
    whole = statistics(normal(20, 4, 1)).to_tensors()
    back = GaussianStatistics.from_tensors(whole)
    assert back.count == 20 and torch.equal(back.covariance, whole["covariance"])
    with pytest.raises(ConfigError, match="lack 'mean'; compute them anew"):
        GaussianStatistics.from_tensors({"count": whole["count"], "covariance": whole["covariance"]})
    for name, broken in [
        ("count", torch.tensor([0])),
        ("count", torch.tensor([20.0])),
        ("count", torch.tensor([20, 20])),
        ("mean", torch.zeros(5, dtype=torch.float64)),
        ("mean", torch.tensor(0.0, dtype=torch.float64)),
        ("covariance", whole["covariance"].float()),
        ("covariance", whole["covariance"] * torch.nan),
    ]:
        with pytest.raises(ConfigError, match="must be a count and finite float64"):
            GaussianStatistics.from_tensors({**whole, name: broken})


def test_too_few_or_other_vectors_have_no_frechet_distance() -> None:
    two = statistics(torch.zeros(2, 3))
    with pytest.raises(ConfigError, match="at least 2 vectors a set, not 1; take more images"):
        frechet_distance(statistics(torch.zeros(1, 3)), two)
    with pytest.raises(ConfigError, match="equally long, not 4 and 3"):
        frechet_distance(statistics(torch.zeros(2, 4)), two)
    with pytest.raises(ConfigError, match="equally long"):
        GaussianStatistics.merged([two, statistics(torch.zeros(2, 4))])
    with pytest.raises(ConfigError, match="at least 1 feature vector, not 0"):
        GaussianStatistics.merged([])
    with pytest.raises(ConfigError, match="1 of 2 hold NaN"):
        statistics(torch.tensor([[1.0], [torch.nan]]))
