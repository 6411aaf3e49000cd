"""The one error that stands for wrong input, in one line, and how rules are stated."""

import math


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
