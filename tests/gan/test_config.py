"""Names and settings that the configuration takes from the registries of losses, policies and families."""

import re
import shutil
import subprocess
import sys
import typing
from pathlib import Path

import pytest

from common.errors import ConfigError
from common.registry import Registry
from common.settings import setting_paths
from gan.cli.flags import Train, parse_command
from gan.config import BalanceConfig, GanConfig, LossConfig, NetworkConfig
from gan.networks.families import FAMILIES
from gan.training.balance import POLICIES, policies_in_order
from gan.training.losses import LOSSES

ROOT = Path(__file__).parents[2]
REGISTRIES = [
    pytest.param(LOSSES, LossConfig, "name", "loss", id="loss"),
    pytest.param(POLICIES, BalanceConfig, "policy", "balance", id="balance"),
    pytest.param(FAMILIES, NetworkConfig, "family", "family", id="family"),
]


def run_python(code: str, root: Path = ROOT) -> str:
    """What a fresh Python prints that imports the packages below `root`."""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env={"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def unwrapped(text: str) -> str:
    """The text without tyro's frames and without white space: lines break within words that have a hyphen."""
    return re.sub(r"[│╭╮╰╯─\s]", "", text)


HELP = """
import sys
from gan.__main__ import main
try:
    main(["train", "--help"])
except SystemExit:
    pass
print("heavy:", sorted({"torch", "ray"} & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def train_help() -> str:
    """What `python -m gan train --help` prints, without frames and white space, and what it imported."""
    return unwrapped(run_python(HELP))


def test_help_imports_neither_torch_nor_ray(train_help: str) -> None:
    assert train_help.endswith("heavy:[]")


@pytest.mark.parametrize(("registry", "config", "field", "flag"), REGISTRIES)
def test_the_choices_are_the_registry_s_names_and_help_lists_each(
    registry: Registry[object], config: type, field: str, flag: str, train_help: str
) -> None:
    choices = typing.get_args(typing.get_type_hints(config)[field])
    assert choices == registry.names
    assert f"--{flag}{{{','.join(choices)}}}" in train_help
    for name in choices:
        assert registry.summary(name)
        assert unwrapped(f"{name}: {registry.summary(name)}") in train_help


def test_the_earlier_name_of_the_plateau_schedule_is_still_a_flag_but_help_lists_only_the_new_one(
    train_help: str,
) -> None:
    command = parse_command(["train", "--lr-schedule", "stall"])
    assert isinstance(command, Train) and command.gan.optimizer.schedule == "plateau"
    assert "{constant,linear,cosine,step,plateau}" in train_help
    assert "stall" not in train_help


def test_settings_of_policies_keep_their_paths_and_order() -> None:
    paths = [path for path in setting_paths(GanConfig) if path.startswith("balance.")]
    assert paths == [
        "balance.policy",
        "balance.loss_threshold",
        "balance.accuracy_threshold",
        "balance.discriminator_steps",
        "balance.generator_steps",
    ]


def test_every_searched_range_of_a_policy_is_of_one_of_its_settings() -> None:
    for name, policy in policies_in_order().items():
        for setting in policy.search_ranges:
            assert hasattr(POLICIES.module(name).Settings(), setting)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"loss_threshold": 1e7}, "--loss-threshold must lie between"),
        ({"accuracy_threshold": 1.5}, "--accuracy-threshold must lie between 0 and 1"),
        ({"discriminator_steps": 0}, "--discriminator-steps must lie between 1 and 100, not 0"),
        ({"generator_steps": 101}, "--generator-steps must lie between 1 and 100, not 101"),
    ],
)
def test_rules_of_policies_are_checked_whatever_policy_is_chosen(
    values: dict[str, float], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        GanConfig.from_dict({"balance": values})


NEW_POLICY = '''
"""the discriminator rests in every nth step."""

import dataclasses

from common.errors import require
from gan.training.balance import Measured, Policy, SearchRange


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the policy."""

    rest_every: int = 5
    """For every-nth: steps between two rests."""

    def __post_init__(self) -> None:
        require(self.rest_every >= 2, f"--rest-every must be at least 2, not {self.rest_every}; try 5")


def _discriminator_trains(settings: Settings, step: int, measured: Measured | None) -> bool:
    return (step + 1) % settings.rest_every != 0


POLICY = Policy(
    discriminator_trains=_discriminator_trains,
    search_place=3,
    search_ranges={"rest_every": SearchRange(2, 9)},
)
'''
NEW_LOSS = '''
"""the smallest loss that trains."""

from gan.training.losses import Loss

LOSS = Loss(
    discriminator=lambda real, fake, smoothing: (real - 1).square().mean() + fake.square().mean(),
    generator=lambda fake: (fake - 1).square().mean(),
    critic_norm="layer",
)
'''
NEW_FAMILY = '''
"""one linear layer each."""

import dataclasses

from common.errors import require
from gan.networks.families import Family


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the family."""

    gain: float = 1.0
    """For linear: factor before the tanh."""

    def __post_init__(self) -> None:
        require(self.gain > 0, f"--gain must be above 0, not {self.gain}; try 1")


def build_generator(config, *, resolution, channels, seed):
    from gan.networks.families.linear.layers import Generator

    return Generator(config.latent_size, (channels, resolution, resolution), config.gain)


def build_discriminator(config, *, resolution, channels, seed, norm):
    from gan.networks.families.linear.layers import Discriminator

    return Discriminator(channels * resolution**2)


FAMILY = Family(
    build_generator=build_generator,
    build_discriminator=build_discriminator,
    describe=lambda config, **_: f"linear of gain {config.gain}",
    resolutions=(16,),
)
'''
LAYERS = '''
"""Layers of the linear family."""

import math

import torch
from torch import nn


class Generator(nn.Linear):
    """Latents to images."""

    def __init__(self, latent_size, shape, gain):
        super().__init__(latent_size, math.prod(shape))
        self.shape, self.gain = shape, gain

    def forward(self, input):
        return torch.tanh(self.gain * super().forward(input)).view(-1, *self.shape)


class Discriminator(nn.Linear):
    """Images to logits."""

    def __init__(self, size):
        super().__init__(size, 1)

    def forward(self, input):
        return super().forward(input.flatten(1)).squeeze(1)
'''
EXTENDED = """
import numpy as np
from common.errors import ConfigError
from gan.config import GanConfig
from gan.networks import describe
from gan.data.images import Images
from gan.training.run import GanRun
from tune.space.space import Int, default_space

config = GanConfig().with_values({
    "loss.name": "smallest", "balance.policy": "every-nth", "balance.rest_every": 2,
    "network.family": "linear", "network.gain": 0.5, "data.resolution": 16, "batch": 4, "images_per_tick": 16,
    "evaluation.metric": "swd", "evaluation.metric_images": 16, "precision": "fp32",
})
assert GanConfig.from_dict(config.to_dict()) == config
for wrong in ({"balance.rest_every": 1}, {"network.gain": -1.0}):
    try:
        config.with_values(wrong)
    except ConfigError as error:
        print(error)
space = default_space()
assert space["balance.policy"].values == ("none", "loss", "accuracy", "every-nth")
assert space["balance.rest_every"] == Int(2, 9, when={"balance.policy": ("every-nth",)})
print(describe(config.network, resolution=16, channels=1))
pixels = np.random.default_rng(0).integers(0, 256, (60, 16, 16, 1), dtype=np.uint8)
images = Images(
    train=pixels[:40], held_out=pixels[40:], fingerprint="0",
    train_labels=None, held_out_labels=None, class_names=(), skipped=(),
)
run = GanRun(config, images)
print(run.tick()["discriminator_skipped"])
other = GanRun(config, images)
other.load_state_dict(run.state_dict())
print(other.tick()["step"])
try:
    describe(config.network, resolution=32, channels=1)
except ConfigError as error:
    print(error)
"""


def test_a_new_loss_a_new_policy_and_a_new_family_are_one_new_file_each(tmp_path: Path) -> None:
    for package in ("common", "gan", "perceptual", "tune"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in {
        "training/balance/every_nth.py": NEW_POLICY,
        "training/losses/smallest.py": NEW_LOSS,
        "networks/families/linear/__init__.py": NEW_FAMILY,
        "networks/families/linear/layers.py": LAYERS,
    }.items():
        path = tmp_path / "gan" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.lstrip())
    shown = unwrapped(run_python(HELP, tmp_path))
    assert shown.endswith("heavy:[]")
    assert "--rest-everyINT" in shown and "--gainFLOAT" in shown
    assert "smallest:thesmallestlossthattrains" in shown
    assert run_python(EXTENDED, tmp_path).splitlines() == [
        "--rest-every must be at least 2, not 1; try 5",
        "--gain must be above 0, not -1.0; try 1",
        "linear of gain 0.5",
        "0.5",
        "8.0",
        "--family linear makes images of 16 pixels, not 32; choose another --resolution or another --family",
    ]
