"""What the settings of the data refuse, and what saved ones of earlier versions mean."""

from typing import Any

import pytest

from common.errors import ConfigError
from gan.config import GanConfig
from gan.data.config import DataConfig, rgb_of

NEW = ("fit", "pad_colour", "crops", "flip")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (
            {"fit": "pad", "pad_colour": "lilla"},
            "--pad-colour must be border or an opaque colour, not 'lilla'; ",
        ),
        (
            {"fit": "pad", "pad_colour": "#11223344"},
            "--pad-colour must be border or an opaque colour, not '#112",
        ),
        (
            {"fit": "pad", "pad_colour": ""},
            "--pad-colour must be border or an opaque colour, not ''; try white",
        ),
        ({"pad_colour": "white"}, "--pad-colour white has no meaning without --fit pad; "),
        ({"crops": 0}, "--crops must lie between 1 and 100, not 0; try 4"),
        ({"crops": -3}, "--crops must lie between 1 and 100, not -3; try 4"),
        ({"crops": 101}, "--crops must lie between 1 and 100, not 101; try 4"),
        ({"crops": 4, "fit": "pad"}, "--crops 4 cuts squares, which leaves nothing for --fit pad; "),
        ({"crops": 2, "source": "cifar10"}, "--crops 2 needs large pictures, which --data cifar10 has not; "),
        ({"flip": True, "source": "mnist"}, "--flip would mirror the digits of --data mnist; leave it out"),
        (
            {"flip": True, "source": "stacked-mnist"},
            "--flip would mirror the digits of --data stacked-mnist; ",
        ),
    ],
)
def test_what_cannot_be_is_one_line_before_anything_starts(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        DataConfig(**({"source": "photos"} | values))
    assert str(error.value).startswith(said) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("colour", "rgb"),
    [
        ("white", (255, 255, 255)),
        ("#806040", (128, 96, 64)),
        ("#fff", (255, 255, 255)),
        ("Navy", (0, 0, 128)),
    ],
)
def test_a_colour_is_read_as_css_writes_it(colour: str, rgb: tuple[int, int, int]) -> None:
    assert rgb_of(colour) == rgb
    assert DataConfig(source="photos", fit="pad", pad_colour=colour).pad_colour == colour


def test_saved_settings_of_an_earlier_version_crop_at_the_centre_and_flip_nothing() -> None:
    saved = GanConfig(data=DataConfig(source="photos", resolution=64)).to_dict()
    for name in NEW:
        del saved["data"][name]
    loaded = GanConfig.from_dict(saved)
    assert [getattr(loaded.data, name) for name in NEW] == ["crop", "border", 1, False]
    assert loaded == GanConfig(data=DataConfig(source="photos", resolution=64))


def test_settings_come_back_from_json() -> None:
    data = DataConfig(source="photos", fit="pad", pad_colour="#806040", flip=True)
    assert GanConfig.from_dict(GanConfig(data=data).to_dict()).data == data
