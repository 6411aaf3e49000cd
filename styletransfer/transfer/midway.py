"""A style transfer on its way: what must be known to go on with it later, and when that is handed out."""

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor

from styletransfer.transfer.objective import Evaluated
from styletransfer.transfer.optimizers import Evaluate

_SLACK = 1.02  # of the lowest loss: a line search also tries pictures that are far worse


class Midway(NamedTuple):
    """Pictures (N, C, H, W) after `evaluations` evaluations at the scale of that index; seconds so far."""

    pictures: Tensor
    scale: int
    evaluations: int
    seconds: float


class Keeper:
    """Hands out a `Midway` whenever one is due.

    is_due: asked after every evaluation. keep: called with it.
    """

    def __init__(self, is_due: Callable[[], bool], keep: Callable[[Midway], None]) -> None:
        self._is_due, self._keep = is_due, keep

    def watching(
        self, evaluate: Evaluate, *, scale: int, evaluations: int, seconds: Callable[[], float]
    ) -> Evaluate:
        """The objective of a scale, whose pictures are handed out when they are about the best so far.

        evaluations: those that were made at this scale before.
        """
        lowest, done = float("inf"), evaluations

        def watched(pictures: Tensor) -> Evaluated:
            nonlocal lowest, done
            evaluated = evaluate(pictures)
            done += 1
            total = float(evaluated.terms[:, -1].detach().sum())
            lowest = min(lowest, total)  # a total that is NaN is not less
            if total <= _SLACK * lowest and self._is_due():
                self._keep(Midway(pictures.detach().clone(), scale, done, seconds()))
            return evaluated

        return watched
