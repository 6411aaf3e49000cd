"""Parses command lines with tyro, whose errors become one line."""

import contextlib
import io
import itertools
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import tyro

from common.errors import ConfigError, require

# the frame around tyro's messages, in Unicode and in ASCII
_SIDES, _RULE = "│|", set("╭╮╰╯─+-")
# Python's messages for text that is not a number
_PHRASES = {
    r"invalid literal for int\(\) with base 10: ('.*?')": r"a whole number is needed, not \1",
    r"could not convert string to float: ('.*?')": r"a number is needed, not \1",
}
# set by Ray 2.60 for the command of a job, together with RAY_ADDRESS
_JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"
_FOOTER = re.compile(r"For full helptext, (see|run):? *")


def cluster_of_this_job() -> str | None:
    """The default of `--address`: auto in a job of `ray job submit`, None elsewhere.

    A job should use the cluster that it was submitted to; its own Ray would train on the head node alone.
    """
    return "auto" if _JOB_VARIABLE in os.environ else None


def address_flag(address: str | None) -> str:
    """The flag, with a leading space, that makes a command which continues this one use the same cluster."""
    return "" if address is None else f" --address {shlex.quote(address)}"


def words_of(settings: Mapping[str, Any]) -> list[str]:
    """Keyword settings as words of a command line: `images_per_tick=500` as `--images-per-tick=500`.

    True and False are the flag and its `--no-` form; a list is joined by commas, as in `--stop-when`.
    """
    words = []
    for name, value in settings.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            text = ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
            words.append(f"--{flag}={text}")
    return words


def check_settings(call: str, config: object, kind: type) -> None:
    """Raise `ConfigError` unless what a Python function was given as its settings are of this class, or None.

    call: name of the function, such as `gan.train`.
    """
    remedy = f"{call}(**settings)" if isinstance(config, dict) else f"{call}(batch=64)"
    require(
        config is None or isinstance(config, kind),
        f"{call} takes a {kind.__name__} or settings by name, not a {type(config).__name__}; try {remedy}",
    )


def with_home(args: Sequence[str]) -> list[str]:
    """The words of a command line with `~` expanded, also within a word such as `--out=~/x`.

    A shell expands only a `~` at the beginning of a word; after it Python's rules are the same.
    """
    parts = [re.fullmatch(r"(--[a-z0-9-]+=)?(~.*)", word, re.DOTALL) for word in args]
    return [
        # unlike Path's, it leaves the name of an unknown user as it is
        word if part is None else (part[1] or "") + os.path.expanduser(part[2])  # noqa: PTH111
        for word, part in zip(args, parts, strict=True)
    ]


def _refuse_numbered_gpus(args: Sequence[str]) -> None:
    # --gpu takes no value: its number would become a place or a subcommand
    for word, following in itertools.pairwise([*args, ""]):
        name, equals, own = word.partition("=")
        number = (own if equals else following) if name == "--gpu" else ""
        require(
            re.fullmatch(r"\d+(,\d+)*", number) is None,
            f"--gpu takes no number such as {number}; to choose GPUs, put CUDA_VISIBLE_DEVICES={number} "
            "before the command",
        )


def parse(commands: Any, args: Sequence[str], *, prog: str, description: str) -> Any:
    """Parse `args` into `commands`, a dataclass or a union of subcommands; `~` is expanded in every value.

    `--help` prints tyro's help and raises SystemExit(0).

    Raises: ConfigError, one line, for an unknown flag, a missing or wrong value, or a broken rule.
    """
    args = with_home(args)
    _refuse_numbered_gpus(args)
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(commands, args=args, prog=prog, description=description)
    except SystemExit as stop:
        if not stop.code:
            raise
        raise ConfigError(_rule_broken(stop) or _one_line(complaint.getvalue())) from None


def _rule_broken(error: BaseException | None) -> str | None:
    """The message of the ConfigError that a dataclass raised and tyro wrapped, None for other errors."""
    while error is not None:
        if isinstance(error, ConfigError):
            return str(error)
        error = error.__cause__ or error.__context__
    return None


def _one_line(box: str) -> str:
    """tyro's error message on one line, without frame and title: what is wrong, and tyro's suggestion."""
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
    for pattern, phrase in _PHRASES.items():
        line = re.sub(pattern, phrase, line)
    return line
