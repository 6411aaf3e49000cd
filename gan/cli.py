"""Reading a command line with tyro, with one line for a wrong one; the callers say what the flags are."""

import contextlib
import io
import re
from collections.abc import Sequence
from typing import Any

import tyro

from gan.config import ConfigError

# the frame, and what tyro draws where the output is not Unicode
_SIDES, _RULE = "│|", set("╭╮╰╯─+-")
_FOOTER = re.compile(r"For full helptext, (see|run):? *")


def parse(commands: Any, args: Sequence[str], *, prog: str, description: str) -> Any:
    """The value of type `commands`, a dataclass or a union of subcommands, that `args` spell.

    `--help` prints tyro's help and raises SystemExit(0).

    Raises: ConfigError, one line, for an unknown flag, a missing or wrong value, or a broken rule.
    """
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(commands, args=args, prog=prog, description=description)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise ConfigError(_rule_broken(stop) or _one_line(complaint.getvalue())) from None


def _rule_broken(error: BaseException | None) -> str | None:
    """The message of the ConfigError that a dataclass raised and tyro wrapped, if that is the cause."""
    while error is not None:
        if isinstance(error, ConfigError):
            return str(error)
        error = error.__cause__ or error.__context__
    return None


def _one_line(box: str) -> str:
    """tyro's complaint without its frame and its title: what is wrong, and what it suggests."""
    sections: list[list[str]] = [[]]
    for line in box.splitlines()[1:]:
        text = line.strip().strip(_SIDES).strip()
        if set(text) <= _RULE:
            sections.append([])
        else:
            sections[-1].append(text)
    first, *others = [section for section in sections if section]
    line = " ".join(first).rstrip(".")
    for section in others:
        text = " ".join(section)
        if section[0] == "Perhaps you meant:":
            line += f"; perhaps you meant {section[1]}"
        elif section[0].startswith("Available subcommands"):
            line += f"; {text[0].lower()}{text[1:]}"
        elif section[0].startswith("For full helptext"):
            line += f"; see {_FOOTER.sub('', text)}"
    return line
