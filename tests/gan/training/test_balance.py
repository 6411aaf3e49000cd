"""Who trains: decisions against the rules in words and against counts."""

import itertools
import math
from fractions import Fraction

import pytest

from gan.config import BalanceConfig
from gan.training.balance import POLICIES, Measured, Turn


def _measured(loss: float = 1.0, real: float = 0.5, fake: float = 0.5) -> Measured:
    return Measured(discriminator_loss=loss, accuracy_real=real, accuracy_fake=fake)


def discriminator_trains(config: BalanceConfig, *, step: int, measured: Measured | None) -> bool:
    return POLICIES[config.policy].discriminator_trains(config, step, measured)


def generator_trains(config: BalanceConfig, *, step: int, measured: Measured | None = None) -> bool:
    return POLICIES[config.policy].generator_trains(config, step, measured)


def test_without_a_policy_both_train_whatever_was_measured() -> None:
    config = BalanceConfig()
    for step, measured in itertools.product(range(5), (None, _measured(0, 1, 1), _measured(9, 0, 0))):
        assert discriminator_trains(config, step=step, measured=measured)
        assert generator_trains(config, step=step, measured=measured)


def test_the_loss_policy_rests_the_discriminator_strictly_under_the_threshold() -> None:
    config = BalanceConfig(policy="loss", loss_threshold=0.4)
    trains = {
        loss: discriminator_trains(config, step=3, measured=_measured(loss)) for loss in (0.39, 0.4, 0.41)
    }
    assert trains == {0.39: False, 0.4: True, 0.41: True}


def test_the_accuracy_policy_rests_the_discriminator_when_the_mean_is_over_the_threshold() -> None:
    config = BalanceConfig(policy="accuracy", accuracy_threshold=0.75)
    assert discriminator_trains(config, step=3, measured=_measured(real=1.0, fake=0.5))
    assert not discriminator_trains(config, step=3, measured=_measured(real=1.0, fake=0.625))
    assert discriminator_trains(config, step=3, measured=_measured(real=0.0, fake=1.0))


@pytest.mark.parametrize("policy", ["loss", "accuracy"])
def test_before_anything_is_measured_and_on_nan_both_train(policy: str) -> None:
    config = BalanceConfig(policy=policy)
    assert discriminator_trains(config, step=0, measured=None)
    assert discriminator_trains(config, step=1, measured=_measured(math.nan, math.nan, math.nan))
    assert generator_trains(config, step=0)


@pytest.mark.parametrize(("d", "g"), [(1, 1), (5, 1), (1, 5), (3, 2), (2, 3), (4, 6), (100, 99)])
def test_a_fixed_ratio_is_exact_over_a_cycle_and_never_rests_both(d: int, g: int) -> None:
    config = BalanceConfig(policy="steps", discriminator_steps=d, generator_steps=g)
    steps = range(max(d, g) * 3)
    trained_d = [discriminator_trains(config, step=step, measured=_measured(-9, 1, 1)) for step in steps]
    trained_g = [generator_trains(config, step=step) for step in steps]
    assert Fraction(sum(trained_d), sum(trained_g)) == Fraction(d, g)
    assert all(a or b for a, b in zip(trained_d, trained_g, strict=True))


def test_five_to_one_trains_the_generator_in_the_last_of_every_five_steps() -> None:
    config = BalanceConfig(policy="steps", discriminator_steps=5, generator_steps=1)
    assert [step for step in range(15) if generator_trains(config, step=step)] == [4, 9, 14]


def test_an_uneven_ratio_is_spread_evenly() -> None:
    config = BalanceConfig(policy="steps", discriminator_steps=5, generator_steps=2)
    turns = [step for step in range(50) if generator_trains(config, step=step)]
    assert {later - earlier for earlier, later in itertools.pairwise(turns)} == {2, 3}


def test_of_the_policies_here_only_loss_and_accuracy_read_measurements() -> None:
    found = {name: POLICIES[name].reads_measured for name in ("none", "loss", "accuracy", "steps")}
    assert found == {"none": False, "loss": True, "accuracy": True, "steps": False}


def _turn(config: BalanceConfig, step: int, measured: Measured | None) -> Turn:
    return POLICIES[config.policy].turn(config, step, measured)


def test_with_a_margin_the_player_that_is_ahead_rests() -> None:
    config = BalanceConfig(policy="margin", accuracy_level=0.75, accuracy_margin=0.125)
    # the mean of both accuracies: 0.875 and 0.625 are at the margin, where both still train
    expected = {
        0.9: Turn(False, True),
        0.875: Turn(True, True),
        0.625: Turn(True, True),
        0.6: Turn(True, False),
    }
    for mean, turn in expected.items():
        for spread in (0.0, 0.1):
            assert _turn(config, 3, _measured(real=mean - spread, fake=mean + spread)) == turn


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("margin", [0.0, 0.1, 1.0])
def test_with_a_margin_never_both_rest_and_none_for_longer_than_said(level: float, margin: float) -> None:
    config = BalanceConfig(policy="margin", accuracy_level=level, accuracy_margin=margin, longest_rest=4)
    for real, fake in itertools.product((0.0, 0.3, 0.5, 1.0, math.nan), repeat=2):
        turns = [_turn(config, step, _measured(real=real, fake=fake)) for step in range(40)]
        assert all(turn.discriminator or turn.generator for turn in turns)
        for player in zip(*turns, strict=True):
            rests = [len(list(run)) for trains, run in itertools.groupby(player) if not trains]
            assert max(rests, default=0) <= 3


def test_with_a_margin_both_train_before_anything_is_measured_and_on_nan() -> None:
    config = BalanceConfig(policy="margin", accuracy_margin=0.0)
    assert _turn(config, 0, None) == Turn(True, True)
    assert _turn(config, 1, _measured(math.nan, math.nan, math.nan)) == Turn(True, True)
    assert POLICIES["margin"].reads_measured
