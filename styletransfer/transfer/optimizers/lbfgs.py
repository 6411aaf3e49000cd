"""L-BFGS with history 10, clamped at the end."""

import contextlib

import torch
from torch import Tensor

from styletransfer.config import StyleConfig
from styletransfer.transfer.optimizers import Evaluate, Optimized, Optimizer, Report
from styletransfer.transfer.optimizers.adam import adam

_HISTORY = 10


def lbfgs(pictures: Tensor, evaluate: Evaluate, evaluations: int, *, report: Report) -> Optimized:
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
        # no tolerance fits every size and weight: the number of evaluations decides when it ends
        tolerance_grad=0,
        tolerance_change=0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        nonlocal lowest, done, is_finite
        if done == evaluations:
            raise _EnoughError
        evaluated = evaluate(pictures)
        done += 1
        report(evaluated.losses())
        if not evaluated.is_finite():
            is_finite = False
            raise _EnoughError
        total = evaluated.terms[:, -1].sum() * pictures[0].numel()  # as the gradient is
        if float(total) < lowest:
            lowest = float(total)
            best.copy_(pictures)
        pictures.grad = evaluated.gradient.contiguous()
        return total

    with contextlib.suppress(_EnoughError):
        optimizer.step(closure)
    return Optimized(best.clamp_(0, 1), done, is_finite)


class _EnoughError(Exception):
    """Leaves torch's L-BFGS from within an evaluation."""


def _optimize(
    pictures: Tensor, evaluate: Evaluate, evaluations: int, config: StyleConfig, report: Report
) -> Optimized:
    """L-BFGS, and Adam from its best pictures where a loss or a gradient was not finite."""
    first = lbfgs(pictures, evaluate, evaluations, report=report)
    left = evaluations - first.evaluations
    if first.stayed_finite or not left:
        return first
    rest = adam(first.pictures, evaluate, left, lr=config.lr, averaging=config.averaging, report=report)
    return Optimized(rest.pictures, evaluations, False)


# ten pairs of vectors and their copies
OPTIMIZER = Optimizer(optimize=_optimize, takes_batches=False, bytes_per_pixel=400)
