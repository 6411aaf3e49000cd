"""Reads and writes a search space as TOML, one table per setting; reports any mistake in one line."""

import difflib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import ConfigError, require
from common.settings import setting_paths
from common.text import one_line
from gan.config import GanConfig
from tune.space.acceptance import check_accepts
from tune.space.domains import Choice, Domain, Float, Int, Value, check_setting, setting_type
from tune.space.space import Space

_RANGE_KEYS = ("low", "high", "log", "step", "when")
_CHOICE_KEYS = ("values", "when")
_HEADER = """\
# Searched settings, one table each: low and high (log = true for magnitudes; step), or values = [...].
# when = { "other.setting" = [...] } searches a setting only while another has one of these values.
"""


def load_space(path: Path | str, base: GanConfig | None = None) -> Space:
    """Read a search space; the base configuration must accept every value of it.

    Raises: ConfigError in one line: the file cannot be read, or `parse_space` refuses it.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")  # editors on Windows put a byte-order mark first
    except OSError as error:
        raise ConfigError(f"--space {path} cannot be read: {error.strerror}; see --print-space") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"--space {path} is not UTF-8 text: {error.reason}; see --print-space") from None
    return parse_space(text, f"--space {path}", base)


def parse_space(text: str, source: str, base: GanConfig | None = None, *, is_new: bool = True) -> Space:
    """Read a search space from TOML; errors name it `source`. is_new: see `check_accepts`.

    Raises: ConfigError in one line: not TOML (with the line), an unknown setting or key, an invalid range,
    a value that the setting refuses, a wrong `when`.
    """
    try:
        tables = tomllib.loads(text)
        space = Space({setting: _domain(setting, table) for setting, table in _settings(tables).items()})
        check_accepts(space, base or GanConfig(), is_new=is_new)
    except tomllib.TOMLDecodeError as error:
        problem = one_line(error)
        raise ConfigError(f"{source} is not TOML: {problem}; correct it, see --print-space") from None
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from None
    return space


def to_toml(space: Space) -> str:
    """The space as TOML, from which `parse_space` reads an equal one."""
    return "\n".join([_HEADER, *(f"[{path}]\n{_table(domain)}" for path, domain in space.items())])


def _settings(tables: Mapping[str, Any], prefix: str = "") -> dict[str, dict[str, Any]]:
    """The tables by dotted path of their setting, whether they are nested or have quoted dots."""
    known = setting_paths(GanConfig)
    found: dict[str, dict[str, Any]] = {}
    for key, table in tables.items():
        path = f"{prefix}{key}"
        is_group = any(setting.startswith(f"{path}.") for setting in known)
        require(isinstance(table, dict), f"{path} must be a table such as [{path}], not {table!r}")
        holds_tables = bool(table) and all(isinstance(inner, dict) for inner in table.values())
        goes_on = path not in known and (is_group or holds_tables)
        for setting, its_table in (_settings(table, f"{path}.") if goes_on else {path: table}).items():
            require(setting not in found, f"{setting} appears twice; remove one")
            found[setting] = its_table
    return found


def _domain(path: str, table: dict[str, Any]) -> Domain:
    _check_known(path)
    keys = _CHOICE_KEYS if "values" in table else _RANGE_KEYS
    wrong = [key for key in table if key not in keys]
    require(not wrong, f"{path} has an unknown key {wrong[:1]}; known here: {', '.join(keys)}")
    when = _condition(path, table.get("when", {}))
    kind = setting_type(path)
    if "values" in table:
        values = table["values"]
        require(isinstance(values, list), f"{path} needs values = [...], not {values!r}; put it in brackets")
        return Choice(tuple(_number(value, kind) for value in _plain(path, values)), when=when)
    missing = [key for key in ("low", "high") if key not in table]
    require(not missing, f"{path} lacks {' and '.join(missing)}; give it low and high, or values = [...]")
    log = table.get("log", False)
    require(isinstance(log, bool), f"{path} takes log = true or false, not {log!r}")
    limits = {key: _number(table[key], kind) for key in ("low", "high", "step") if key in table}
    domain_class: Any = Int if kind is int else Float
    domain: Domain = domain_class(**limits, log=log, when=when)
    return domain


def _check_known(path: str) -> None:
    known = setting_paths(GanConfig)
    near = difflib.get_close_matches(path, known, n=1)
    if path not in known and near:
        raise ConfigError(f"{path} is not a setting; did you mean {near[0]}?")
    check_setting(path)


def _condition(path: str, when: Any) -> dict[str, tuple[Value, ...]]:
    form = 'when = { "balance.policy" = ["loss"] }'
    fits = isinstance(when, dict) and all(isinstance(allowed, list) for allowed in when.values())
    require(fits, f"{path} has when = {when!r}, which must look like {form}; mind the quotes and brackets")
    return {other: tuple(_plain(path, allowed)) for other, allowed in when.items()}


def _plain(path: str, values: list[Any]) -> list[Value]:
    wrong = [value for value in values if not isinstance(value, float | int | str | bool)]
    require(not wrong, f"{path} has a value {wrong[:1]} that is not a number, text or true/false; correct it")
    return values


def _number(value: Any, kind: Any) -> Any:
    # in TOML, 1 may stand for a float
    return float(value) if kind is float and type(value) is int else value


def _table(domain: Domain) -> str:
    if isinstance(domain, Choice):
        lines = [f"values = {_toml(list(domain.values))}"]
    else:
        lines = [f"low = {_toml(domain.low)}", f"high = {_toml(domain.high)}"]
        lines += ["log = true"] if domain.log else []
        default_step = type(domain).step
        lines += [] if domain.step == default_step else [f"step = {_toml(domain.step)}"]
    if domain.when:
        conditions = (f"{_toml(other)} = {_toml(list(allowed))}" for other, allowed in domain.when.items())
        lines.append(f"when = {{ {', '.join(conditions)} }}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    # numbers, strings, lists and booleans are written in JSON as in TOML
    return json.dumps(value)
