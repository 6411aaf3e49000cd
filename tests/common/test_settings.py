"""Settings to plain values and back, on a configuration made here: round trips, paths, bad input."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import pytest
import tyro

from common.errors import ConfigError, require
from common.settings import Settings, check_distinct, setting_paths


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rates(Settings):
    first: float = 0.5
    second: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimizer(Settings):
    rates: Rates = dataclasses.field(default_factory=Rates)
    kind: Literal["adam", "sgd"] = "adam"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(Settings):
    width: int = 8
    optimizer: Annotated[Optimizer, tyro.conf.arg(name="opt")] = dataclasses.field(default_factory=Optimizer)
    sizes: tuple[int, ...] = (1, 2)
    is_fast: bool = False

    def __post_init__(self) -> None:
        require(self.width % 2 == 0, f"--width must be even, not {self.width}; try {self.width + 1}")


CHANGED = Config(width=4, optimizer=Optimizer(rates=Rates(second=1e-9), kind="sgd"), sizes=(), is_fast=True)


def test_the_paths_are_the_plain_settings_in_order() -> None:
    assert setting_paths(Config) == (
        "width",
        "optimizer.rates.first",
        "optimizer.rates.second",
        "optimizer.kind",
        "sizes",
        "is_fast",
    )


@pytest.mark.parametrize("config", [Config(), CHANGED])
def test_settings_survive_json(config: Config) -> None:
    assert Config.from_dict(config.to_dict()) == config
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_plain_values_are_what_one_would_write_by_hand() -> None:
    assert CHANGED.to_dict() == {
        "width": 4,
        "optimizer": {"rates": {"first": 0.5, "second": 1e-9}, "kind": "sgd"},
        "sizes": (),
        "is_fast": True,
    }


def test_missing_settings_are_defaults_and_text_is_read_as_the_fields_type() -> None:
    assert Config.from_dict({}) == Config()
    values = {"width": "6", "optimizer": {"rates": {"second": "1e-3"}}}
    assert Config.from_dict(values) == Config(width=6, optimizer=Optimizer(rates=Rates(second=1e-3)))


def test_values_are_replaced_by_path_and_the_rest_stays() -> None:
    found = CHANGED.with_values({"optimizer.rates.first": 0.25, "sizes": [3]})
    rates = Rates(first=0.25, second=1e-9)
    assert found == dataclasses.replace(CHANGED, optimizer=Optimizer(rates=rates, kind="sgd"), sizes=(3,))
    assert CHANGED.optimizer.rates.first == 0.5, "the original"
    assert CHANGED.with_values({}) == CHANGED


def test_each_value_is_found_by_its_path() -> None:
    values = {path: CHANGED.value(path) for path in setting_paths(Config)}
    assert list(values.values()) == [4, 0.5, 1e-9, "sgd", (), True]
    assert Config().with_values(values) == CHANGED


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"widht": 4}, "widht is not a setting; known here: width, optimizer, sizes, is_fast"),
        ({"optimizer": {"rates": {"third": 1}}}, "optimizer.rates.third is not a setting; known here: first"),
        ({"optimizer": 3}, "optimizer must be a table, not 3"),
        ({"width": 3}, "--width must be even, not 3; try 4"),
        ({"width": "wide"}, "width is wrong: it must be a valid integer, not 'wide'; see --help"),
        ({"optimizer": {"kind": "lion"}}, "optimizer.kind is wrong: it must be 'adam' or 'sgd', not 'lion'"),
        (
            {"optimizer": {"rates": {"first": None}}},
            "optimizer.rates.first is wrong: it must be a valid number",
        ),
        ({"sizes": [1, "x"]}, "sizes is wrong: it must be a valid integer, not 'x'"),
    ],
)
def test_bad_input_is_refused_in_one_line_that_names_the_setting(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.from_dict(values)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["optimizer", "optimizer.rates", "opt.kind", "width.x", "", "optimizer."])
def test_a_path_that_is_not_a_setting_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="is not a setting; the settings are width, optimizer"):
        Config().with_values({path: 1})


def test_a_broken_rule_is_found_when_values_are_replaced() -> None:
    with pytest.raises(ConfigError, match="--width must be even, not 3"):
        Config().with_values({"width": 3})


def test_two_classes_with_a_setting_of_one_name_are_refused() -> None:
    first = dataclasses.make_dataclass("First", [("gap", float, 0.1), ("one", int, 1)])
    second = dataclasses.make_dataclass("Second", [("gap", float, 0.2)])
    first.__module__, second.__module__ = "entries.first", "entries.second"
    check_distinct([first])
    with pytest.raises(TypeError, match=r"entries.first and entries.second both have gap; rename one"):
        check_distinct([first, second])


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Colour(Settings):
    EARLIER: ClassVar[Mapping[str, Any]] = {"depth": 8}

    depth: int = 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Sound(Settings):
    EARLIER: ClassVar[Mapping[str, Any]] = {"rate": 22}

    rate: int = 44


@dataclasses.dataclass(frozen=True, kw_only=True)
class Film(_Colour, _Sound):
    width: int = 640
    is_long: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reel(Settings):
    film: Film = dataclasses.field(default_factory=Film)


SAVED = {"width": 320, "is_long": True}


@pytest.mark.parametrize(
    ("film", "expected"),
    [
        (SAVED, {"depth": 8, "rate": 22}),  # older than both settings
        (SAVED | {"depth": 16}, {"depth": 16, "rate": 22}),  # older than one
        (SAVED | {"depth": 16, "rate": 44}, {"depth": 16, "rate": 44}),
        ({"width": 320}, {"depth": 16, "rate": 44}),  # written by hand
    ],
)
def test_saved_settings_go_on_meaning_what_they_meant(film: dict[str, Any], expected: dict[str, Any]) -> None:
    found = Reel.from_dict({"film": film}).to_dict()["film"]
    assert {name: found[name] for name in expected} == expected
