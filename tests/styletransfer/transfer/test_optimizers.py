"""The optimizers on objectives with known minima, and what they do about numbers that are not finite."""

import math

import pytest
import torch
from torch import Tensor

from common.errors import ConfigError
from styletransfer.config import StyleConfig
from styletransfer.transfer.losses import Losses
from styletransfer.transfer.objective import Evaluation
from styletransfer.transfer.optimizers import Judge, adam, lbfgs, lower

SHAPE = (1, 3, 4, 5)


def ignore(_: list[Losses]) -> None:
    pass


def valley(goal: Tensor) -> Judge:
    """A quadratic with its minimum at `goal`, a hundred times as steep in one channel as in another."""
    steepness = torch.tensor([1.0, 10.0, 100.0]).view(1, 3, 1, 1)

    def judge(pictures: Tensor) -> Evaluation:
        difference = pictures.detach() - goal
        loss = (steepness * difference.square()).mean(dim=(1, 2, 3))
        terms = torch.stack([loss, 0 * loss, 0 * loss, loss], dim=1)
        return Evaluation(terms, 2 * steepness * difference)

    return judge


def broken_at(judge: Judge, *bad: int, gradient_alone: bool = False) -> Judge:
    """The same, but not finite at these evaluations."""
    done = 0

    def broken(pictures: Tensor) -> Evaluation:
        nonlocal done
        done += 1
        terms, gradient = judge(pictures)
        if done - 1 in bad:
            gradient = gradient * math.nan
            terms = terms if gradient_alone else terms * math.nan
        return Evaluation(terms, gradient)

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
    lowered = adam(random_picture(1), valley(goal), 300, lr=0.02, averaging=0.1, report=ignore)
    assert lowered.evaluations == 300
    assert lowered.stayed_finite
    torch.testing.assert_close(lowered.pictures, goal, atol=0.01, rtol=0)


def test_adam_stays_within_the_range_of_pictures() -> None:
    goal = 3 * random_picture() - 1
    seen = []

    def judge(pictures: Tensor) -> Evaluation:
        seen.append(pictures.clone())
        return valley(goal)(pictures)

    lowered = adam(random_picture(1), judge, 200, lr=0.05, averaging=0.1, report=ignore)
    for pictures in (*seen, lowered.pictures):
        assert float(pictures.min()) >= 0
        assert float(pictures.max()) <= 1
    torch.testing.assert_close(lowered.pictures, goal.clamp(0, 1), atol=0.02, rtol=0)


def test_adam_steps_as_its_authors_say_and_averages_with_its_start_corrected() -> None:
    start, judge = 0.2 + 0.6 * random_picture(1), valley(random_picture())
    x, first, second, average = (start.clone(), *(torch.zeros(SHAPE) for _ in range(3)))
    count, lr, averaging = 10, 0.01, 0.5
    decay = 1 - 1 / (averaging * count)
    for step in range(1, count + 1):
        gradient = judge(x).gradient
        first = 0.9 * first + 0.1 * gradient
        second = 0.99 * second + 0.01 * gradient**2
        x = x - lr * (first / (1 - 0.9**step)) / ((second / (1 - 0.99**step)).sqrt() + 1e-8)
        x = x.clamp(0, 1)
        average = decay * average + (1 - decay) * x
    found = adam(start, judge, count, lr=lr, averaging=averaging, report=ignore)
    torch.testing.assert_close(found.pictures, average / (1 - decay**count), atol=1e-5, rtol=0)
    last = adam(start, judge, count, lr=lr, averaging=0, report=ignore)
    torch.testing.assert_close(last.pictures, x, atol=1e-5, rtol=0)


def test_lbfgs_finds_the_minimum_in_few_evaluations() -> None:
    goal = random_picture()
    lowered = lbfgs(random_picture(1), valley(goal), 30, report=ignore)
    torch.testing.assert_close(lowered.pictures, goal, atol=1e-4, rtol=0)


def test_lbfgs_clamps_at_the_end_alone() -> None:
    goal = 3 * random_picture() - 1
    furthest = 0.0

    def judge(pictures: Tensor) -> Evaluation:
        nonlocal furthest
        furthest = max(furthest, float(pictures.max()))
        return valley(goal)(pictures)

    lowered = lbfgs(random_picture(1), judge, 30, report=ignore)
    assert furthest > 1.5
    torch.testing.assert_close(lowered.pictures, goal.clamp(0, 1), atol=1e-4, rtol=0)


def test_lbfgs_takes_no_more_evaluations_than_it_may() -> None:
    reported = []
    lowered = lbfgs(random_picture(1), valley(random_picture()), 7, report=reported.append)
    assert lowered.evaluations == len(reported) == 7


@pytest.mark.parametrize("gradient_alone", [True, False])
def test_lbfgs_goes_back_to_the_best_picture_and_on_with_adam(gradient_alone: bool) -> None:
    goal, reported, seen = random_picture(), [], []
    judge = broken_at(valley(goal), 4, gradient_alone=gradient_alone)

    def watched(pictures: Tensor) -> Evaluation:
        seen.append(pictures.detach().clone())
        return judge(pictures)

    config = StyleConfig(optimizer="lbfgs", lr=0.02)
    lowered = lower(random_picture(1), watched, 200, config, report=reported.append)
    losses = [each[0].total for each in reported]
    assert len(reported) == lowered.evaluations == 200
    assert not lowered.stayed_finite
    best = min(seen[:4], key=lambda each: float(valley(goal)(each).terms[0, -1]))
    torch.testing.assert_close(seen[5], best.clamp(0, 1))
    assert losses[-1] < losses[5]
    torch.testing.assert_close(lowered.pictures, goal, atol=0.02, rtol=0)


@pytest.mark.parametrize("gradient_alone", [True, False])
def test_adam_goes_back_to_the_last_good_picture(gradient_alone: bool) -> None:
    goal, seen = random_picture(), []
    judge = broken_at(valley(goal), 3, 20, gradient_alone=gradient_alone)

    def watched(pictures: Tensor) -> Evaluation:
        seen.append(pictures.clone())
        return judge(pictures)

    lowered = adam(random_picture(1), watched, 300, lr=0.02, averaging=0.1, report=ignore)
    torch.testing.assert_close(seen[4], seen[2])
    torch.testing.assert_close(seen[21], seen[19])
    assert not lowered.stayed_finite
    torch.testing.assert_close(lowered.pictures, goal, atol=0.02, rtol=0)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_loss_that_is_never_finite_is_one_clear_line(optimizer: str) -> None:
    config = StyleConfig(optimizer=optimizer)  # type: ignore[arg-type]
    for bad in (range(200), range(3, 200)):
        with pytest.raises(ConfigError, match="the loss does not stay finite") as refused:
            lower(random_picture(1), broken_at(valley(random_picture()), *bad), 200, config, report=ignore)
        assert "\n" not in str(refused.value)
