"""Variants of the settings of a batch: the combinations of a sweep, and the preview."""

import dataclasses
import itertools
from collections.abc import Sequence

from common.errors import ConfigError, require
from styletransfer.config import StyleConfig

PREVIEW_SIZE_PX, PREVIEW_ITERATIONS = 192, 60
_MOST_VARIANTS = 1000


def preview_of(config: StyleConfig) -> StyleConfig:
    """The settings at a small size with few iterations: under a tenth of the time of the defaults."""
    size = min(config.size, PREVIEW_SIZE_PX)
    # the wanted number of scales may exceed the few iterations of a preview
    scales = 0 if isinstance(config.scales, int) else config.scales
    smaller = dataclasses.replace(config, size=size, scales=scales, tile=0)
    return dataclasses.replace(smaller, iterations=min(config.iterations, PREVIEW_ITERATIONS))


def variants_of(config: StyleConfig, sweeps: Sequence[str]) -> dict[str, StyleConfig]:
    """Name -> settings of every combination of the sweeps, such as `style-weight=1,3,10`, in their order.

    Without a sweep the only variant is the configuration itself, named ''.

    Raises: ConfigError for a malformed sweep, an unknown setting or one with several values, and a value that
    breaks a rule.
    """
    asked = [_parsed(sweep, config) for sweep in sweeps]
    names = [name for name, _ in asked]
    for name in names:
        require(names.count(name) == 1, f"--sweep names {_flag(name)} twice; give all its values at once")
    variants: dict[str, StyleConfig] = {}
    for values in itertools.product(*(values for _, values in asked)):
        changes = dict(zip(names, values, strict=True))
        label = ", ".join(f"{_flag(name)}={value}" for name, value in changes.items())
        variants[label] = config.with_values(changes)
        require(
            len(variants) <= _MOST_VARIANTS,
            f"--sweep makes more than {_MOST_VARIANTS} variants; give fewer values",
        )
    return variants


def _parsed(sweep: str, config: StyleConfig) -> tuple[str, list[str]]:
    """The setting and the values of one sweep, as written."""
    flag, equals, listed = sweep.partition("=")
    name = flag.strip().removeprefix("--").replace("-", "_")
    values = [value.strip() for value in listed.split(",")]
    require(
        bool(equals) and all(values),
        f"--sweep must be a setting and its values, not {sweep!r}; try style-weight=1,3,10",
    )
    single = [field.name for field in dataclasses.fields(config) if not str(field.type).startswith("tuple")]
    if name not in single:
        raise ConfigError(
            f"--sweep {flag} is not a setting with one value; choose among {', '.join(map(_flag, single))}"
        )
    meant: dict[object, str] = {}
    for text in values:
        value = getattr(config.with_values({name: text}), name)
        require(
            value not in meant,
            f"--sweep {_flag(name)} has the value {meant.get(value)} twice; leave one of them out",
        )
        meant[value] = text
    return name, values


def _flag(name: str) -> str:
    return name.replace("_", "-")
