"""Learning-rate schedules against PyTorch's own schedulers and hand-counted stalls."""

import warnings

import pytest
import torch

from gan.config import OptimizerConfig
from gan.training.lr_schedule import Stall, after_tick, learning_rate_factor

STEPS = 40


def _factors(**settings: object) -> list[float]:
    config = OptimizerConfig(**settings)  # type: ignore[arg-type]
    return [learning_rate_factor(config, progress=step / STEPS) for step in range(STEPS + 1)]


def _torch_factors(build: object) -> list[float]:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    scheduler = build(optimizer)  # type: ignore[operator]
    factors = [1.0]
    for _ in range(STEPS):
        optimizer.step()
        scheduler.step()
        factors.append(optimizer.param_groups[0]["lr"])
    return factors


def test_constant_stays_at_one() -> None:
    assert set(_factors(schedule="constant")) == {1.0}


def test_cosine_is_pytorch_s_annealing_over_the_run() -> None:
    expected = _torch_factors(lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS))
    assert _factors(schedule="cosine") == pytest.approx(expected, abs=1e-9)


def test_linear_is_pytorch_s_constant_then_linear_decay_to_zero() -> None:
    def build(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LRScheduler:
        kinds = torch.optim.lr_scheduler
        constant = kinds.ConstantLR(optimizer, factor=1.0)
        linear = kinds.LinearLR(optimizer, 1.0, 0.0, total_iters=STEPS * 3 // 4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return kinds.SequentialLR(optimizer, [constant, linear], milestones=[STEPS // 4])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SequentialLR steps with a deprecated argument
        expected = _torch_factors(build)
    assert _factors(schedule="linear", decay_at=0.25) == pytest.approx(expected, abs=1e-9)


def test_linear_from_the_very_end_never_decays_before_it() -> None:
    assert set(_factors(schedule="linear", decay_at=1.0)) == {1.0}


def test_step_drops_once_at_its_share_of_the_run() -> None:
    factors = _factors(schedule="step", decay_at=0.5, drop=0.2)
    assert factors == [1.0] * (STEPS // 2) + [0.2] * (STEPS // 2 + 1)


def test_beyond_the_end_the_rate_is_that_of_the_end() -> None:
    for name in ("linear", "cosine"):
        assert learning_rate_factor(OptimizerConfig(schedule=name), progress=1.5) == pytest.approx(0)  # type: ignore[arg-type]


def test_stall_multiplies_by_the_drop_once_for_each_stall_and_other_schedules_ignore_stalls() -> None:
    config = OptimizerConfig(schedule="stall", drop=0.1)
    assert [learning_rate_factor(config, progress=0.3, drops=n) for n in range(3)] == pytest.approx(
        [1, 0.1, 0.01]
    )
    assert learning_rate_factor(OptimizerConfig(), progress=0.3, drops=2) == 1.0


def test_a_stall_is_patience_ticks_without_a_better_objective_counted_anew_after_a_drop() -> None:
    #           first  better  -    -    drop  -    better -    -    drop
    objectives = [9.0, 8.0, 8.0, 8.5, 9.0, 8.1, 7.0, 7.5, 7.1, 7.0]
    stall, drops = Stall(), []
    for objective in objectives:
        stall = after_tick(stall, objective, lower_is_better=True, patience=3)
        drops.append(stall.drops)
    assert drops == [0, 0, 0, 0, 1, 1, 1, 1, 1, 2]
    assert stall.best == 7.0


def test_where_higher_is_better_the_same_history_negated_drops_the_same() -> None:
    low, high = Stall(), Stall()
    for objective in (3.0, 2.0, 2.5, 2.5, 1.0, 4.0, 4.0, 4.0):
        low = after_tick(low, objective, lower_is_better=True, patience=2)
        high = after_tick(high, -objective, lower_is_better=False, patience=2)
        assert (low.drops, low.ticks_since_best) == (high.drops, high.ticks_since_best)


def test_the_stall_schedule_drops_when_pytorch_s_plateau_schedule_does() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    # PyTorch's patience counts the ticks that are forgiven, ours the tick of the drop
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2, threshold=0.0)
    config, stall = OptimizerConfig(schedule="stall", drop=0.5, patience=3), Stall()
    randomness = torch.Generator().manual_seed(1)
    for value in torch.rand(60, generator=randomness).tolist():
        plateau.step(value)
        stall = after_tick(stall, value, lower_is_better=True, patience=config.patience)
        factor = learning_rate_factor(config, progress=0, drops=stall.drops)
        assert factor == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-7)
