"""The search space: rules, sampling through Optuna, the file it is read from, and what PBT may change."""

import itertools
import math
import random
from pathlib import Path
from typing import Any

import optuna
import pytest
from ray.tune.schedulers.pbt import _explore

from common.errors import ConfigError
from gan.config import GanConfig
from gan.networks.families import FAMILIES
from gan.training.losses import LOSSES
from tune.space.acceptance import check_accepts
from tune.space.default import default_space
from tune.space.space import (
    Choice,
    Float,
    Int,
    Space,
    baseline,
    clip,
    moved_settings,
    suggest,
    to_mutations,
)
from tune.space.toml import load_space, to_toml

RICH = Space(
    {
        "optimizer.beta1": Float(0.0, 0.9, step=0.1),
        "optimizer.generator_lr": Float(1e-5, 1e-3, log=True),
        "network.width": Int(16, 64, log=True),
        "batch": Choice((32, 64)),
        "network.spectral_norm": Choice((True, False)),
        "balance.discriminator_steps": Int(1, 5, step=2, when={"balance.policy": ("steps",)}),
        "balance.policy": Choice(("none", "steps", "loss"), when={"batch": (32,)}),
    }
)


def write(folder: Path, text: str) -> Path:
    path = folder / "space.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("space", [default_space(), RICH], ids=["default", "rich"])
def test_a_space_written_as_toml_is_read_back_equal(space: Space, tmp_path: Path) -> None:
    assert load_space(write(tmp_path, to_toml(space))) == space


def test_the_default_space_has_rates_and_the_balance_in_this_order() -> None:
    expected = {
        "optimizer.generator_lr": Float(1e-5, 2e-3, log=True),
        "optimizer.discriminator_lr": Float(1e-5, 2e-3, log=True),
        "optimizer.beta1": Float(0.0, 0.9),
        "balance.loss_threshold": Float(0.1, 0.7, when={"balance.policy": ("loss",)}),
        "balance.accuracy_threshold": Float(0.6, 0.95, when={"balance.policy": ("accuracy",)}),
    }
    space = default_space()
    policies = space["balance.policy"]
    assert isinstance(policies, Choice) and policies.values[:3] == ("none", "loss", "accuracy")
    assert list(space)[3] == "balance.policy"
    # policies of your own come after them
    assert [(path, domain) for path, domain in space.items() if path in expected] == list(expected.items())


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer.generator_lr": 2e-6, "optimizer.discriminator_lr": 1e-2, "optimizer.beta1": 0.95},
        {"network.spectral_norm": True},
        {"network.family": "style", "network.gradient_checkpointing": True},
        *({"network.family": family} for family in FAMILIES.names),
        *({"loss.name": loss} for loss in LOSSES.names),
        {"regularization.r1": 0.1},
    ],
    ids=str,
)
def test_the_default_space_accepts_and_reaches_every_base(changes: dict[str, Any]) -> None:
    base = GanConfig().with_values(changes)
    space = default_space(base)
    check_accepts(space, base)
    assert not moved_settings(space, base)


def test_settings_stand_after_those_that_decide_whether_they_are_searched() -> None:
    order = list(RICH)
    for path, domain in RICH.items():
        assert all(order.index(other) < order.index(path) for other in domain.when)
    assert order.index("optimizer.beta1") == 0  # as written otherwise


def test_optuna_is_asked_for_a_setting_only_under_its_condition() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    seen = set()
    for _ in range(60):
        trial = study.ask()
        values = suggest(RICH, trial)
        assert values == trial.params
        assert ("balance.policy" in values) == (values["batch"] == 32)
        assert ("balance.discriminator_steps" in values) == (values.get("balance.policy") == "steps")
        assert values.get("balance.discriminator_steps", 1) in (1, 3, 5)
        assert 1e-5 <= float(values["optimizer.generator_lr"]) <= 1e-3
        GanConfig().with_values(values)
        seen.add(values.get("balance.policy"))
    assert seen == {None, "none", "steps", "loss"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no setting"),
        ("[batch\nvalues = [1]", "line 1"),
        ("[optimizer.beta1]\nlow = 0.0\nhigh = \n", "line 3"),
        ("[optimiser.beta1]\nlow = 0.0\nhigh = 0.5", "did you mean optimizer.beta1"),
        ("[nonsense]\nlow = 0.0\nhigh = 0.5", "nonsense is not a setting"),
        ("optimizer = 3", "optimizer must be a table"),
        ("batch = 3", "batch must be a table"),
        ("[optimizer.beta1]\nlow = 0.0\nhigh = 0.5\nhihg = 1.0", "unknown key ['hihg']"),
        ("[optimizer.beta1]\nlow = 0.0\nvalues = [0.5]", "unknown key ['low']"),
        ("[optimizer.beta1]\nlow = 0.0", "lacks high"),
        ("[optimizer.beta1]\nlow = 0.5\nhigh = 0.5", "low below high"),
        ("[optimizer.beta1]\nlow = nan\nhigh = 0.5", "takes a number, not nan"),
        ("[optimizer.beta1]\nlow = 0.0\nhigh = 0.5\nlog = true", "low above 0"),
        ("[optimizer.beta1]\nlow = 0.1\nhigh = 0.5\nlog = 1", "log = true or false"),
        ("[optimizer.beta1]\nlow = 0.1\nhigh = 0.5\nlog = true\nstep = 0.1", "both log and step"),
        ("[optimizer.beta1]\nlow = 0.0\nhigh = 0.5\nstep = 0.2", "multiple of step"),
        ("[optimizer.beta1]\nlow = 0.0\nhigh = 0.5\nstep = -0.1", "step above 0"),
        ("[optimizer.beta1]\nlow = 0.0\nhigh = 1.5", "--beta1 must be at least 0 and below 1, not 1.5"),
        ('[optimizer.beta1]\nlow = "a"\nhigh = 1.5', "takes a number, not 'a'"),
        ("[network.width]\nlow = 1.5\nhigh = 3.5", "takes a whole number, not 1.5"),
        ("[network.spectral_norm]\nlow = 0\nhigh = 1", "is not a number"),
        ("[network.spectral_norm]\nvalues = [0, 1]", "takes true or false, not 0"),
        ("[balance.policy]\nvalues = []", "at least one of values"),
        ('[balance.policy]\nvalues = "none"', "put it in brackets"),
        ('[balance.policy]\nvalues = ["none", "none"]', "a value twice"),
        ('[balance.policy]\nvalues = ["no"]', "cannot be ['no']; choose among accuracy, "),
        ("[balance.policy]\nvalues = [[1]]", "not a number, text or true/false"),
        ("[data.resolution]\nvalues = [16, 32]", "cannot be searched"),
        ("[images]\nlow = 10\nhigh = 20", "cannot be searched"),
        ('[batch]\nvalues = [4, 8]\nwhen = "loss"', "must look like"),
        ('[batch]\nvalues = [4, 8]\nwhen = { "balance.policy" = ["loss"] }', "which is not searched"),
        (
            '[balance.policy]\nvalues = ["none"]\n[batch]\nvalues=[4]\nwhen = {"balance.policy" = ["loss"]}',
            "not one of its values",
        ),
        (
            '[balance.policy]\nvalues = ["none"]\n[batch]\nvalues = [4, 8]\nwhen = {"balance.policy" = []}',
            "never searched",
        ),
        (
            "[optimizer.beta1]\nlow = 0.0\nhigh = 0.5\n"
            '[batch]\nvalues = [4, 8]\nwhen = {"optimizer.beta1" = [0.5]}',
            "which is a range",
        ),
        (
            "[network.width]\nvalues = [8]\nwhen = {batch = [4]}\n"
            "[batch]\nvalues = [4, 8]\nwhen = {'network.width' = [8]}",
            "form a circle",
        ),
        ('["optimizer.beta1"]\nvalues = [0.5]\n[optimizer.beta1]\nvalues = [0.5]', "appears twice"),
    ],
)
def test_a_wrong_space_file_is_refused_in_one_line(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        load_space(write(tmp_path, text))
    message = str(raised.value)
    assert words in message
    assert "\n" not in message
    assert message.startswith("--space ")


def test_a_space_file_that_is_not_there_or_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_space(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load_space(tmp_path / "binary.toml")


def test_whole_numbers_serve_for_a_setting_that_takes_any_number(tmp_path: Path) -> None:
    space = load_space(
        write(tmp_path, "[optimizer.beta1]\nvalues = [0]\n[loss.gradient_penalty]\nlow = 1\nhigh = 10")
    )
    assert space["loss.gradient_penalty"] == Float(1.0, 10.0)
    assert type(space["optimizer.beta1"].extremes()[0]) is float


def test_a_batch_that_does_not_divide_over_the_workers_is_refused() -> None:
    space = Space({"batch": Int(32, 64, step=2)})
    check_accepts(space, GanConfig(), worker_counts=(2,))
    with pytest.raises(
        ConfigError, match="batch = 32, which is refused: --batch must be a multiple of the 3"
    ):
        check_accepts(space, GanConfig(), worker_counts=(3,))


def test_the_baseline_is_the_base_itself_where_the_space_has_it() -> None:
    values = baseline(default_space(), GanConfig())
    assert GanConfig().with_values(values) == GanConfig()
    assert set(values) == {
        "optimizer.generator_lr",
        "optimizer.discriminator_lr",
        "optimizer.beta1",
        "balance.policy",
    }
    far = baseline(
        RICH, GanConfig().with_values({"network.width": 128, "optimizer.beta1": 0.52, "batch": 48})
    )
    assert far["network.width"] == 64
    assert far["optimizer.beta1"] == pytest.approx(0.5)


def test_what_moved_into_the_space_is_named() -> None:
    assert moved_settings(default_space(), GanConfig()) == []
    outside = GanConfig().with_values({"optimizer.generator_lr": 1e-2, "optimizer.beta1": 0.95})
    assert moved_settings(default_space(), outside) == [
        "optimizer.generator_lr 0.002 instead of 0.01",
        "optimizer.beta1 0.9 instead of 0.95",
    ]


@pytest.mark.parametrize("number", [-3.0, 0.0, 0.31, 0.349, 2.2, 17.0, 1e9])
def test_the_nearest_value_is_the_one_that_brute_force_finds(number: float) -> None:
    domains = {
        Float(0.1, 0.7, step=0.2).nearest(number): [0.1, 0.3, 0.5, 0.7],
        Int(1, 9, step=4).nearest(number): [1, 5, 9],
        Choice((2, 3, 17)).nearest(number): [2, 3, 17],
    }
    for found, grid in domains.items():
        assert abs(float(found) - number) == pytest.approx(min(abs(value - number) for value in grid))


@pytest.mark.parametrize(
    ("values", "number", "nearest"),
    [((4e-4, 1e-9, 1.0), 2e-4, 4e-4), ((16, 64), 31, 16), ((16, 64), 33, 64), ((0.0, 0.5, 0.9), 0.2, 0.0)],
)
def test_the_nearest_of_positive_choices_has_the_nearest_magnitude(
    values: tuple[float, ...], number: float, nearest: float
) -> None:
    assert Choice(values).nearest(number) == nearest


def test_pbt_explores_within_the_space_and_leaves_what_a_run_cannot_change() -> None:
    space = Space({**RICH, "loss.label_smoothing": Choice((0.2, 0.0, 0.1))})
    mutations = to_mutations(space)
    assert set(mutations) == {"optimizer.beta1", "optimizer.generator_lr", "loss.label_smoothing"}
    assert mutations["loss.label_smoothing"] == [0.0, 0.1, 0.2]
    random.seed(0)
    config = {**baseline(space, GanConfig()), "number": 3}
    seen = []
    for _ in range(300):
        config, _ = _explore(config, mutations, 0.25, (1.2, 0.8), lambda explored: clip(space, explored))
        assert config["number"] == 3
        assert 1e-5 <= config["optimizer.generator_lr"] <= 1e-3
        assert any(math.isclose(config["optimizer.beta1"], tenth / 10, abs_tol=1e-9) for tenth in range(10))
        GanConfig().with_values({path: value for path, value in config.items() if path in space})
        seen.append(config["optimizer.generator_lr"])
    assert len(set(seen)) > 100


def test_log_ranges_are_drawn_evenly_in_magnitude() -> None:
    random.seed(0)
    draws = [float(Float(1e-5, 1e-3, log=True).sample()) for _ in range(4000)]
    below = sum(draw < 1e-4 for draw in draws) / len(draws)
    assert below == pytest.approx(0.5, abs=0.03)
    assert {Int(1, 9, step=4).sample() for _ in range(100)} == {1, 5, 9}
    assert {Int(1, 3, log=True).sample() for _ in range(100)} == {1, 2, 3}


def test_a_space_without_a_number_for_pbt_is_refused() -> None:
    with pytest.raises(ConfigError, match="--scheduler pbt needs"):
        to_mutations(Space({"network.width": Int(16, 64), "balance.policy": Choice(("none", "loss"))}))


def test_every_combination_of_the_default_choices_is_a_valid_configuration() -> None:
    space = default_space()
    for ends in itertools.product(*(domain.extremes() for domain in space.values())):
        GanConfig().with_searched(dict(zip(space, ends, strict=True)))


def test_a_byte_order_mark_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "space.toml"
    path.write_text('["optimizer.beta1"]\nlow = 0.0\nhigh = 0.9\n', encoding="utf-8-sig")
    assert load_space(path)["optimizer.beta1"].extremes() == (0.0, 0.9)
