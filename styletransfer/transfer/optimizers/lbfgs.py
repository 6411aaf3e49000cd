"""L-BFGS with history 10, clamped at the end."""

import contextlib

import torch
from torch import Tensor

from styletransfer.config import StyleConfig
from styletransfer.transfer.losses import Losses, mean_losses
from styletransfer.transfer.optimizers import Evaluate, Optimized, Optimizer, Report
from styletransfer.transfer.optimizers.adam import adam

_HISTORY = 10


def lbfgs(pictures: Tensor, evaluate: Evaluate, evaluations: int, *, report: Report) -> Optimized:
    """L-BFGS with strong Wolfe line search (Nocedal and Wright 2006, section 7.2), clamped at the end alone.

    Pictures: one or several, one step for all. Returns the best of all evaluated. It ends early where a loss
    or a gradient is not finite, where the gradient is zero, and where no step lowers the loss in the digits
    of float32.
    """
    # torch's L-BFGS flattens without copying
    pictures, best = pictures.clone(memory_format=torch.contiguous_format), pictures.clamp(0, 1)
    totals, done, is_finite, is_at_rest = list[float](), 0, True, False
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
        nonlocal done, is_finite, is_at_rest
        if done == evaluations:
            raise _EnoughError
        evaluated = evaluate(pictures)
        done += 1
        report(evaluated.losses())
        if not evaluated.is_finite():
            is_finite = False
            raise _EnoughError
        total = evaluated.terms[:, -1].sum() * pictures[0].numel()  # as the gradient is
        if not totals or float(total) < min(totals):
            best.copy_(pictures)
        totals.append(float(total))
        is_at_rest = not bool(evaluated.gradient.any())
        pictures.grad = evaluated.gradient.contiguous()
        return total

    with contextlib.suppress(_EnoughError):
        optimizer.step(closure)
    has_fallen = is_at_rest or len(totals) < 2 or min(totals) < totals[0]
    return Optimized(best.clamp_(0, 1), done, is_finite, has_fallen)


class _EnoughError(Exception):
    """Leaves torch's L-BFGS from within an evaluation."""


def _optimize(
    pictures: Tensor, evaluate: Evaluate, evaluations: int, config: StyleConfig, report: Report
) -> Optimized:
    """L-BFGS, and where it ended early, Adam from its best pictures for the evaluations that are left."""
    first = lbfgs(pictures, evaluate, evaluations, report=report)
    left = evaluations - first.evaluations
    if first.stayed_finite:
        # with a single one, Adam could not be compared
        return first if left < 2 else _continued(first, evaluate, left, config, report)
    if not left:
        return first
    rest = adam(first.pictures, evaluate, left, lr=config.lr, averaging=config.averaging, report=report)
    return Optimized(rest.pictures, evaluations, False, first.has_fallen or rest.has_fallen)


def _continued(
    first: Optimized, evaluate: Evaluate, evaluations: int, config: StyleConfig, report: Report
) -> Optimized:
    """Adam from where L-BFGS found no step that lowers the loss; the pictures of `first` if it finds none."""
    totals: list[float] = []

    def watch(losses: list[Losses]) -> None:
        totals.append(mean_losses(losses)["total"])
        report(losses)

    rest = adam(
        first.pictures, evaluate, evaluations - 1, lr=config.lr, averaging=config.averaging, report=watch
    )
    watch(evaluate(rest.pictures).losses())
    if totals[-1] > totals[0]:
        rest = rest._replace(pictures=first.pictures)
    return rest._replace(
        evaluations=first.evaluations + evaluations, has_fallen=first.has_fallen or rest.has_fallen
    )


# ten pairs of vectors and their copies
OPTIMIZER = Optimizer(optimize=_optimize, takes_batches=False, bytes_per_pixel=400)
