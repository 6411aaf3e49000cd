"""Random crops and colours: random values keep to their ranges, and invariants hold."""

import math

import pytest
import torch

from perceptual.train import augmentation
from perceptual.train.augmentation import hue_rotations, random_colours, random_crops

COUNT = 400


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(11)


def ramps(side: int) -> torch.Tensor:
    """(COUNT, 2, side, side): the column's and the row's number, in pixels."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.stack([columns, rows]).float().expand(COUNT, 2, side, side)


def test_a_crop_of_ramps_is_a_segment_of_them() -> None:
    side, out = 64, 16
    found = random_crops(ramps(side), out, seeded())
    assert found.shape == (COUNT, 2, out, out)
    across, down = found[:, 0], found[:, 1]
    # bilinear interpolation is exact on a ramp; only half a pixel at the picture's border is held
    assert bool((across - across[:, :1]).abs().max() < 1e-3) and bool(
        (down - down[:, :, :1]).abs().max() < 1e-3
    )
    inner = slice(2, out - 2)
    for ramp in (across[:, 0], down[:, :, 0]):
        steps = ramp.diff(dim=1)[:, inner]
        assert bool((steps - steps.mean(dim=1, keepdim=True)).abs().max() < 1e-2)
        assert ramp.min() >= 0 and ramp.max() <= side - 1


def test_crops_keep_to_their_areas_and_aspects_and_half_are_mirrored() -> None:
    side, out = 64, 16
    found = random_crops(ramps(side), out, seeded())
    steps = found[:, 0, 0].diff(dim=1)[:, 5]
    width, height = steps.abs() * out / side, found[:, 1, :, 0].diff(dim=1)[:, 5] * out / side
    assert bool((height > 0).all()) and bool((width <= 1 + 1e-4).all()) and bool((height <= 1 + 1e-4).all())
    area, aspect = width * height, width / height
    assert 0.25 - 1e-3 <= area.min() < 0.3 and 0.9 < area.max() <= 1 + 1e-3
    assert 3 / 4 - 1e-3 <= aspect.min() < 0.8 and 1.25 < aspect.max() <= 4 / 3 + 1e-3
    assert abs(float((steps < 0).float().mean()) - 0.5) < 0.1


def test_a_crop_of_the_whole_picture_is_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "AREA", (1.0, 1.0))
    monkeypatch.setattr(augmentation, "ASPECT", (1.0, 1.0))
    picture = torch.rand(1, 3, 12, 12, generator=seeded()).expand(20, 3, 12, 12)
    found = random_crops(picture, 12, seeded())
    straight = (found - picture).abs().amax(dim=(1, 2, 3)) < 1e-5
    mirrored = (found - picture.flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-5
    assert bool((straight ^ mirrored).all()) and bool(straight.any()) and bool(mirrored.any())


def test_a_hue_rotation_by_nothing_is_the_identity_and_by_a_third_exchanges_the_primaries() -> None:
    nothing, third = hue_rotations(torch.tensor([0.0, 2 * math.pi / 3]))
    torch.testing.assert_close(nothing, torch.eye(3))
    exchange = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    torch.testing.assert_close(third, exchange, atol=1e-6, rtol=0)


def test_hue_rotations_are_rotations_that_keep_the_mean_of_a_colour() -> None:
    rotations = hue_rotations(torch.linspace(-3, 3, 13))
    torch.testing.assert_close(rotations @ rotations.mT, torch.eye(3).expand(13, 3, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.linalg.det(rotations), torch.ones(13))
    torch.testing.assert_close(rotations.mean(dim=1), torch.full((13, 3), 1 / 3))


def only(monkeypatch: pytest.MonkeyPatch, **strengths: float) -> None:
    """Leave all but the named changes out."""
    for name in ("BRIGHTNESS", "CONTRAST", "SATURATION", "HUE", "GREY"):
        monkeypatch.setattr(augmentation, name, strengths.get(name, 0.0))


def pictures() -> torch.Tensor:
    """Colours so far from black and white that no change of one kind is cut off."""
    return 0.35 + 0.25 * torch.rand(COUNT, 3, 4, 5, generator=torch.Generator().manual_seed(2))


def luminance(images: torch.Tensor) -> torch.Tensor:
    return 0.299 * images[:, 0] + 0.587 * images[:, 1] + 0.114 * images[:, 2]


def test_colours_without_a_change_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch)
    torch.testing.assert_close(random_colours(pictures(), seeded()), pictures(), atol=1e-6, rtol=0)


def test_brightness_multiplies_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, BRIGHTNESS=0.4)
    factors = (random_colours(pictures(), seeded()) / pictures()).flatten(1)
    assert bool((factors - factors[:, :1]).abs().max() < 1e-4)
    assert 0.6 <= factors.min() < 0.65 and 1.35 < factors.max() <= 1.4


def test_contrast_keeps_the_mean_luminance(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, CONTRAST=0.4)
    before, after = pictures(), random_colours(pictures(), seeded())
    mean = luminance(before).mean(dim=(1, 2))
    torch.testing.assert_close(luminance(after).mean(dim=(1, 2)), mean, atol=1e-5, rtol=0)
    factors = after.std(dim=(1, 2, 3)) / before.std(dim=(1, 2, 3))
    assert 0.6 <= factors.min() < 0.65 and 1.35 < factors.max() <= 1.4


def test_saturation_keeps_each_pixels_luminance(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, SATURATION=0.4)
    after = random_colours(pictures(), seeded())
    torch.testing.assert_close(luminance(after), luminance(pictures()), atol=1e-5, rtol=0)
    assert bool((after - pictures()).abs().max() > 0.01)


def test_hue_keeps_each_pixels_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch, HUE=0.1)
    after = random_colours(pictures(), seeded())
    torch.testing.assert_close(after.mean(dim=1), pictures().mean(dim=1), atol=1e-5, rtol=0)
    assert bool((after - pictures()).abs().max() > 0.01)


def test_a_tenth_of_the_pictures_become_grey() -> None:
    noise = torch.rand(4000, 3, 2, 2, generator=seeded()) * 0.2 + 0.4
    after = random_colours(noise, seeded())
    grey = (after.amax(dim=1) - after.amin(dim=1)).amax(dim=(1, 2)) < 1e-5
    assert abs(float(grey.float().mean()) - 0.1) < 4 * math.sqrt(0.1 * 0.9 / 4000)
    assert after.min() >= 0 and after.max() <= 1


def test_the_same_random_numbers_give_the_same_pictures() -> None:
    first, again = (random_colours(random_crops(pictures(), 4, r), r) for r in (seeded(), seeded()))
    assert torch.equal(first, again)
