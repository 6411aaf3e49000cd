"""Says when a run that is in trouble ends: after so many ticks in a row with a verdict that stops it."""

import dataclasses
import difflib
from collections.abc import Sequence
from typing import Annotated

import tyro

from common.errors import require
from gan.training.health import DIVERGED, TROUBLES, Verdict

NOTHING = "none"


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoppingConfig:
    """Which troubles end a run before it has seen all its images."""

    when: Annotated[str, tyro.conf.arg(name="stop-when", metavar="VERDICTS")] = (
        "diverged,mode_collapse,decayed"
    )
    """Verdicts that end a run, separated by commas, or none; its best state is kept. In a sweep they end all
    trials but the one with the base settings, and none of a population."""
    patience: Annotated[int, tyro.conf.arg(name="stop-patience")] = 3
    """Ticks in a row with such a verdict after which the run ends; diverged ends it at once."""

    def __post_init__(self) -> None:
        words = self.words()
        unknown = [word for word in words if word not in TROUBLES]
        near = difflib.get_close_matches(unknown[0].lower(), TROUBLES, n=1) if unknown else []
        require(
            not unknown and (bool(words) or self.when.strip() == NOTHING),
            f"--stop-when may name {', '.join(TROUBLES)}, or be {NOTHING}, not {self.when!r}; try "
            f"{near[0] if near else 'decayed'}",
        )
        require(
            len(set(words)) == len(words),
            f"--stop-when must name each verdict once, not {self.when!r}; leave the second out",
        )
        require(self.patience >= 1, f"--stop-patience must be at least 1, not {self.patience}; try 3")

    def words(self) -> tuple[str, ...]:
        """The verdicts that end a run."""
        parts = [word.strip() for word in self.when.split(",")]
        return tuple(word for word in parts if word and parts != [NOTHING])

    def stops(self, verdicts: Sequence[Verdict]) -> Verdict | None:
        """The verdict for which a run ends after the last of its ticks, None while it goes on.

        verdicts: those of its ticks, oldest first, also of ticks before a resume.
        """
        words = self.words()
        last = verdicts[-self.patience :]
        if verdicts and verdicts[-1].name == DIVERGED in words:
            return verdicts[-1]
        if len(last) == self.patience and all(each.name in words for each in last):
            return last[-1]
        return None
