"""Whether a run that is resumed has the images that it began with."""

import numpy as np
import pytest

from common.errors import ConfigError
from gan.data.images import Images, check_same, remember


def _images(train: int = 40, held_out: int = 10, channels: int = 3, fingerprint: str = "a") -> Images:
    return Images(
        train=np.zeros((train, 16, 16, channels), np.uint8),
        held_out=np.zeros((held_out, 16, 16, channels), np.uint8),
        train_labels=None,
        held_out_labels=None,
        class_names=(),
        skipped=(),
        fingerprint=fingerprint,
    )


def _check(now: Images, *, earlier: dict[str, object] | None = None, accepts_change: bool = False) -> None:
    before = remember(_images()) if earlier is None else earlier
    check_same(before, now, source="photos", accepts_change=accepts_change, channels=3)


def test_the_same_images_and_those_of_an_earlier_version_pass() -> None:
    _check(_images())
    _check(_images(fingerprint="b"), earlier={})


def test_what_has_changed_is_said_and_a_flag_accepts_it() -> None:
    for now, said in (
        (_images(80, 20, fingerprint="b"), r"80 to train on instead of 40, 20 held out instead of 10\)"),
        (_images(fingerprint="b"), r"\(as many, with other content\)"),
    ):
        with pytest.raises(ConfigError, match=f"{said}.*--changed-data"):
            _check(now)
        _check(now, accepts_change=True)


@pytest.mark.parametrize("earlier", [None, {}])
def test_networks_for_colour_do_not_go_on_with_grey_pictures(earlier: dict[str, object] | None) -> None:
    for accepts_change in (False, True):
        with pytest.raises(ConfigError, match=r"pictures are grey, and the networks .* in colour; put"):
            _check(_images(channels=1), earlier=earlier, accepts_change=accepts_change)


def test_a_batch_that_is_too_large_is_refused_with_one_that_fits() -> None:
    images = _images(24, 6)
    with pytest.raises(ConfigError, match=r"at most the 24 .* not 64; try --batch 16"):
        images.check_batch(64)
    images.check_batch(16)
