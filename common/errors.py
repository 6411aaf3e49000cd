"""ConfigError, the exception for wrong input, and helpers that check rules and raise it."""

import contextlib
import math
import operator
import re
from collections.abc import Iterator


class ConfigError(ValueError):
    """Input breaks a rule; the message is one line that says what, the rule, the value and a remedy."""


def require(holds: bool, message: str) -> None:
    """Raise `ConfigError(message)` unless the rule holds."""
    if not holds:
        raise ConfigError(message)


def require_between(name: str, value: float, low: float, high: float) -> None:
    """Raise `ConfigError` unless value is finite and low <= value <= high."""
    require(
        math.isfinite(value) and low <= value <= high,
        f"{name} must lie between {low:g} and {high:g}, not {value:g}; choose a value in that range",
    )


def whole_number(name: str, value: object, low: int, high: int, example: int) -> int:
    """An argument of a Python function that must be a whole number; NumPy's are taken too.

    Raises: ConfigError unless it is one with low <= value <= high.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # which is what it finds out
    except TypeError:
        number = None
    require(
        number is not None and not isinstance(value, bool) and low <= number <= high,
        f"{name} must be a whole number between {low} and {high}, not {value!r}; try {example}",
    )
    assert number is not None
    return number


@contextlib.contextmanager
def naming_flag(flag: str, value: str | None) -> Iterator[None]:
    """Begin the message of a `ConfigError` in the block with the flag whose value caused it.

    Without a value, which is then a default, the message stays as it is.
    """
    try:
        yield
    except ConfigError as error:
        if value is None or str(error).startswith(flag):
            raise
        raise type(error)(f"{flag} {value}: {error}") from error


def require_no_password(flag: str, url: str, remedy: str) -> None:
    """Raise `ConfigError`, without repeating the password, for a URL such as `scheme://user:password@host`.

    URLs are saved with the results, appear in messages, and are sent to every node.
    """
    scheme, _, rest = url.partition("://")
    has_one = re.match(r"[^/:@]*:[^@]*@", rest) or re.search(
        r"[?&](password|passwd|pwd)=", rest, re.IGNORECASE
    )
    require(
        not has_one,
        f"{flag} must not hold a password, as this {scheme}:// URL does: it would be saved with the results; "
        f"{remedy}",
    )
