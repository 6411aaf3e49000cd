"""Ticks of few steps are read together: thresholds were chosen on ticks of some thirty."""

import math

import pytest

from gan.training.health import HEALTHY, verdict, verdicts
from gan.training.health.signals import Signals, spaced
from tests.gan.training.health.test_rules import FALLING, METRIC, STEADY, flat, history

# measured: images, steps, objective and spread of a healthy run of width 8 at the base settings on the
# built-in shapes, in ticks of 512 images
YOUTH = """
    512 8 586.1 .0696, 1024 16 606.2 .0781, 1536 24 620.4 .0576, 2048 32 625.3 .0447, 2560 40 637.8 .0250,
    3008 47 631.1 .0256, 3520 55 587.7 .0587, 4032 63 580.5 .0759, 4544 71 559.7 .1124, 5056 79 539.8 .1515,
    5504 86 527.9 .1691, 6016 94 512.8 .2038, 6528 102 498.3 .2397, 7040 110 493.0 .2783,
    7552 118 492.7 .3184, 8000 125 493.6 .3504, 8512 133 495.1 .3854, 9024 141 495.5 .4172,
    9536 149 495.1 .4454, 10048 157 493.6 .4684, 10560 165 492.1 .4865, 11008 172 490.6 .4993,
    11520 180 491.5 .5091, 12032 188 490.9 .5182, 12544 196 485.9 .5281,
    13056 204 475.7 .5377, 13504 211 464.6 .5457
"""


def test_a_slow_healthy_run_in_short_ticks_has_no_trouble() -> None:
    names = ("images_seen", "step", METRIC, "spread_lite0_1k")
    rows = [STEADY | dict(zip(names, map(float, tick.split()), strict=True)) for tick in YOUTH.split(",")]
    for row in rows:  # as it was from the start
        row |= {"accuracy_real": 1.0, "accuracy_fake": 1.0, "discriminator_margin": 5.0}
    assert {each.name for each in verdicts(rows, METRIC)} == {HEALTHY}
    # what the numbers meant while each tick counted
    without_steps = [{name: value for name, value in row.items() if name != "step"} for row in rows]
    assert {each.name for each in verdicts(without_steps, METRIC)} > {"mode_collapse", "discriminator_won"}


def test_a_trouble_is_named_with_short_ticks_too_and_its_evidence_counts_all_of_them() -> None:
    short = [
        row | {"step": 10.0 * tick}
        for tick, row in enumerate(
            (row for row in history(flat(7), accuracy_real=0.7) for _ in range(3)), start=1
        )
    ]
    found = verdict(short, METRIC)
    assert found.name == "stalled" and "in 18 ticks" in found.evidence
    # one tick of 30 steps is a tick
    assert "in 6 ticks" in verdict([short[place] for place in range(2, len(short), 3)], METRIC).evidence


def test_divergence_is_named_after_any_tick() -> None:
    rows = [{**STEADY, METRIC: 500.0 - tick, "step": float(tick)} for tick in range(1, 9)]
    assert verdict(rows, METRIC).name == HEALTHY
    rows[-1]["discriminator_loss"] = 40.0
    assert verdict(rows, METRIC).name == "diverged"
    # and in the ticks just after it
    assert verdict([*rows, {**STEADY, METRIC: 490.0, "step": 9.0}], METRIC).name == "diverged"


@pytest.mark.parametrize(
    ("steps", "places"),
    [
        ([], []),
        ([8.0], [0]),
        ([32.0, 63.0, 94.0], [0, 1, 2]),
        ([10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0], [0, 3, 6]),
        ([8.0, None, math.nan, 16.0], [0, 1, 2, 3]),  # unknown ones are kept
        ([400.0, 500.0, 40.0, 45.0, 80.0], [0, 1, 3, 4]),  # a copy of another run that was less far
    ],
)
def test_which_ticks_are_read(steps: list[float | None], places: list[int]) -> None:
    assert spaced([{"step": step} for step in steps], 30) == places


def test_steps_that_are_not_known_do_not_make_a_run_young() -> None:
    assert Signals(history(FALLING), METRIC, least_steps=30).steps == math.inf
    assert verdict(history(FALLING, spread=0.03), METRIC).name == "mode_collapse"
    young = [
        row | {"step": 25.0 * tick} for tick, row in enumerate(history(FALLING[:3], spread=0.03), start=1)
    ]
    assert verdict(young, METRIC).name == HEALTHY
