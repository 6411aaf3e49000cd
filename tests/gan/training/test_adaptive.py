"""Adaptive augmentation: the probability against a second implementation in plain numbers."""

import math

import numpy as np
import pytest
import torch

from common.errors import ConfigError
from gan.checkpoint import CheckpointError
from gan.config import BalanceConfig, GanConfig
from gan.training.balance import POLICIES, Turn
from gan.training.balance._probability import AdaptiveProbability

CPU = torch.device("cpu")


def _adaptive(**values: float) -> AdaptiveProbability:
    config = GanConfig.from_dict({"balance": {"policy": "adaptive", **values}}).balance
    build = POLICIES["adaptive"].augment_probability
    assert build is not None
    return build(config, CPU)


def test_it_follows_the_rule_in_plain_numbers() -> None:
    adaptive = _adaptive(augment_target=0.4, augment_every=5, augment_speed=0.5)
    measured = np.random.default_rng(0).normal((1.0, 0.6, 0.0), 0.3, (60, 3))
    probability, history = 0.0, []
    means = np.zeros(3)
    for count, outputs in enumerate(measured, start=1):
        share = max(0.1, 1 / count)
        means = (1 - share) * means + share * outputs
        training, held_out, generated = means
        overfitting = (training - held_out) / (training - generated) if training > generated else 0.0
        change = 0.5 * 5 * 64 / 1000
        probability = min(1.0, max(0.0, probability + (change if overfitting > 0.4 else -change)))
        adaptive.update(torch.from_numpy(outputs), 64)
        history.append(probability)
        assert float(adaptive.value) == pytest.approx(probability, abs=1e-5)
    assert {0.0, 1.0} & set(history) and len(set(history)) > 3


def test_from_0_to_1_it_takes_as_many_images_as_its_speed_says() -> None:
    adaptive, images = _adaptive(augment_every=4, augment_speed=0.25), 0
    for step in range(200):
        if adaptive.is_due(step):
            adaptive.update(torch.tensor([1.0, 0.0, 0.0]), 50)  # held-out images are taken for generated ones
        images += 50
        if float(adaptive.value) >= 1 - 1e-6:
            break
    assert images == pytest.approx(1000 / 0.25, abs=4 * 50)


@pytest.mark.parametrize(
    "outputs",
    [[1.0, 1.0, 0.0], [0.0, -5.0, 1.0], [0.0, 0.0, 0.0], [math.nan] * 3],
    ids=["no overfitting", "generated ones judged better", "all alike", "nan"],
)
def test_where_overfitting_is_not_seen_the_probability_falls(outputs: list[float]) -> None:
    adaptive = _adaptive()
    adaptive.load_state([0.0, 0.5, 0.0, 0.0, 0.0])
    adaptive.update(torch.tensor(outputs), 64)
    assert float(adaptive.value) == pytest.approx(0.5 - 0.1 * 8 * 64 / 1000)


def test_a_state_goes_on_exactly_and_a_broken_one_is_refused_in_one_line() -> None:
    stayed, measured = _adaptive(), torch.rand(30, 3, generator=torch.Generator().manual_seed(0))
    for outputs in measured[:15]:
        stayed.update(outputs, 64)
    moved = _adaptive()
    moved.load_state(stayed.state())
    for outputs in measured[15:]:
        stayed.update(outputs, 64)
        moved.update(outputs, 64)
    assert stayed.state() == moved.state()
    for broken in ([1.0, 0.5], ["a"] * 5, None):
        with pytest.raises(CheckpointError, match="must be five numbers"):
            moved.load_state(broken)  # type: ignore[arg-type]


def test_both_players_train_in_every_step() -> None:
    config = BalanceConfig(policy="adaptive")
    assert all(POLICIES["adaptive"].turn(config, step, None) == Turn(True, True) for step in range(20))
    assert not POLICIES["adaptive"].reads_measured


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"augment_target": math.nan}, "--augment-target must lie between -10 and 10, not nan; try 0.5"),
        ({"augment_every": 0}, "--augment-every must lie between 1 and 10000, not 0; try 8"),
        ({"augment_speed": 0.0}, "--augment-speed must be above 0 and at most 1000, not 0; try 0.1"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(values: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        GanConfig.from_dict({"balance": values})
