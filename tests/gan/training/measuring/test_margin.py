"""How far ahead the discriminator is, against an independent computation, and that asking changes nothing."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from gan.config import GanConfig, NetworkConfig
from gan.data.images import Images
from gan.distributed import Ranks
from gan.training.measuring.margin import MarginProbe
from gan.training.seeding import images_on_device
from gan.training.view import outputs


class Brightness(nn.Module):
    """Judges by the mean value, with running statistics that a pass moves."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.norm(images)
        result: torch.Tensor = images.mean(dim=(1, 2, 3)) * 127.5 + 127.5
        return result


def pictures(levels: np.ndarray) -> np.ndarray:
    """One grey picture of 16 x 16 pixels for each level."""
    return np.broadcast_to(levels.astype(np.uint8)[:, None, None, None], (len(levels), 16, 16, 1)).copy()


def probe(train: np.ndarray, held_out: np.ndarray, generated: int, packing: int = 1) -> MarginProbe:
    """Of the held-out pictures, a search may use every second."""
    held_out = held_out.repeat(2)
    images = Images(
        train=pictures(train),
        held_out=pictures(held_out),
        train_labels=None,
        held_out_labels=None,
        class_names=(),
        skipped=(),
        fingerprint="levels",
    )
    config = GanConfig(network=NetworkConfig(packing=packing), batch=12)
    return MarginProbe(config, images, slice(0, generated), generated, Ranks())


def test_margin_and_overfit_are_differences_of_means_in_standard_deviations() -> None:
    random = np.random.default_rng(0)
    train, held_out, fakes = (random.integers(low, low + 40, 64) for low in (180, 150, 20))
    found = probe(train, held_out, 64).measure(Brightness(), torch.from_numpy(pictures(fakes)), None)

    def distance(first: np.ndarray, second: np.ndarray) -> float:
        return float((first.mean() - second.mean()) / np.sqrt((first.var() + second.var()) / 2))

    assert found["discriminator_margin"] == pytest.approx(distance(held_out, fakes), rel=1e-4)
    assert found["discriminator_overfit"] == pytest.approx(distance(train, held_out), rel=1e-4)


def test_packed_images_are_judged_together() -> None:
    class PackBrightness(Brightness):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            assert images.shape[1] == 3
            result: torch.Tensor = images.mean(dim=(1, 2, 3)) * 127.5 + 127.5
            return result

    random = np.random.default_rng(1)
    train, held_out, fakes = (random.integers(low, low + 90, 48) for low in (100, 80, 20))
    found = probe(train, held_out, 48, packing=3).measure(
        PackBrightness(), torch.from_numpy(pictures(fakes)), None
    )
    packs = [each.reshape(-1, 3).mean(axis=1) for each in (held_out, fakes)]
    deviation = np.sqrt((packs[0].var() + packs[1].var()) / 2)
    expected = (packs[0].mean() - packs[1].mean()) / deviation
    assert found["discriminator_margin"] == pytest.approx(expected, rel=1e-4)


def test_outputs_without_spread_give_finite_numbers() -> None:
    same = np.full(20, 100)
    found = probe(same, same, 20).measure(Brightness(), torch.from_numpy(pictures(np.full(20, 7))), None)
    assert found == {"discriminator_margin": 100.0, "discriminator_overfit": 0.0}


def test_fewer_images_than_usual_are_enough() -> None:
    # of nine held-out pictures eight are asked about, and every eighth of 64 samples
    held_out, samples = np.arange(0, 90, 10), torch.from_numpy(pictures(np.arange(64)))
    found = probe(np.arange(100), held_out, 64).measure(Brightness(), samples, None)
    asked, fakes = held_out[np.arange(8) * 9 // 8], np.arange(0, 64, 8)
    expected = (asked.mean() - fakes.mean()) / np.sqrt((asked.var() + fakes.var()) / 2)
    assert found["discriminator_margin"] == pytest.approx(expected, rel=1e-4)


def test_asking_leaves_the_discriminator_as_it_is() -> None:
    discriminator = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.utils.parametrizations.spectral_norm(nn.Conv2d(3, 1, 14))
    )
    before = copy.deepcopy(discriminator.state_dict())
    images = images_on_device(pictures(np.arange(0, 250, 10)), torch.device("cpu"))
    outputs(discriminator, [images, images], None)
    after = discriminator.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert discriminator.training
