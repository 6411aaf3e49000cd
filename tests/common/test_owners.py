"""Settings that belong to one choice: refused if given beside another, dropped if they come along."""

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import pytest
import tyro

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
    OWNERS: ClassVar[Owners] = Owners.of_classes("drive", {"sail": Sail, "motor": Motor})

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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rig:
    OWNERS: ClassVar[Owners] = Owners(
        "rig", {"mast_height": ("sloop", "cutter"), "oars": ("galley",)}, earlier={"cat": "sloop"}
    )

    rig: Annotated[str, tyro.conf.arg(name="rigging")] = "raft"
    mast_height: Annotated[float, tyro.conf.arg(name="mast-metres")] = 8.0
    oars: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "rig", self.OWNERS.earlier.get(self.rig, self.rig))
        self.OWNERS.check(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ship(Settings):
    rig: Rig = dataclasses.field(default_factory=Rig)


def test_a_setting_of_several_choices_is_refused_beside_the_others_by_the_names_of_its_flags() -> None:
    assert Rig(rig="sloop", mast_height=9.0).mast_height == Rig(rig="cutter", mast_height=9.0).mast_height
    with pytest.raises(ConfigError) as caught:
        Rig(mast_height=9.0)
    assert str(caught.value) == (
        "--mast-metres 9.0 has no effect with --rigging raft, it belongs to sloop and cutter; leave it at "
        "8.0 or choose --rigging sloop"
    )


def test_an_earlier_name_of_a_choice_keeps_its_settings() -> None:
    saved = {"rig": "cat", "mast_height": 9.0, "oars": 4}
    assert Ship.from_dict({"rig": saved}).rig == Rig(rig="sloop", mast_height=9.0)


def test_what_a_search_chose_without_effect_is_dropped_and_not_refused() -> None:
    values = {"rig.rig": "galley", "rig.mast_height": 9.0, "rig.oars": 6}
    assert Ship().with_searched(values).rig == Rig(rig="galley", oars=6)
    with pytest.raises(ConfigError, match=r"^--mast-metres 9\.0 has no effect"):
        Ship().with_values(values)
    with pytest.raises(ConfigError, match=r"^rig\.keel is not a setting"):
        Ship().with_searched({"rig.keel": 1})
