"""Learning-rate schedules against PyTorch's own schedulers and hand-counted plateaus."""

import warnings

import pytest
import torch

from gan.config import GanConfig, OptimizerConfig
from gan.training.lr_schedule import Plateau, after_tick, learning_rate_factor

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


def test_plateau_multiplies_by_the_drop_once_for_each_plateau_and_other_schedules_ignore_plateaus() -> None:
    config = OptimizerConfig(schedule="plateau", drop=0.1)
    assert [learning_rate_factor(config, progress=0.3, drops=n) for n in range(3)] == pytest.approx(
        [1, 0.1, 0.01]
    )
    assert learning_rate_factor(OptimizerConfig(), progress=0.3, drops=2) == 1.0


def test_a_plateau_is_patience_ticks_without_a_better_objective_counted_anew_after_a_drop() -> None:
    #           first  better  -    -    drop  -    better -    -    drop
    objectives = [9.0, 8.0, 8.0, 8.5, 9.0, 8.1, 7.0, 7.5, 7.1, 7.0]
    plateau, drops = Plateau(), []
    for objective in objectives:
        plateau = after_tick(plateau, objective, patience=3)
        drops.append(plateau.drops)
    assert drops == [0, 0, 0, 0, 1, 1, 1, 1, 1, 2]
    assert plateau.best == 7.0


def test_the_earlier_name_stall_is_read_as_plateau() -> None:
    assert OptimizerConfig(schedule="stall") == OptimizerConfig(schedule="plateau")
    assert GanConfig.from_dict({"optimizer": {"schedule": "stall"}}).optimizer.schedule == "plateau"


def test_the_plateau_schedule_drops_when_pytorch_s_does() -> None:
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    # PyTorch's patience counts the ticks that are forgiven, ours the tick of the drop
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2, threshold=0.0)
    config, plateau = OptimizerConfig(schedule="plateau", drop=0.5, patience=3), Plateau()
    randomness = torch.Generator().manual_seed(1)
    for value in torch.rand(60, generator=randomness).tolist():
        theirs.step(value)
        plateau = after_tick(plateau, value, patience=config.patience)
        factor = learning_rate_factor(config, progress=0, drops=plateau.drops)
        assert factor == pytest.approx(optimizer.param_groups[0]["lr"], abs=1e-7)
