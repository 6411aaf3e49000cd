"""One rule for each trouble that a run can be in, tried in the order of `RULES`.

Thresholds were chosen on the planted runs of `benchmarks/planted_troubles.py` with one set of seeds and
widths, and proven on another; docs/troubles.md has the table, and the runs that gave them.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from gan.training.health.signals import ALL_BURNT, Signals

LEAST_STEPS = 30
"""Steps of the ticks that thresholds were chosen on, less one or two: shorter ticks are read together. In so
few steps a healthy run may make no progress. Divergence alone is looked for in every tick."""
YOUNG = 3
"""Ticks, of `LEAST_STEPS` at least, before which only divergence is named: all young generators look alike,
and no player has won."""
SHORT_WINDOW, WINDOW, LONG_WINDOW = 2, 4, 6
"""Ticks without progress after which a player has won that is overwhelmingly ahead, or far ahead, and after
which a run is stalled whatever its players do."""
PROGRESS = 0.02
"""Share by which the objective must fall below all before it within a window to count as progress."""
BURNT = 0.85
"""Share of burnt values, beyond that of real images, above which images are saturated, unless the objective
still falls; above `ALL_BURNT` they are whatever it does. Diverged runs lay above 0.89; on a nearly white
ground good generators reach 0.73."""
EXPLODED = 15.0
"""The discriminator's loss above which training has left its range; at chance it is 1.4, 0.5 or 2."""
LEAST_SPREAD, LEAST_SEPARATION = 0.08, 0.4
"""Below these shares of real images' variety a generator has collapsed; healthy ones past their youth lay
above 0.25 and 0.8."""
COPIES, KNOWN_BY_HEART = 0.6, 1.5
"""Memorization below which a generator copies, and overfit above which a discriminator knows its training
images by heart; it was below 0.5 in healthy runs."""
DECAY, DECAY_IN_BALANCE, LEAST_SCALE = 0.15, 0.3, 0.05
"""Share of its best by which a run that was good has got worse, and that while neither player is ahead;
healthy runs wander by less than a tenth, at rates of 1e-2 by a fifth. The best counts as at least a share of
the first value: a distance without bias may be 0."""
BALANCE = (0.55, 0.75)
"""Shares of all images between which neither player is ahead if the discriminator is right about so many."""
WAS_GOOD = 0.85
"""Share of its first value that the objective must have reached for a run to have been good."""
MARGIN_AHEAD, MARGIN_FOOLED = 3.0, -2.0
"""Margin from which on the discriminator is far ahead, as in a healthy run that progresses, too; and that
below which it is fooled, even if the images happen to get better meanwhile."""
PULLED_AWAY = 0.05
"""Share of all images by which the discriminator is right about more than at the best tick, from which on it
pulls away. Runs that stood still and had it decayed 30,000 to 90,000 images later."""
GRADIENT_RATIO = 10.0
"""The generator's gradient over the discriminator's from which on the latter has nothing left to learn."""


class Finding(NamedTuple):
    """What a rule found: the numbers that show it, and what to try."""

    evidence: str
    remedy: str


SLOWER = "lower both learning rates, or add --spectral-norm"
LOWER_BOTH = (
    "lower both learning rates, or let them fall (--lr-schedule cosine), and go on from the best state"
)


def diverged(signals: Signals) -> Finding | None:
    """A number is not finite, the discriminator's loss has exploded, or the images are saturated."""
    for name in (signals.metric, "generator_loss", "discriminator_loss"):
        value = signals.last.get(name)
        if value is not None and not math.isfinite(value):
            return Finding(f"{name} is {value}", SLOWER)
    loss, burnt = _exploded_loss(signals), signals.mean("burnt", 1)
    if loss is not None:
        return Finding(f"the discriminator's loss has reached {loss:.3g}", SLOWER)
    stands = _progress(signals, SHORT_WINDOW) < PROGRESS
    if burnt is not None and burnt > (BURNT if stands else ALL_BURNT):
        return Finding(f"{burnt:.0%} of the generated values are burnt out that would not be", SLOWER)
    return None


def mode_collapse(signals: Signals) -> Finding | None:
    """The generator makes few different images: alike ones, or the same ones again and again."""
    spread, separation = signals.mean("spread"), signals.mean("separation")
    if _is_young(signals) or spread is None or separation is None:
        return None
    remedy = (
        "lower the generator's rate, or try --packing 2, --minibatch-std or --loss wasserstein; a "
        "very small --latent-size allows few kinds of images"
    )
    if spread < LEAST_SPREAD:
        return Finding(f"generated images vary by {spread:.1%} of what real ones do", remedy)
    if separation < LEAST_SEPARATION:
        return Finding(
            f"among generated images the nearest two are {separation:.2f} times as far apart, for their "
            "spread, as among real ones",
            remedy,
        )
    return None


def memorizing(signals: Signals) -> Finding | None:
    """Generated images are copies of training images, or the discriminator knows those by heart."""
    ratio, overfit = signals.mean("memorization"), signals.mean("discriminator_overfit")
    remedy = "give more pictures, or augment them (--augment colour,translation,cutout --balance adaptive)"
    if _is_young(signals):
        return None
    if ratio is not None and ratio < COPIES:
        return Finding(
            f"generated images are {ratio:.2f} times as far from the training images as new ones are", remedy
        )
    if overfit is not None and overfit > KNOWN_BY_HEART:
        return Finding(
            f"the discriminator knows its training images: it judges them {overfit:.1f} standard deviations "
            "more real than real images that it has not seen",
            remedy,
        )
    return None


def decayed(signals: Signals) -> Finding | None:
    """The run was good, and is no more."""
    values = signals.smoothed
    if len(values) <= YOUNG:
        return None
    place = signals.best_place
    best, now = values[place], min(values[-1], signals.objective[-1])
    share = DECAY_IN_BALANCE if _is_in_balance(signals) else DECAY
    if best > WAS_GOOD * values[0] or now - best < share * max(best, LEAST_SCALE * values[0]):
        return None
    return Finding(
        f"{signals.metric} was {best:.4g} at {signals.images[place]:,.0f} images and is {now:.4g} now, "
        f"{now / best - 1:.0%} worse",
        LOWER_BOTH,
    )


def discriminator_won(signals: Signals) -> Finding | None:
    """The discriminator tells all images, and the generator learns no more from it; or it pulls away."""
    return _tells_all(signals) or _pulls_away(signals)


def _tells_all(signals: Signals) -> Finding | None:
    real, fake, margin = (
        signals.mean(name) for name in ("accuracy_real", "accuracy_fake", "discriminator_margin")
    )
    if _is_young(signals) or real is None or fake is None or margin is None or margin < MARGIN_AHEAD:
        return None
    window = SHORT_WINDOW if min(real, fake) > 0.99 and _gradient_ratio(signals) > GRADIENT_RATIO else WINDOW
    if min(real, fake) < 0.95 or _progress(signals, window) >= PROGRESS:
        return None
    return Finding(
        f"the discriminator is right about {real:.0%} of real and {fake:.0%} of generated images, and "
        + _stands(signals, window),
        "lower the discriminator's rate, or let it rest while it is ahead (--balance accuracy)",
    )


def _pulls_away(signals: Signals) -> Finding | None:
    """The discriminator is right about ever more images, while the objective stands: a decay begins so."""
    best, now = signals.accuracy_at_best, signals.accuracy
    if best is None or now is None or now - best < PULLED_AWAY or not _stands_still(signals):
        return None
    return Finding(
        f"the discriminator is right about {now:.0%} of images, {best:.0%} at the best tick, and "
        + _stands(signals, LONG_WINDOW),
        f"{LOWER_BOTH}; a discriminator that pulls away often ends in decay",
    )


def generator_won(signals: Signals) -> Finding | None:
    """The discriminator takes generated images for more real than real ones."""
    margin = signals.mean("discriminator_margin")
    if _is_young(signals) or margin is None or margin >= 0:
        return None
    stands = _progress(signals, SHORT_WINDOW) < PROGRESS
    if margin > MARGIN_FOOLED and not stands:
        return None
    skipped = signals.mean("discriminator_skipped")
    rests = f", which rests in {skipped:.0%} of the steps," if skipped else ""
    still = f", and {_stands(signals, SHORT_WINDOW)}" if stands else ""
    return Finding(
        f"the discriminator{rests} takes generated images for more real than real ones (margin "
        f"{margin:.1f}){still}",
        "raise the discriminator's rate"
        + (", or let it train in every step (--balance none)" if skipped else ""),
    )


def stalled(signals: Signals) -> Finding | None:
    """The objective has not moved for long, far from what real images reach."""
    if not _stands_still(signals):
        return None
    return Finding(
        f"{_stands(signals, LONG_WINDOW)} and is {signals.smoothed[-1]:.4g}, smoothed; that of real "
        f"images is {_floor(signals):.2g}",
        "raise the generator's rate, or widen the networks (--width)",
    )


def _stands(signals: Signals, ticks: int) -> str:
    return f"{signals.metric} has fallen by less than {PROGRESS:.0%} in {signals.all_ticks(ticks)} ticks"


def _stands_still(signals: Signals) -> bool:
    """Whether there was no progress for long, far from what real images reach."""
    floor = _floor(signals)
    return (
        len(signals.smoothed) > LONG_WINDOW
        and floor is not None
        and signals.smoothed[-1] >= 3 * floor
        and _progress(signals, LONG_WINDOW) < PROGRESS
    )


def _floor(signals: Signals) -> float | None:
    return signals.mean(f"{signals.metric}_noise", 1)


def _is_in_balance(signals: Signals) -> bool:
    """Whether neither player is ahead; False where that is not known."""
    low, high = BALANCE
    return signals.accuracy is not None and low < signals.accuracy < high


def _is_young(signals: Signals) -> bool:
    return signals.ticks < YOUNG or signals.steps < YOUNG * LEAST_STEPS


def _exploded_loss(signals: Signals) -> float | None:
    """The discriminator's largest of the latest ticks that has left its range; a first tick's counts a third.

    That holds the losses of untrained networks: 8.5 in the first 64 images of residual blocks of width 4, of
    which 0.8 was left after nine more such ticks; 85 and 155 where both rates were 1.
    """
    losses = signals.latest("discriminator_loss", WINDOW)
    return max((loss for place, loss in losses if (loss if place else loss / 3) > EXPLODED), default=None)


def _gradient_ratio(signals: Signals) -> float:
    generator, discriminator = signals.mean("generator_gradient"), signals.mean("discriminator_gradient")
    if generator is None or discriminator is None:
        return 0.0
    return generator / discriminator if discriminator > 0 else math.inf


def _progress(signals: Signals, ticks: int) -> float:
    """Share by which the objective of the last `ticks` ticks is lower than before; 1 in the first ones."""
    before, since = signals.objective[:-ticks], signals.objective[-ticks:]
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
