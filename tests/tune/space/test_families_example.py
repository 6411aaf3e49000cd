"""The example of a space over families of networks: accepted, conditional, and complete."""

from pathlib import Path

import optuna

from gan.config import GanConfig, NetworkConfig
from gan.networks import build_discriminator, build_generator
from gan.networks.families import FAMILIES, settings_by_family
from tune.space.acceptance import check_accepts
from tune.space.space import suggest
from tune.space.toml import load_space

SPACE = load_space(Path(__file__).parents[3] / "examples" / "families.toml")


def test_it_is_accepted_on_one_worker_and_on_several() -> None:
    check_accepts(SPACE, GanConfig(), worker_counts=(1, 2, 4))


def test_every_family_is_proposed_with_its_own_settings_alone_and_can_be_built() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    owners = {
        f"network.{name}": family
        for family, settings in settings_by_family().items()
        for name in settings.__dataclass_fields__
    }
    proposed: dict[str, NetworkConfig] = {}
    for _ in range(100):
        values = suggest(SPACE, study.ask())
        config = GanConfig(batch=32).with_values({**values, "network.width": 4})
        name = config.network.family
        assert all(owners.get(path, name) == name for path in values)
        proposed[name] = config.network
    assert set(proposed) == set(FAMILIES)
    for network in proposed.values():
        build_generator(network, resolution=32, channels=3)
        build_discriminator(network, resolution=32, channels=3, norm="layer")
