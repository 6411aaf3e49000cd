"""The winner of a sweep: its gain over the base settings beside the noise floor, and how to continue."""

import dataclasses
import shlex
from collections.abc import Mapping

from tune.display.endings import winner_cautions
from tune.display.leaderboard import short
from tune.records.trial_records import BASELINE_NUMBER, best_of, states_best_first
from tune.report.charts._shared import share, times
from tune.report.data import Row, SweepData

_LONGER = 10
"""How many times longer than a trial the suggested training is."""
_FAR = 10
"""Times the noise floor from which on a distance is called far."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Compared:
    """The winner's value and that of the base settings, measured alike."""

    metric: str
    value: float
    base: float | None
    noise: float | None
    is_confirmed: bool
    """Whether both were measured again, on fresh samples."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Winner:
    """The trial with the best state."""

    row: Row
    images: int
    """After which its best state was saved."""
    compared: Compared
    settings: Mapping[str, str]


def winner_of(sweep: SweepData) -> Winner | None:
    """The trial that `tune best` exports, and before any state is saved the one with the best value."""
    by_number = {row.number: row for row in sweep.rows}
    states = states_best_first(sweep.trials)
    if states:
        trial, saved = states[0]
        row, images, again = by_number[trial.number], saved.images_seen, trial.confirmed.get(saved.path)
        value = saved.value
    elif sweep.ranked_rows:
        row = sweep.ranked_rows[0]
        images, again, value = row.images_at_best or 0, None, row.best
    else:
        return None
    assert value is not None
    values = row.trial.values_at(images)
    base_row = sweep.baseline
    if again is not None:
        found = list(base_row.trial.confirmed.values()) if base_row else []
        base = best_of((state.value, state) for state in found if state.metric == again.metric)
        compared = Compared(
            metric=again.metric,
            value=again.value,
            base=base.value if base else None,
            noise=again.noise,
            is_confirmed=True,
        )
    else:
        compared = Compared(
            metric=sweep.metric,
            value=value,
            base=base_row.best if base_row else None,
            noise=sweep.noise,
            is_confirmed=False,
        )
    settings = {sweep.setting(path): short(values[path]) for path in sweep.space if path in values}
    return Winner(row=row, images=images, compared=compared, settings=settings)


def verdict_on(winner: Winner) -> tuple[str, str]:
    """A few words on the gain, and a sentence with its numbers."""
    found = winner.compared
    if winner.row.number == BASELINE_NUMBER:
        return "no gain", f"No trial beats the base settings, which reach {found.metric} {found.value:.4g}."
    if found.base is None:
        return (
            "gain unknown",
            f"It reaches {found.metric} {found.value:.4g}; the base settings have no value yet.",
        )
    gain = found.base - found.value
    text = f"{found.metric} {found.value:.4g} against {found.base:.4g} of the base settings"
    if gain <= 0:
        return "no gain", f"{text}: measured alike, it is no better."
    text += f", {share(gain, abs(found.base))} lower" if found.base else ""
    noise = abs(found.noise) if found.noise is not None else None
    if not noise:
        return "gain", f"{text}. The noise floor of this metric is not known."
    if gain <= noise:
        return (
            "no clear gain",
            f"{text}. The difference, {gain:.3g}, is within the noise floor of {noise:.3g}: no clear gain.",
        )
    return (
        "clear gain",
        f"{text}. The difference, {gain:.3g}, is {times(gain, noise)} the noise floor of {noise:.3g}.",
    )


def cautions(sweep: SweepData, winner: Winner) -> list[str]:
    """What speaks against taking the gain at its word."""
    found = []
    value, noise = winner.compared.value, abs(winner.compared.noise or 0)
    if noise and value > _FAR * noise:
        found.append(
            f"Its distance is {times(value, noise)} the noise floor, at which real images stand: whatever "
            "was gained, its images are far from real ones yet. Look at them, and train it longer."
        )
    if not winner.compared.is_confirmed:
        found.append(
            "This is the best of many noisy values, so partly luck: at its end a sweep measures its best "
            "states again on fresh samples."
        )
    elif winner.row.number != BASELINE_NUMBER:
        found.append("Both were measured again on fresh samples, but each was trained once, with one seed.")
    return found + [f"{line[0].upper()}{line[1:]}." for line in winner_cautions(sweep.trials)]


def commands(sweep: SweepData, *, has_state: bool) -> dict[str, str]:
    """What to run next, by what it does."""
    where = shlex.quote(sweep.location)
    images = _LONGER * sweep.config.gan.total_images()
    more = f" --trials {sweep.config.more_trials()}" if sweep.is_finished else ""
    found = {}
    if has_state:
        found["Train the winner longer"] = (
            f"python -m tune best {where} --out best.json && "
            f"python -m gan train --config best.json --images {images}"
        )
    found["Add trials" if more else "Continue the sweep"] = f"python -m tune resume {where}{more}"
    return found
