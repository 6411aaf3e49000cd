"""Settings that belong to one choice: refused if given beside another, dropped if they come along."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from common.errors import ConfigError
from common.owners import Owners
from common.settings import Settings, check_rules


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sail:
    EARLIER: ClassVar[Mapping[str, Any]] = {"sail_area": 9.0}

    sail_area: float = 20.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Motor:
    EARLIER: ClassVar[Mapping[str, Any]] = {"fuel": "coal"}

    fuel: str = "oil"
    cylinders: int = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drive(Motor, Sail):
    OWNERS: ClassVar[Owners] = Owners("drive", {"sail": Sail, "motor": Motor})

    drive: str = "sail"
    crew: int = 3

    def __post_init__(self) -> None:
        check_rules(self, (Sail, Motor))
        self.OWNERS.check(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Boat(Settings):
    name: str = "Argo"
    drive: Drive = dataclasses.field(default_factory=Drive)


REFUSED = (
    "--sail-area 9.0 has no effect with --drive motor, it belongs to sail; leave it at 20.0 or choose "
    "--drive sail"
)


def test_a_setting_that_is_given_beside_another_choice_is_refused_in_one_line() -> None:
    for give in (
        lambda: Drive(drive="motor", sail_area=9.0),
        lambda: Boat.from_dict({"drive": {"drive": "motor", "sail_area": 9.0}}),
        lambda: Boat().with_values({"drive.drive": "motor", "drive.sail_area": "9"}),
    ):
        with pytest.raises(ConfigError) as caught:
            give()
        assert str(caught.value) == REFUSED


def test_neither_a_default_nor_a_setting_of_the_choice_nor_one_of_all_is_refused() -> None:
    Drive(drive="motor", sail_area=20.0, cylinders=8, crew=1)
    # one without settings of its own
    assert Drive(drive="oars").crew == 3
    with pytest.raises(ConfigError, match=r"^--cylinders 8 has no effect with --drive oars"):
        Drive(drive="oars", cylinders=8)


def test_a_setting_that_comes_along_to_another_choice_takes_its_default() -> None:
    sailing = Boat(drive=Drive(sail_area=9.0, crew=5))
    assert sailing.with_values({"drive.drive": "motor"}) == Boat(drive=Drive(drive="motor", crew=5))
    assert sailing.with_values({"name": "Nina"}).drive == sailing.drive
    moved = sailing.with_values({"drive.drive": "motor", "drive.cylinders": 6})
    assert moved.drive == Drive(drive="motor", crew=5, cylinders=6)


def test_saved_settings_are_read_whatever_the_defaults_of_other_choices_were_then() -> None:
    saved = Boat(drive=Drive(drive="motor", fuel="gas")).to_dict()
    assert Boat.from_dict(saved).to_dict() == saved
    saved["drive"]["sail_area"] = 15.0  # a default of before
    assert Boat.from_dict(saved).drive == Drive(drive="motor", fuel="gas")
    del saved["drive"]["sail_area"]  # a choice that did not exist
    assert Boat.from_dict(saved).drive == Drive(drive="motor", fuel="gas")


def test_saved_settings_of_before_mean_what_they_meant_also_beside_choices_that_came_later() -> None:
    saved = {"drive": "sail", "crew": 3}  # from before areas and motors
    assert Boat.from_dict({"drive": saved}).drive == Drive(sail_area=9.0)
    assert Boat.from_dict({"drive": saved | {"drive": "oars"}}).drive == Drive(drive="oars")


def test_a_file_that_names_few_settings_is_not_taken_for_a_saved_one() -> None:
    assert Boat.from_dict({"drive": {"crew": 3}}).drive == Drive()
