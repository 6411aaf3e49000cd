"""What trials were ended for, and what is the matter with the others, as a line for the terminal."""

from collections import Counter
from collections.abc import Iterable, Mapping

from common.text import counted
from gan.training.health import DIVERGED, HEALTHY
from tune.records.trial_records import Trial


def troubles(trials: Mapping[int, Trial], total_images: int) -> str | None:
    """A line about the trials that were not healthy; None where all were.

    total_images: what a whole trial sees; what an ended one had left of them was saved.
    """
    ended = [trial for trial in trials.values() if trial.ended_for is not None]
    others = [
        verdict
        for trial in trials.values()
        if trial.ended_for is None and (verdict := trial.verdict()[0]) not in (None, HEALTHY, DIVERGED)
    ]
    parts = []
    if ended:
        saved = sum(max(0, total_images - trial.images_seen) for trial in ended)
        parts.append(
            f"{counted(len(ended), 'trial')} ended early for {_counts(each.ended_for for each in ended)}, "
            f"which saved {saved:,} images"
        )
    if others:
        parts.append(f"last verdicts on others: {_counts(others)}")
    return "; ".join(parts) or None


def _counts(verdicts: Iterable[str | None]) -> str:
    """`2 decayed, 1 mode_collapse`, the most frequent first."""
    found = Counter(str(verdict) for verdict in verdicts)
    return ", ".join(f"{count} {name}" for name, count in sorted(found.items(), key=lambda pair: -pair[1]))
