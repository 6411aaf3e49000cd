"""Every verdict from hand-made histories, and what a verdict is of numbers that are missing or not finite."""

import math
from typing import Any

import pytest

from gan.training.health import HEALTHY, TROUBLES, of_divergence, verdict, verdicts
from gan.training.health.signals import smoothed

METRIC = "fd_lite0_1k"
STEADY = {
    "discriminator_loss": 1.2,
    "generator_loss": 1.1,
    "accuracy_real": 0.7,
    "accuracy_fake": 0.7,
    "discriminator_skipped": 0.0,
    "discriminator_margin": 1.0,
    "discriminator_overfit": 0.1,
    "generator_gradient": 10.0,
    "discriminator_gradient": 10.0,
    "spread_lite0_1k": 0.6,
    "separation_lite0_1k": 1.0,
    "memorization_lite0_1k": 1.04,
    "burnt": 0.0,
    f"{METRIC}_noise": 5.0,
}
FALLING = [600.0, 500.0, 420.0, 360.0, 320.0, 290.0, 270.0, 250.0]


def history(values: list[float], **last: float) -> list[dict[str, float]]:
    """Rows of a healthy run with these values of the objective; `last` changes its ticks from the third."""
    rows = [
        {"images_seen": 2000.0 * tick, METRIC: value, **STEADY} for tick, value in enumerate(values, start=1)
    ]
    for row in rows[2:]:
        row |= {f"{name}_lite0_1k" if f"{name}_lite0_1k" in row else name: v for name, v in last.items()}
    return rows


def flat(ticks: int, value: float = 300.0) -> list[float]:
    """The objective of a run that stands still after a start."""
    return [600.0, 400.0, *[value] * ticks]


CASES: list[tuple[str, list[float], dict[str, float]]] = [
    (HEALTHY, FALLING, {}),
    (HEALTHY, [600.0], {"spread": 0.01}),
    (HEALTHY, [*FALLING, 255.0, 262.0, 270.0], {}),  # wanders by less than a tenth
    (HEALTHY, [600.0, 300.0, 290.0, 800.0], {}),  # one unlucky tick
    (HEALTHY, FALLING, {"discriminator_margin": 9.0, "accuracy_real": 0.99, "accuracy_fake": 0.99}),
    (HEALTHY, FALLING, {"discriminator_margin": -1.0}),  # it learns all the same
    (HEALTHY, [600.0, 100.0, *[12.0] * 8], {}),  # nothing is left to gain
    ("mode_collapse", FALLING, {"spread": 0.03}),
    ("mode_collapse", FALLING, {"separation": 0.1}),
    ("memorizing", FALLING, {"memorization": 0.3}),
    ("memorizing", FALLING, {"discriminator_overfit": 4.0}),
    ("decayed", [*FALLING, 370.0, 380.0, 390.0], {}),
    (
        "discriminator_won",
        flat(7),
        {"discriminator_margin": 8.0, "accuracy_real": 0.97, "accuracy_fake": 0.96},
    ),
    (
        "discriminator_won",
        flat(4),
        {
            "discriminator_margin": 20.0,
            "accuracy_real": 1.0,
            "accuracy_fake": 1.0,
            "generator_gradient": 70.0,
            "discriminator_gradient": 1.0,
        },
    ),
    ("generator_won", FALLING, {"discriminator_margin": -4.0}),
    ("generator_won", flat(4), {"discriminator_margin": -4.0, "accuracy_fake": 0.0}),
    ("stalled", flat(8), {}),
    (HEALTHY, FALLING, {"burnt": 0.9}),
    (HEALTHY, flat(4), {"burnt": 0.73}),  # white grounds are burnt out in good pictures, too
    ("diverged", [600.0, *[590.0] * 4], {"burnt": 0.9}),
    ("diverged", [*FALLING, 500.0, 550.0], {"burnt": 0.9}),
    ("diverged", FALLING, {"burnt": 0.98}),
    ("diverged", FALLING, {"discriminator_loss": 90.0}),
]


@pytest.mark.parametrize(("name", "values", "last"), CASES)
def test_each_verdict_is_named_from_its_numbers(
    name: str, values: list[float], last: dict[str, float]
) -> None:
    found = verdict(history(values, **last), METRIC)
    assert found.name == name
    assert found.is_healthy == (name == HEALTHY)
    for sentence in (found.evidence, found.remedy)[: 1 if found.is_healthy else 2]:
        assert sentence and "\n" not in sentence and not sentence.endswith(".")


def test_a_good_start_on_a_white_ground_is_healthy() -> None:
    # the most promising trials of a sweep of the built-in shapes: the objective and the share of burnt values
    for values, burnt in (
        ([177.2], [0.69]),
        ([304.3, 208.9, 202.0, 203.2], [0.01, 0.64, 0.64, 0.58]),
        ([173.4, 155.0, 151.2], [0.67, 0.73, 0.73]),
    ):
        rows = [row | {"burnt": share} for row, share in zip(history(values), burnt, strict=True)]
        assert all(each.is_healthy for each in verdicts(rows, METRIC))


def test_pure_colours_have_diverged_even_while_the_objective_falls() -> None:
    # a trial of a sweep of the built-in shapes with both rates at 1, which won it with its third tick
    rows = history([539.7, 492.0, 288.8, 539.7])
    for row, burnt, loss in zip(rows, (1.0, 0.9998, 0.998, 1.0), (18.8, 2e-5, 7e-5, 170.0), strict=True):
        row |= {"burnt": burnt, "discriminator_loss": loss}
    assert [each.name for each in verdicts(rows, METRIC)] == ["diverged"] * 4
    # the worst that still got better: rates of 0.1
    rows = history([281.0, 262.0, 236.0, 235.0])
    for row, burnt in zip(rows, (0.85, 0.88, 0.8, 0.83), strict=True):
        row["burnt"] = burnt
    assert all(each.is_healthy for each in verdicts(rows, METRIC))


def test_a_run_that_came_out_of_garbage_is_not_measured_by_it() -> None:
    # as a member of a population that diverged at once and copied another later
    rows = history([0.5, 0.1, 0.2, 300.0, 280.0, 250.0, 240.0])
    for row in rows[:3]:
        row["burnt"] = 1.0
    assert [each.name for each in verdicts(rows, METRIC)] == ["diverged"] * 3 + [HEALTHY] * 4
    rows += history([100.0, 101.0, 102.0, 160.0, 170.0])
    assert verdicts(rows, METRIC)[-1].name == "decayed"


def test_every_trouble_has_a_case() -> None:
    assert {name for name, _, _ in CASES} == {HEALTHY, *TROUBLES}


def test_the_evidence_has_the_numbers() -> None:
    found = verdict(history([600.0, 300.0, 200.0, 200.0, 200.0, 260.0, 260.0, 260.0]), METRIC)
    assert found.evidence == f"{METRIC} was 200 at 8,000 images and is 260 now, 30% worse"


@pytest.mark.parametrize(
    ("real", "fake", "name"),
    [(0.8, 0.76, "decayed"), (0.9, 0.58, HEALTHY), (0.6, 0.62, HEALTHY), (0.5, 0.4, "decayed")],
)
def test_a_rise_is_decay_sooner_where_a_player_is_ahead(real: float, fake: float, name: str) -> None:
    rows = history([*FALLING, 330.0, 340.0, 350.0])
    assert verdict(rows, METRIC).is_healthy  # at high rates a run wanders by a fifth, and comes back
    for row in rows[-2:]:
        row |= {"accuracy_real": real, "accuracy_fake": fake}
    assert verdict(rows, METRIC).name == name


@pytest.mark.parametrize(
    ("accuracy", "name"), [(0.7, "stalled"), (0.74, "stalled"), (0.76, "discriminator_won"), (0.6, "stalled")]
)
def test_a_discriminator_that_pulls_away_while_the_run_stands_is_named(accuracy: float, name: str) -> None:
    rows = history(flat(8))
    for row in rows[-2:]:
        row |= {"accuracy_real": accuracy + 0.01, "accuracy_fake": accuracy - 0.01}
    found = verdict(rows, METRIC)
    assert found.name == name
    if name == "discriminator_won":
        assert found.evidence == (
            "the discriminator is right about 76% of images, 70% at the best tick, and "
            f"{METRIC} has fallen by less than 2% in 6 ticks"
        )


def test_a_discriminator_that_pulls_away_from_a_run_in_progress_is_healthy() -> None:
    rows = history(FALLING)
    for row in rows[-2:]:
        row |= {"accuracy_real": 0.85, "accuracy_fake": 0.85}
    assert verdict(rows, METRIC).is_healthy


def test_the_best_tick_is_found_among_those_that_lack_the_objective() -> None:
    rows = history(flat(8))
    for row in rows[:3]:  # their objective is not known, and they would shift the places of those after them
        del row[METRIC]
        row |= {"accuracy_real": 0.9, "accuracy_fake": 0.9}
    rows = [*rows[:3], *history(flat(8))]
    for row in rows[-2:]:
        row |= {"accuracy_real": 0.77, "accuracy_fake": 0.77}
    assert "77% of images, 70% at the best tick" in verdict(rows, METRIC).evidence


def test_a_verdict_needs_what_it_reads_and_nothing_else() -> None:
    bare: list[dict[str, Any]] = [{"swd": value} for value in [*FALLING, 330.0, 340.0, 350.0]]
    assert verdict(bare, "swd").name == "decayed"
    assert verdict(bare[:8], "swd").is_healthy
    collapsed = history(FALLING, spread=0.01)
    for row in collapsed:
        del row["spread_lite0_1k"]
    assert verdict(collapsed, METRIC).is_healthy


@pytest.mark.parametrize(("loss", "name"), [(24.5, HEALTHY), (44.0, HEALTHY), (85.0, "diverged")])
@pytest.mark.parametrize("ticks", [1, 3])
def test_the_losses_of_untrained_networks_may_be_large(loss: float, name: str, ticks: int) -> None:
    rows = history(FALLING[:ticks])
    rows[0]["discriminator_loss"] = loss
    assert verdict(rows, METRIC).name == name


def test_the_evidence_of_an_exploded_loss_is_the_loss_itself() -> None:
    assert verdict([{**STEADY, METRIC: 600.0, "discriminator_loss": 85.0}], METRIC).evidence == (
        "the discriminator's loss has reached 85"
    )


@pytest.mark.parametrize("rows", [[], [{}], [{METRIC: None}], [{}, {"images_seen": 5.0}]])
def test_a_history_without_numbers_is_healthy_and_says_so(rows: list[dict[str, Any]]) -> None:
    found = verdict(rows, METRIC)
    assert found.is_healthy and found.evidence


@pytest.mark.parametrize("name", [METRIC, "generator_loss", "discriminator_loss"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("ticks", [1, 8])
def test_a_number_that_is_not_finite_is_divergence(name: str, value: float, ticks: int) -> None:
    rows = history(FALLING[:ticks])
    rows[-1][name] = value
    found = verdict(rows, METRIC)
    assert found.name == "diverged" and name in found.evidence


def test_a_number_that_was_not_finite_once_does_not_count_for_ever() -> None:
    rows = history(FALLING)
    rows[3][METRIC] = math.nan
    assert verdict(rows, METRIC).is_healthy


def test_the_verdicts_of_a_run_are_those_of_its_prefixes() -> None:
    rows = history([*FALLING, 370.0, 380.0, 390.0])
    found = verdicts(rows, METRIC)
    assert found == [verdict(rows[:end], METRIC) for end in range(1, len(rows) + 1)]
    assert [each.name for each in found[-2:]] == ["decayed"] * 2 and found[7].is_healthy


def test_a_run_that_ended_since_a_number_was_not_finite_has_diverged() -> None:
    found = of_divergence("the generator's loss is nan by step 3")
    assert (found.name, found.evidence) == ("diverged", "the generator's loss is nan by step 3")
    assert found.remedy


def test_the_smoothed_value_is_the_median_of_three() -> None:
    assert smoothed([5.0, 1.0, 3.0, 2.0]) == [5.0, 3.0, 3.0, 2.0]
    assert smoothed([]) == []
