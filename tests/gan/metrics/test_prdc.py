"""Precision, recall, density, coverage, memorization and duplicates against loops over all pairs."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_prc import prc_features_to_metric

from common.errors import ConfigError
from gan.metrics.prdc import (
    duplicates,
    memorization_ratio,
    nearest_distances,
    neighbourhood,
    precision_recall_density_coverage,
)
from perceptual import feature_vectors


def normal(count: int, length: int, seed: int, *, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(count, length, generator=torch.Generator().manual_seed(seed)) + shift


def gap(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(np.square(a.double().numpy() - b.double().numpy()).sum())


def radii(vectors: Sequence[torch.Tensor], k: int) -> list[float]:
    """Squared distance of each to its k-th nearest other."""
    return [sorted(gap(a, b) for j, b in enumerate(vectors) if j != i)[k - 1] for i, a in enumerate(vectors)]


def by_loops(real: torch.Tensor, generated: torch.Tensor, k: int) -> tuple[float, float, float, float]:
    of_real, of_generated = radii(list(real), k), radii(list(generated), k)
    in_real = np.array(
        [[gap(g, r) <= size for r, size in zip(real, of_real, strict=True)] for g in generated]
    )
    recalled = [any(gap(g, r) <= s for g, s in zip(generated, of_generated, strict=True)) for r in real]
    return (
        in_real.any(axis=1).mean(),
        float(np.mean(recalled)),
        in_real.sum(axis=1).mean() / k,
        in_real.any(axis=0).mean(),
    )


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_all_four_are_what_loops_over_all_pairs_count(
    k: int, offset: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_vectors, "BLOCK", 8)
    real, generated = normal(30, 4, 1, shift=offset), normal(21, 4, 2, shift=offset + 0.5)
    found = precision_recall_density_coverage(real, generated, k)
    assert found == pytest.approx(by_loops(real, generated, k), rel=1e-12)
    prepared = neighbourhood(real, 6), neighbourhood(generated, k)
    assert precision_recall_density_coverage(*prepared, k) == found


# integers: full of exact ties and duplicates
GRID = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=4, max_size=12)


@settings(max_examples=100, deadline=None)
@given(GRID, GRID, st.integers(1, 3), st.sampled_from([0.0, 4096.0]))
def test_ties_and_duplicates_count_as_defined(
    real: list[tuple[int, int]], generated: list[tuple[int, int]], k: int, offset: float
) -> None:
    x, y = torch.tensor(real) + offset, torch.tensor(generated) + offset
    expected = by_loops(x, y, k)
    assert precision_recall_density_coverage(x, y, k) == pytest.approx(expected, rel=1e-12)
    assert precision_recall_density_coverage(x.flip(0), y.flip(0), k) == pytest.approx(expected, rel=1e-12)


def test_precision_and_recall_are_torch_fidelitys() -> None:
    real, generated = normal(120, 8, 1), normal(100, 8, 2, shift=0.3)
    theirs = prc_features_to_metric(
        generated, real, prc_neighborhood=3, prc_batch_size=1000, save_cpu_ram=False, verbose=False
    )
    ours = precision_recall_density_coverage(real, generated, k=3)
    assert ours.precision == pytest.approx(theirs["precision"], rel=1e-6)
    assert ours.recall == pytest.approx(theirs["recall"], rel=1e-6)


def test_a_copy_of_the_real_set_fills_it_and_one_far_away_does_not() -> None:
    real = normal(200, 16, 1, shift=3)
    copied = precision_recall_density_coverage(real, real[torch.randperm(200)])
    assert (copied.precision, copied.recall, copied.coverage) == (1, 1, 1)
    assert copied.density >= 1
    assert precision_recall_density_coverage(real, real + 100) == (0, 0, 0, 0)


def test_two_samples_of_one_distribution_have_density_near_one_and_few_unique_images_low_recall() -> None:
    real, generated = normal(800, 6, 1), normal(800, 6, 2)
    alike = precision_recall_density_coverage(real, generated)
    assert alike.density == pytest.approx(1, abs=0.08)
    # Naeem et al. 2020, equation 9, for equal counts
    expected = 1 - np.prod([(800 - i) / (1600 - i) for i in range(1, 6)])
    assert alike.coverage == pytest.approx(expected, abs=0.03)
    repeated = precision_recall_density_coverage(real, generated[:40].repeat(20, 1))
    assert repeated.recall < 0.05 < 0.8 < alike.recall
    assert repeated.coverage < 0.4


def test_equal_features_are_in_every_ball() -> None:
    constant = torch.full((12, 3), 0.1)
    assert precision_recall_density_coverage(constant, constant[:7], k=5) == (1, 1, 12 / 5, 1)
    assert precision_recall_density_coverage(constant, constant[:7] + 1, k=5) == (0, 0, 0, 0)


def test_identical_vectors_are_at_distance_exactly_zero_and_near_ones_are_not() -> None:
    x = normal(100, 700, 1, shift=50)
    twins = torch.cat([x, x])[torch.randperm(200, generator=torch.Generator().manual_seed(0))]
    assert bool((neighbourhood(twins, 1).nearest == 0).all())
    assert bool((nearest_distances(x, twins) == 0).all())
    nudged = x + 1e-3
    expected = (nudged.double() - x.double()).square().sum(dim=1).sqrt()
    torch.testing.assert_close(nearest_distances(nudged, x), expected, rtol=1e-6, atol=0)


def test_nearest_distances_are_those_of_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_vectors, "BLOCK", 4)
    x, points = normal(9, 3, 1), normal(13, 3, 2)
    expected = [min(gap(a, b) for b in points) ** 0.5 for a in x]
    assert nearest_distances(x, points).tolist() == pytest.approx(expected, rel=1e-12)
    within = neighbourhood(points, 3)
    assert within.squared_distances[:, 2].tolist() == pytest.approx(radii(list(points), 3), rel=1e-12)


def test_memorization_is_one_for_new_images_and_falls_by_the_share_of_copies() -> None:
    train, held_out, new = (normal(count, 10, seed) for count, seed in ((2000, 1), (500, 2), (500, 3)))
    assert memorization_ratio(held_out, train, held_out) == pytest.approx(1, abs=1e-12)
    assert memorization_ratio(new, train, held_out) == pytest.approx(1, abs=0.03)
    assert memorization_ratio(train[:300], train, held_out) == 0
    for share in (0.2, 0.5):
        copies = int(500 * share)
        some = torch.cat([train[:copies], new[copies:]])
        assert memorization_ratio(some, train, held_out) == pytest.approx(1 - share, abs=0.04)


def test_memorization_is_the_capped_mean_over_the_capped_mean() -> None:
    train = torch.tensor([[0.0]])
    held_out, generated = torch.tensor([[1.0], [-3.0], [7.0]]), torch.tensor([[0.0], [2.0], [-9.0], [-1.0]])
    # cap 3
    assert memorization_ratio(generated, train, held_out) == pytest.approx(((0 + 2 + 3 + 1) / 4) / (7 / 3))
    known = nearest_distances(held_out, train)
    kept = memorization_ratio(generated, train, held_out, held_out_distances=known)
    assert kept == memorization_ratio(generated, train, held_out)


def test_pictures_unlike_any_other_do_not_hide_copies_and_raise_the_ratio_to_two_at_most() -> None:
    train, held_out = normal(1000, 10, 1), normal(300, 10, 2)
    broken = normal(300, 10, 3, shift=100)
    assert 1 < memorization_ratio(broken, train, held_out) <= 2
    half = torch.cat([broken[:150], train[:150]])
    assert memorization_ratio(half, train, held_out) < 0.7


def test_if_held_out_images_are_training_images_the_ratio_is_one() -> None:
    train = normal(50, 4, 1)
    assert memorization_ratio(train[:10], train, train[:20]) == 1
    constant = torch.ones(5, 4)
    assert memorization_ratio(constant, constant, constant) == 1


def test_a_generator_of_one_image_is_all_duplicates_and_a_diverse_one_about_the_quantile() -> None:
    held_out, generated = normal(1000, 12, 1), normal(1000, 12, 2)
    assert duplicates(torch.ones(1000, 12), held_out) == 1
    assert duplicates(generated[:50].repeat(20, 1), held_out) == 1
    assert duplicates(held_out, held_out) == pytest.approx(0.01, abs=0.003)
    assert duplicates(generated, held_out) == pytest.approx(0.01, abs=0.012)
    some = torch.cat([generated[:900], generated[:100]])
    assert duplicates(some, held_out) == pytest.approx(0.2, abs=0.02)


def test_sets_of_unequal_size_are_compared_at_the_smaller_size() -> None:
    held_out = normal(2000, 3, 1)
    # with all 2000, which lie closer together, a fifth and more of them would count as duplicates
    assert duplicates(normal(2000, 3, 2), held_out[:200]) == pytest.approx(0.01, abs=0.03)
    assert duplicates(normal(200, 3, 2), held_out) == pytest.approx(0.01, abs=0.03)
    prepared = neighbourhood(held_out), neighbourhood(normal(1500, 3, 2))
    assert duplicates(*prepared) == duplicates(held_out, prepared[1].features)


def test_duplicates_with_twins_among_the_real_images_are_exact_twins_only() -> None:
    twins = normal(50, 4, 1).repeat(2, 1)
    assert duplicates(normal(100, 4, 2), twins) == 0
    assert duplicates(twins, twins) == 1
    assert duplicates(torch.ones(10, 4), torch.ones(10, 4)) == 1


def test_too_few_vectors_or_a_wrong_k_are_refused_in_one_line() -> None:
    ten, nan = normal(10, 3, 1), torch.full((10, 3), torch.nan)
    prdc = precision_recall_density_coverage
    for call, said in [
        (
            lambda: prdc(ten[:5], ten),
            "real features with 5 nearest neighbours must be at least 6, not 5; take",
        ),
        (lambda: prdc(ten, ten[:2], k=2), "generated features with 2 nearest neighbours must be at least 3"),
        (lambda: prdc(ten, nan), "generated features .* 10 of 10 hold NaN"),
        (lambda: prdc(ten, ten, k=0), "k must be at least 1, not 0; try 5"),
        (lambda: prdc(neighbourhood(ten, 2), ten, k=3), "k must lie between 1 and the 2 neighbours"),
        (lambda: prdc(ten, normal(10, 4, 1)), "equally long, not 3 and 4"),
        (lambda: nearest_distances(ten[:0], ten), "features must be at least 1, not 0"),
        (lambda: nearest_distances(ten, ten[:0]), "features that others are near to must be at least 1"),
        (lambda: memorization_ratio(nan, ten, ten), "10 of 10 hold NaN"),
        (lambda: memorization_ratio(ten, ten, ten, held_out_distances=torch.ones(9)), "must be 10, .* not 9"),
        (lambda: duplicates(ten[:1], ten), "generated features with 1 nearest neighbours must be at least 2"),
        (
            lambda: duplicates(ten, ten, quantile=1),
            "quantile must be at least 0 and below 1, not 1; try 0.01",
        ),
        (lambda: duplicates(ten, normal(10, 4, 1)), "equally long, not 3 and 4"),
    ]:
        with pytest.raises(ConfigError, match=said) as caught:
            call()
        assert "\n" not in str(caught.value)
