"""Names and settings that the configuration takes from the registries of losses, policies and families."""

import re
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
    expected = [
        "balance.policy",
        "balance.loss_threshold",
        "balance.accuracy_threshold",
        "balance.discriminator_steps",
        "balance.generator_steps",
    ]
    assert [path for path in setting_paths(GanConfig) if path in expected] == expected


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


@pytest.mark.parametrize("batch", [2, 7, 32, 96, 128, 150])
def test_ticks_end_with_the_batch_that_completes_them_whatever_the_batch(batch: int) -> None:
    config = GanConfig(images=1000, images_per_tick=100, batch=batch)
    images, ends = 0, []
    while images < config.total_images():
        images += config.steps_to_next_tick(images) * batch
        ends.append(images)
    # the first whole batch at or after each multiple of 100
    expected = sorted({next(n for n in range(0, 2000, batch) if n >= 100 * tick) for tick in range(1, 11)})
    assert ends == expected and ends[-1] - 1000 < batch
    assert [config.nominal_images(end) for end in ends] == [end // 100 * 100 for end in ends]


def test_a_setting_of_another_family_is_refused_in_one_line_where_it_is_given() -> None:
    for flags in (["--family", "resnet", "--upsampling", "transposed"], ["--attention", "16"]):
        with pytest.raises(ConfigError) as caught:
            parse_command(["train", *flags])
        assert re.fullmatch(
            r"--\w+ \w+ has no effect with --family \w+, it belongs to \w+; leave it at \w+ or choose "
            r"--family \w+",
            str(caught.value),
        )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--augment-target", "0.3"],
            "--augment-target 0.3 has no effect with --balance none, it belongs to adaptive; leave it at 0.5 "
            "or choose --balance adaptive",
        ),
        (
            ["--balance", "margin", "--loss-threshold", "0.2"],
            "--loss-threshold 0.2 has no effect with --balance margin, it belongs to loss; leave it at 0.4 "
            "or choose --balance loss",
        ),
        (
            ["--lr-schedule", "cosine", "--lr-decay-at", "0.25"],
            "--lr-decay-at 0.25 has no effect with --lr-schedule cosine, it belongs to linear and step; "
            "leave it at 0.5 or choose --lr-schedule linear",
        ),
        (
            ["--lr-patience", "3"],
            "--lr-patience 3 has no effect with --lr-schedule constant, it belongs to plateau; leave it at 5 "
            "or choose --lr-schedule plateau",
        ),
    ],
)
def test_a_setting_of_another_policy_or_schedule_is_refused_in_one_line(
    flags: list[str], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_command(["train", *flags])
    assert str(caught.value) == message


def test_settings_of_every_policy_are_accepted_beside_it_and_dropped_beside_another() -> None:
    base = GanConfig()
    for name in POLICIES:
        ranges = POLICIES[name].search_ranges
        own = {f"balance.{setting}": searched.low for setting, searched in ranges.items()}
        chosen = base.with_values({"balance.policy": name, **own})
        assert {path: chosen.value(path) for path in own} == own
        for path, value in own.items():
            with pytest.raises(ConfigError, match=f"it belongs to {name};"):
                base.with_values({path: value})
    adapted = base.with_values({"balance.policy": "adaptive", "balance.augment_target": 0.3})
    assert adapted.with_values({"balance.policy": "none"}) == base
    saved = adapted.to_dict()
    saved["balance"]["policy"] = "accuracy"  # as saved when it was silently ignored
    assert GanConfig.from_dict(saved).balance == BalanceConfig(policy="accuracy")


def test_another_family_may_be_chosen_for_settings_of_a_saved_run() -> None:
    saved = GanConfig(network=NetworkConfig(upsampling="transposed"))
    assert saved.with_values({"network.family": "resnet"}).network == NetworkConfig(family="resnet")
    command = parse_command(
        ["train", "--family", "resnet", "--upsampling", "nearest", "--attention", "8"], saved
    )
    assert isinstance(command, Train)
    assert command.gan.network == NetworkConfig(family="resnet", attention=8)
    assert GanConfig.from_dict(command.gan.to_dict()) == command.gan
