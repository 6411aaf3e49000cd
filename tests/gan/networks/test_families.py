"""Network families: the one that a configuration names builds its networks."""

import re

import pytest
import torch

from common.errors import ConfigError
from gan import networks
from gan.config import NetworkConfig
from gan.networks import build_discriminator, build_generator, describe, scales_of
from gan.networks.families import FAMILIES, Family
from gan.networks.families.dcgan import FAMILY
from gan.training.view import see

SMALL = NetworkConfig(width=4, latent_size=6)


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Family:
    """A family of linear networks for 16 pixels, found under the name dcgan."""

    def build_toy_generator(
        config: NetworkConfig, *, resolution: int, channels: int, seed: int
    ) -> torch.nn.Module:
        return torch.nn.Linear(config.latent_size, channels * resolution**2)

    toy = Family(
        build_generator=build_toy_generator,
        build_discriminator=FAMILY.build_discriminator,
        describe=lambda config, **_: f"toy of {config.latent_size} latents",
        resolutions=(16,),
    )
    monkeypatch.setattr(networks, "FAMILIES", {"dcgan": toy})
    return toy


@pytest.mark.parametrize("name", list(FAMILIES))
def test_every_family_makes_and_judges_images_of_each_of_its_resolutions(name: str) -> None:
    config = NetworkConfig(family=name, width=4, latent_size=6)
    for resolution in FAMILIES[name].resolutions:
        shape = {"resolution": resolution, "channels": 3}
        images = build_generator(config, **shape).eval()(torch.randn(2, 6))
        assert images.shape == (2, 3, resolution, resolution)
        assert images.abs().max() <= 1
        seen = see(images, (), (), None, 1, scales_of(config, resolution))
        for norm in ("batch", "layer"):
            assert build_discriminator(config, **shape, norm=norm)(seen).shape == (2,)


@pytest.mark.usefixtures("toy")
def test_the_named_family_builds_the_networks() -> None:
    generator = build_generator(SMALL, resolution=16, channels=1)
    assert isinstance(generator, torch.nn.Linear)
    assert describe(SMALL, resolution=16, channels=1) == "toy of 6 latents"


@pytest.mark.usefixtures("toy")
def test_a_resolution_that_the_family_does_not_support_is_refused_in_one_line() -> None:
    for refuse in (build_generator, build_discriminator, describe):
        with pytest.raises(ConfigError, match=r"^--family dcgan makes images of 16 pixels, not 32; .*$"):
            refuse(SMALL, resolution=32, channels=1)


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_the_description_counts_the_parameters_of_the_built_networks(norm: networks.CriticNorm) -> None:
    shape = {"resolution": 32, "channels": 3}
    text = describe(SMALL, **shape, norm=norm)
    built = build_generator(SMALL, **shape), build_discriminator(SMALL, **shape, norm=norm)
    counts = [sum(parameter.numel() for parameter in network.parameters()) for network in built]
    assert [
        int(number.replace(",", "")) for number in re.findall(r"([\d,]+) (?:parameters )?in the", text)
    ] == counts
    assert "width 4" in text and "\n" not in text
