"""Lowering an objective of pixels at one size, by Adam with averaged iterates or L-BFGS; not what it is."""

import contextlib
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from common.errors import ConfigError
from styletransfer.config import StyleConfig
from styletransfer.transfer.losses import Losses
from styletransfer.transfer.objective import Evaluation

Judge = Callable[[Tensor], Evaluation]
Report = Callable[[list[Losses]], None]

_BETAS = (0.9, 0.99)  # a picture has no mini-batches: its gradients forget faster than Adam's default
_HISTORY = 10
_MOST_RETURNS = 5


class Lowered(NamedTuple):
    """Pictures in [0, 1], and how many evaluations they took; fewer than allowed where that was the end."""

    pictures: Tensor
    evaluations: int
    stayed_finite: bool


def lower(
    pictures: Tensor, judge: Judge, evaluations: int, config: StyleConfig, *, report: Report
) -> Lowered:
    """Lower the objective as the configuration says; where L-BFGS leaves the finite, Adam goes on.

    Raises: as `adam`.
    """
    if config.optimizer == "lbfgs":
        first = lbfgs(pictures, judge, evaluations, report=report)
        left = evaluations - first.evaluations
        if first.stayed_finite or not left:
            return first
        pictures, evaluations = first.pictures, left
        lowered = adam(pictures, judge, evaluations, lr=config.lr, averaging=config.averaging, report=report)
        return Lowered(lowered.pictures, first.evaluations + left, False)
    return adam(pictures, judge, evaluations, lr=config.lr, averaging=config.averaging, report=report)


def adam(
    pictures: Tensor, judge: Judge, evaluations: int, *, lr: float, averaging: float, report: Report
) -> Lowered:
    """Adam (Kingma and Ba 2015) on the pixels, clamped to [0, 1] after every step.

    Returns the exponential average of the iterates over about the last `averaging` of the evaluations, its
    start corrected for as Adam does: averaged, they lie nearer to the minimum that they circle. A loss or a
    gradient that is not finite goes back to the last good pictures and on at half the step.

    Raises: ConfigError when the first loss is not finite, or when it keeps happening.
    """
    decay = 1 - 1 / max(1.0, averaging * evaluations)
    pictures, good = pictures.clone(), pictures.clone()
    average, weight = torch.zeros_like(pictures), 0.0
    optimizer = _adam_for(pictures, lr)
    returns = 0
    for done in range(evaluations):
        judged = judge(pictures)
        losses = judged.losses()
        if not judged.is_finite():
            returns += 1
            _require_hope(returns if done else _MOST_RETURNS + 1)
            pictures.copy_(good)
            optimizer = _adam_for(pictures, lr / 2**returns)
            report(losses)
            continue
        good.copy_(pictures)
        pictures.grad = judged.gradient
        optimizer.step()
        pictures.clamp_(0, 1)
        average.lerp_(pictures, 1 - decay)
        weight += (1 - decay) * (1 - weight)
        report(losses)
    return Lowered(average / weight if weight else good, evaluations, returns == 0)


def lbfgs(pictures: Tensor, judge: Judge, evaluations: int, *, report: Report) -> Lowered:
    """L-BFGS with strong Wolfe line search (Nocedal and Wright 2006, section 7.2), clamped at the end alone.

    Pictures: one or several, one step for all. Returns the best of all evaluated; a loss or a gradient that
    is not finite ends it there.
    """
    # torch's L-BFGS flattens without copying
    pictures, best = pictures.clone(memory_format=torch.contiguous_format), pictures.clamp(0, 1)
    lowest, done, is_finite = float("inf"), 0, True
    optimizer = torch.optim.LBFGS(
        [pictures],
        max_iter=evaluations,
        max_eval=evaluations,
        history_size=_HISTORY,
        # relative to what? the callers say how long it goes on
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        nonlocal lowest, done, is_finite
        if done == evaluations:
            raise _EnoughError
        judged = judge(pictures)
        done += 1
        losses = judged.losses()
        report(losses)
        if not judged.is_finite():
            is_finite = False
            raise _EnoughError
        total = judged.terms[:, -1].sum() * pictures[0].numel()  # as the gradient is
        if float(total) < lowest:
            lowest = float(total)
            best.copy_(pictures)
        pictures.grad = judged.gradient.contiguous()
        return total

    with contextlib.suppress(_EnoughError):
        optimizer.step(closure)
    return Lowered(best.clamp_(0, 1), done, is_finite)


class _EnoughError(Exception):
    """Leaves torch's L-BFGS from within an evaluation."""


def _adam_for(pictures: Tensor, lr: float) -> torch.optim.Adam:
    return torch.optim.Adam([pictures], lr=lr, betas=_BETAS)


def _require_hope(returns: int) -> None:
    if returns > _MOST_RETURNS:
        raise ConfigError(
            "the loss does not stay finite; lower the weights or --lr, or choose other --weights or "
            "--precision fp32"
        )
