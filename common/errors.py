"""The one error that stands for wrong input, in one line, and how rules are stated."""

import math
import re


class ConfigError(ValueError):
    """What comes from outside breaks a rule; the message is one line: what, rule, value, remedy."""


def require(holds: bool, message: str) -> None:
    """Raise `ConfigError(message)` unless the rule holds."""
    if not holds:
        raise ConfigError(message)


def require_between(name: str, value: float, low: float, high: float) -> None:
    """Raise `ConfigError` unless value is finite and within the range, its ends included."""
    require(
        math.isfinite(value) and low <= value <= high,
        f"{name} must lie between {low:g} and {high:g}, not {value:g}; choose a value in that range",
    )


def require_no_password(flag: str, url: str, remedy: str) -> None:
    """Raise `ConfigError`, which does not repeat it, for a URL such as `scheme://user:password@host`.

    URLs are kept with the results, stand in messages, and travel to every machine.
    """
    scheme, _, rest = url.partition("://")
    has_one = re.match(r"[^/:@]*:[^@]*@", rest) or re.search(
        r"[?&](password|passwd|pwd)=", rest, re.IGNORECASE
    )
    require(
        not has_one,
        f"{flag} must not hold a password, as this {scheme}:// URL does: it would be kept with the results; "
        f"{remedy}",
    )
