"""Adam with averaged iterates, clamped at every step."""

import torch
from torch import Tensor

from common.errors import ConfigError
from styletransfer.config import StyleConfig
from styletransfer.transfer.losses import mean_losses
from styletransfer.transfer.optimizers import Evaluate, Optimized, Optimizer, Report

_BETAS = (0.9, 0.99)  # a picture has no mini-batches: its gradients forget faster than Adam's default
_MOST_STEPS_BACK = 5


def adam(
    pictures: Tensor, evaluate: Evaluate, evaluations: int, *, lr: float, averaging: float, report: Report
) -> Optimized:
    """Adam (Kingma and Ba 2015) on the pixels, clamped to [0, 1] after every step.

    Returns the exponential average of the iterates over about the last `averaging` of the evaluations, its
    start corrected for as Adam does: averaged, they are nearer to the minimum that they circle. After a loss
    or a gradient that is not finite, it steps back to the last good pictures and continues at half the step.

    Raises: ConfigError when the first loss is not finite, or when this happens again and again.
    """
    decay = 1 - 1 / max(1.0, averaging * evaluations)
    pictures, good = pictures.clone(), pictures.clone()
    average, weight = torch.zeros_like(pictures), 0.0
    optimizer = _adam_for(pictures, lr)
    steps_back, totals, has_gradient = 0, list[float](), False
    for done in range(evaluations):
        evaluated = evaluate(pictures)
        losses = evaluated.losses()
        if not evaluated.is_finite():
            steps_back += 1
            if not done or steps_back > _MOST_STEPS_BACK:
                raise ConfigError(
                    "the loss does not stay finite; lower the weights or --lr, or choose other --weights or "
                    "--precision fp32"
                )
            pictures.copy_(good)
            optimizer = _adam_for(pictures, lr / 2**steps_back)
            report(losses)
            continue
        totals.append(mean_losses(losses)["total"])
        has_gradient |= bool(evaluated.gradient.any())
        good.copy_(pictures)
        pictures.grad = evaluated.gradient
        optimizer.step()
        pictures.clamp_(0, 1)
        average.lerp_(pictures, 1 - decay)
        weight += (1 - decay) * (1 - weight)
        report(losses)
    has_fallen = not has_gradient or len(totals) < 2 or min(totals) < totals[0]
    return Optimized(average / weight if weight else good, evaluations, steps_back == 0, has_fallen)


def _adam_for(pictures: Tensor, lr: float) -> torch.optim.Adam:
    return torch.optim.Adam([pictures], lr=lr, betas=_BETAS)


def _optimize(
    pictures: Tensor, evaluate: Evaluate, evaluations: int, config: StyleConfig, report: Report
) -> Optimized:
    return adam(pictures, evaluate, evaluations, lr=config.lr, averaging=config.averaging, report=report)


OPTIMIZER = Optimizer(optimize=_optimize, takes_batches=True, bytes_per_pixel=100)
