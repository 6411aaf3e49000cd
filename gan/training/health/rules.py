"""One rule for each trouble that a run can be in, tried in the order of `RULES`.

Thresholds were chosen on the planted runs of `benchmarks/planted_troubles.py` with one set of seeds and
widths, and proven on another; docs/troubles.md has the table, and the runs that gave them.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from gan.training.health.signals import SMOOTHED_OVER, Signals

YOUNG = 3
"""Ticks before which only divergence is named: all young generators look alike, and no player has won."""
WINDOW = 3
"""Ticks without progress after which a player that is far ahead has won."""
LONG_WINDOW = 6
"""Ticks without progress after which a run is stalled, whatever its players do."""
PROGRESS = 0.02
"""Share by which the objective must fall within a window to count as progress."""
DECAY = 1.15
"""Factor over its best at which a run that was good is no more; healthy runs wander by less than a tenth."""
WAS_GOOD = 0.85
"""Share of its first value that the objective must have reached for a run to have been good."""


class Finding(NamedTuple):
    """What a rule found: the numbers that show it, and what to try."""

    evidence: str
    remedy: str


SLOWER = "lower both learning rates, or add --spectral-norm"
LOWER_BOTH = (
    "lower both learning rates, or let them fall (--lr-schedule cosine), and go on from the best state"
)


def diverged(signals: Signals) -> Finding | None:
    """A number is not finite, or a loss has left every range in which training happens."""
    for name in (signals.metric, "generator_loss", "discriminator_loss"):
        value = signals.last.get(name)
        if value is not None and not math.isfinite(value):
            return Finding(f"{name} is {value}", SLOWER)
    return None


def mode_collapse(signals: Signals) -> Finding | None:
    """The generator makes few different images: alike ones, or the same ones again and again."""
    spread, separation = signals.mean("spread"), signals.mean("separation")
    if signals.ticks <= YOUNG or spread is None or separation is None:
        return None
    remedy = "lower the generator's rate, or try --packing 2, --minibatch-std or --loss wasserstein"
    if spread < 0.15:
        return Finding(
            f"the generated images differ from each other by {spread:.0%} of what real ones do", remedy
        )
    if separation < 0.5:
        return Finding(
            f"for their spread, generated images are {separation:.2f} times as far apart as real ones",
            remedy,
        )
    return None


def memorizing(signals: Signals) -> Finding | None:
    """Generated images are nearer to training images than new ones are."""
    ratio = signals.mean("memorization")
    if signals.ticks <= YOUNG or ratio is None or ratio >= 0.6:
        return None
    return Finding(
        f"generated images are {ratio:.2f} times as far from the training images as new ones are",
        "give more pictures, augment them (--augment), or stop earlier",
    )


def decayed(signals: Signals) -> Finding | None:
    """The run was good, and is no more."""
    values = signals.smoothed
    if len(values) <= SMOOTHED_OVER:
        return None
    place = signals.best_place
    best, now = values[place], values[-1]
    if best > WAS_GOOD * values[0] or now < DECAY * best:
        return None
    return Finding(
        f"{signals.metric} was {best:.4g} at {signals.images[place]:,.0f} images and is {now:.4g} now, "
        f"{now / best - 1:.0%} worse",
        LOWER_BOTH,
    )


def discriminator_won(signals: Signals) -> Finding | None:
    """The discriminator tells every image, and the generator learns no more from it."""
    real, fake = signals.mean("accuracy_real"), signals.mean("accuracy_fake")
    if signals.ticks <= YOUNG or real is None or fake is None or min(real, fake) < 0.95:
        return None
    if _progress(signals, WINDOW) >= PROGRESS:
        return None
    return Finding(
        f"the discriminator is right about {real:.0%} of real and {fake:.0%} of generated images, and "
        f"{signals.metric} has not fallen for {WINDOW} ticks",
        "lower the discriminator's rate, or let it rest while it is ahead (--balance accuracy)",
    )


def generator_won(signals: Signals) -> Finding | None:
    """The discriminator cannot tell images, or does not train, while they are far from real."""
    fake, skipped = signals.mean("accuracy_fake"), signals.mean("discriminator_skipped")
    if signals.ticks <= YOUNG or fake is None or fake > 0.1 or _progress(signals, WINDOW) >= PROGRESS:
        return None
    rests = f", which rests in {skipped:.0%} of the steps" if skipped else ""
    return Finding(
        f"the generator fools the discriminator{rests}, with {1 - fake:.0%} of its images, and "
        f"{signals.metric} has not fallen for {WINDOW} ticks",
        "raise the discriminator's rate, or let it train in every step (--balance none)",
    )


def stalled(signals: Signals) -> Finding | None:
    """The objective has not moved for long, far from what real images reach."""
    floor = signals.mean(f"{signals.metric}_noise", 1)
    if len(signals.smoothed) <= LONG_WINDOW or floor is None or signals.smoothed[-1] < 3 * floor:
        return None
    if _progress(signals, LONG_WINDOW) >= PROGRESS:
        return None
    return Finding(
        f"{signals.metric} has not fallen for {LONG_WINDOW} ticks and is {signals.smoothed[-1]:.4g}; real "
        f"images have {floor:.2g}",
        "raise the generator's rate, or widen the networks (--width)",
    )


def _progress(signals: Signals, ticks: int) -> float:
    """Share by which the smoothed objective is lower than up to `ticks` ticks ago; 1 while there was none."""
    before, since = signals.smoothed[:-ticks], signals.smoothed[-ticks:]
    return 1 - min(since) / min(before) if before and min(before) > 0 else 1.0


RULES: Mapping[str, Callable[[Signals], Finding | None]] = {
    rule.__name__: rule
    for rule in (
        diverged,
        mode_collapse,
        memorizing,
        decayed,
        discriminator_won,
        generator_won,
        stalled,
    )
}
"""Rules by verdict, the most specific first: of several troubles the first is named."""
