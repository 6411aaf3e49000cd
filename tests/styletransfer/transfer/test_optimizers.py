"""The optimizers on objectives with known minima, and what they do about numbers that are not finite."""

import math

import pytest
import torch
from torch import Tensor

from common.errors import ConfigError
from styletransfer.config import StyleConfig
from styletransfer.transfer.losses import Losses
from styletransfer.transfer.objective import Evaluated
from styletransfer.transfer.optimizers import OPTIMIZERS, Evaluate, Optimized, Report
from styletransfer.transfer.optimizers.adam import adam
from styletransfer.transfer.optimizers.lbfgs import lbfgs

SHAPE = (1, 3, 4, 5)
NAMES = ("content", "style", "variation")


def ignore(_: list[Losses]) -> None:
    pass


def optimize(
    start: Tensor, evaluate: Evaluate, evaluations: int, config: StyleConfig, report: Report
) -> Optimized:
    return OPTIMIZERS[config.optimizer].optimize(start, evaluate, evaluations, config, report)


def valley(goal: Tensor) -> Evaluate:
    """A quadratic with its minimum at `goal`, a hundred times as steep in one channel as in another."""
    steepness = torch.tensor([1.0, 10.0, 100.0]).view(1, 3, 1, 1)

    def evaluate(pictures: Tensor) -> Evaluated:
        difference = pictures.detach() - goal
        loss = (steepness * difference.square()).mean(dim=(1, 2, 3))
        terms = torch.stack([loss, 0 * loss, 0 * loss, loss], dim=1)
        return Evaluated(NAMES, terms, 2 * steepness * difference)

    return evaluate


def broken_at(evaluate: Evaluate, *bad: int, gradient_alone: bool = False) -> Evaluate:
    """The same, but not finite at these evaluations."""
    done = 0

    def broken(pictures: Tensor) -> Evaluated:
        nonlocal done
        done += 1
        names, terms, gradient = evaluate(pictures)
        if done - 1 in bad:
            gradient = gradient * math.nan
            terms = terms if gradient_alone else terms * math.nan
        return Evaluated(names, terms, gradient)

    return broken


def random_picture(seed: int = 0) -> Tensor:
    return torch.rand(SHAPE, generator=torch.Generator().manual_seed(seed))


def test_the_gradient_of_the_valley_is_its_own() -> None:
    leaf = random_picture(1).requires_grad_()
    steepness = torch.tensor([1.0, 10.0, 100.0]).view(1, 3, 1, 1)
    loss = (steepness * (leaf - random_picture()).square()).mean()
    (expected,) = torch.autograd.grad(loss, leaf)
    found = valley(random_picture())(leaf).gradient
    torch.testing.assert_close(found / found.numel(), expected)


def test_adam_finds_the_minimum() -> None:
    goal = random_picture()
    optimized = adam(random_picture(1), valley(goal), 300, lr=0.02, averaging=0.1, report=ignore)
    assert optimized.evaluations == 300
    assert optimized.stayed_finite
    torch.testing.assert_close(optimized.pictures, goal, atol=0.01, rtol=0)


def test_adam_stays_within_the_range_of_pictures() -> None:
    goal = 3 * random_picture() - 1
    seen = []

    def evaluate(pictures: Tensor) -> Evaluated:
        seen.append(pictures.clone())
        return valley(goal)(pictures)

    optimized = adam(random_picture(1), evaluate, 200, lr=0.05, averaging=0.1, report=ignore)
    for pictures in (*seen, optimized.pictures):
        assert float(pictures.min()) >= 0
        assert float(pictures.max()) <= 1
    torch.testing.assert_close(optimized.pictures, goal.clamp(0, 1), atol=0.02, rtol=0)


def test_adam_steps_as_its_authors_say_and_averages_with_its_start_corrected() -> None:
    start, evaluate = 0.2 + 0.6 * random_picture(1), valley(random_picture())
    x, first, second, average = (start.clone(), *(torch.zeros(SHAPE) for _ in range(3)))
    count, lr, averaging = 10, 0.01, 0.5
    decay = 1 - 1 / (averaging * count)
    for step in range(1, count + 1):
        gradient = evaluate(x).gradient
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient**2
        x = x - lr * (first / (1 - 0.9**step)) / ((second / (1 - 0.99**step)).sqrt() + 1e-8)
        x = x.clamp(0, 1)
        average = decay * average + (1 - decay) * x
    found = adam(start, evaluate, count, lr=lr, averaging=averaging, report=ignore)
    torch.testing.assert_close(found.pictures, average / (1 - decay**count), atol=1e-5, rtol=0)
    last = adam(start, evaluate, count, lr=lr, averaging=0, report=ignore)
    torch.testing.assert_close(last.pictures, x, atol=1e-5, rtol=0)


def test_lbfgs_finds_the_minimum_in_few_evaluations() -> None:
    goal = random_picture()
    optimized = lbfgs(random_picture(1), valley(goal), 30, report=ignore)
    torch.testing.assert_close(optimized.pictures, goal, atol=1e-4, rtol=0)


def test_lbfgs_clamps_at_the_end_alone() -> None:
    goal = 3 * random_picture() - 1
    furthest = 0.0

    def evaluate(pictures: Tensor) -> Evaluated:
        nonlocal furthest
        furthest = max(furthest, float(pictures.max()))
        return valley(goal)(pictures)

    optimized = lbfgs(random_picture(1), evaluate, 30, report=ignore)
    assert furthest > 1.5
    torch.testing.assert_close(optimized.pictures, goal.clamp(0, 1), atol=1e-4, rtol=0)


def test_lbfgs_takes_no_more_evaluations_than_it_may() -> None:
    reported = []
    optimized = lbfgs(random_picture(1), valley(random_picture()), 7, report=reported.append)
    assert optimized.evaluations == len(reported) == 7


@pytest.mark.parametrize("gradient_alone", [True, False])
def test_lbfgs_goes_back_to_the_best_picture_and_on_with_adam(gradient_alone: bool) -> None:
    goal, reported, seen = random_picture(), [], []
    evaluate = broken_at(valley(goal), 4, gradient_alone=gradient_alone)

    def watched(pictures: Tensor) -> Evaluated:
        seen.append(pictures.detach().clone())
        return evaluate(pictures)

    config = StyleConfig(optimizer="lbfgs", lr=0.02)
    optimized = optimize(random_picture(1), watched, 200, config, reported.append)
    losses = [each[0]["total"] for each in reported]
    assert len(reported) == optimized.evaluations == 200
    assert not optimized.stayed_finite
    best = min(seen[:4], key=lambda each: float(valley(goal)(each).terms[0, -1]))
    torch.testing.assert_close(seen[5], best.clamp(0, 1))
    assert losses[-1] < losses[5]
    torch.testing.assert_close(optimized.pictures, goal, atol=0.02, rtol=0)


def steep(goal: Tensor) -> Evaluate:
    """The valley with a gradient at one black pixel that makes all other steps too small for float32."""

    def evaluate(pictures: Tensor) -> Evaluated:
        names, terms, gradient = valley(goal)(pictures)
        gradient = gradient.clone()
        gradient[0, 0, 0, 0] = 1e12
        return Evaluated(names, terms, gradient)

    return evaluate


def test_where_no_step_of_lbfgs_lowers_the_loss_adam_goes_on() -> None:
    start, goal, reported = random_picture(1), random_picture(), []
    start[0, 0, 0, 0] = goal[0, 0, 0, 0] = 0
    alone = lbfgs(start, steep(goal), 200, report=ignore)
    assert alone.evaluations < 100 and not alone.has_fallen
    optimized = optimize(start, steep(goal), 200, StyleConfig(optimizer="lbfgs", lr=0.02), reported.append)
    assert len(reported) == optimized.evaluations == 200
    assert optimized.stayed_finite and optimized.has_fallen
    torch.testing.assert_close(optimized.pictures, goal, atol=0.03, rtol=0)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_loss_that_never_falls_is_no_success_and_leaves_the_start(optimizer: str) -> None:
    start = random_picture(1)

    def flat(pictures: Tensor) -> Evaluated:
        rising = (pictures.detach() - start).abs().mean(dim=(1, 2, 3))
        return Evaluated(NAMES, torch.stack([rising] * 4, dim=1) + 1, torch.ones(SHAPE))

    optimized = optimize(start, flat, 30, StyleConfig(optimizer=optimizer), ignore)  # type: ignore[arg-type]
    assert not optimized.has_fallen
    if optimizer == "lbfgs":
        torch.testing.assert_close(optimized.pictures, start)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_minimum_to_begin_with_is_a_success(optimizer: str) -> None:
    start = random_picture()
    optimized = optimize(start, valley(start), 20, StyleConfig(optimizer=optimizer), ignore)  # type: ignore[arg-type]
    assert optimized.has_fallen
    torch.testing.assert_close(optimized.pictures, start)


@pytest.mark.parametrize("gradient_alone", [True, False])
def test_adam_goes_back_to_the_last_good_picture(gradient_alone: bool) -> None:
    goal, seen = random_picture(), []
    evaluate = broken_at(valley(goal), 3, 20, gradient_alone=gradient_alone)

    def watched(pictures: Tensor) -> Evaluated:
        seen.append(pictures.clone())
        return evaluate(pictures)

    optimized = adam(random_picture(1), watched, 300, lr=0.02, averaging=0.1, report=ignore)
    torch.testing.assert_close(seen[4], seen[2])
    torch.testing.assert_close(seen[21], seen[19])
    assert not optimized.stayed_finite
    torch.testing.assert_close(optimized.pictures, goal, atol=0.02, rtol=0)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_loss_that_is_never_finite_is_one_clear_line(optimizer: str) -> None:
    config = StyleConfig(optimizer=optimizer)  # type: ignore[arg-type]
    for bad in (range(200), range(3, 200)):
        with pytest.raises(ConfigError, match="the loss does not stay finite") as refused:
            optimize(random_picture(1), broken_at(valley(random_picture()), *bad), 200, config, ignore)
        assert "\n" not in str(refused.value)
