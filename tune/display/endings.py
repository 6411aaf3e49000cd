"""How a sweep's trials ended and what its best states were measured at again, as lines for the terminal."""

from collections.abc import Mapping

from tune.display.patterned import patterned_winner
from tune.display.second_opinion import second_opinion
from tune.display.troubles import troubles
from tune.records.events import StateConfirmed
from tune.records.trial_records import Trial, best_first, failed_winner, trial_name


def end_lines(trials: Mapping[int, Trial], total_images: int) -> list[str]:
    """What there is to say at the end; total_images: what a whole trial sees."""
    lines = (troubles(trials, total_images), confirmation_line(trials))
    return [line for line in lines if line is not None] + winner_cautions(trials)


def winner_cautions(trials: Mapping[int, Trial]) -> list[str]:
    """What speaks against the winner although its distance is the best, a line each."""
    lines = (second_opinion(trials), patterned_winner(trials), failed_winner(trials))
    return [line for line in lines if line is not None]


def confirmation_line(trials: Mapping[int, Trial]) -> str | None:
    """The values of the states that were measured again, the winner first; None where there are none."""
    confirmed = [(trial, state) for trial in trials.values() for state in trial.confirmed.values()]
    found = best_first((state.value, (trial, state)) for trial, state in confirmed)
    if not found:
        return None
    values = ", ".join(f"{state.value:.4g} of {_which(trial, state)}" for trial, state in found)
    metric, noise = found[0][1].metric, found[0][1].noise
    return f"measured again on fresh samples, {metric}: {values}; noise floor {noise:.3g}"


def _which(trial: Trial, state: StateConfirmed) -> str:
    """`trial 0 (base settings) at 64,000 images`; the images where two states of one trial were measured."""
    images = next((each.images_seen for each in trial.checkpoints if each.path == state.path), None)
    at = f" at {images:,} images" if images is not None and len(trial.confirmed) > 1 else ""
    return trial_name(trial.number) + at
