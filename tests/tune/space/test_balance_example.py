"""The example of a space over balance policies and regularizers: read, accepted, and conditional."""

from pathlib import Path

import optuna

from common.settings import setting_paths
from gan.config import GanConfig
from gan.training.balance import POLICIES
from tune.space.acceptance import check_accepts
from tune.space.default import default_space
from tune.space.space import suggest
from tune.space.toml import load_space

EXAMPLE = Path(__file__).parents[3] / "examples" / "balance.toml"
SPACE = load_space(EXAMPLE)


def test_every_setting_is_accepted_on_one_worker_and_on_several() -> None:
    check_accepts(SPACE, GanConfig(), worker_counts=(1, 2, 4))
    assert set(SPACE) <= set(setting_paths(GanConfig))


def test_every_trial_that_is_proposed_is_accepted_and_searches_only_what_has_an_effect() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    policies = set()
    for _ in range(100):
        values = suggest(SPACE, study.ask())
        config = GanConfig().with_values(values)
        config.check_workers(2)
        policies.add(policy := config.balance.policy)
        searched = {path.removeprefix("balance.") for path in values if path.startswith("balance.")}
        assert searched - {"policy"} == set(POLICIES[policy].search_ranges)
        for setting, of in (("instance_noise_share", "instance_noise"), ("r1_every", "r1")):
            assert (f"regularization.{setting}" in values) == (values[f"regularization.{of}"] != 0)
    assert policies == {"none", "accuracy", "margin", "adaptive"}


def test_its_ranges_are_those_of_the_policies() -> None:
    for name in ("accuracy", "margin", "adaptive"):
        for setting, searched in POLICIES[name].search_ranges.items():
            domain = SPACE[f"balance.{setting}"]
            assert (domain.low, domain.high, domain.log) == tuple(searched), (name, setting)  # type: ignore[union-attr]


def test_the_default_space_has_none_of_the_new_ones_before_a_sweep_has_measured_them() -> None:
    assert not [path for path in default_space() if path.startswith("regularization.")]
    policies = default_space()["balance.policy"].values  # type: ignore[union-attr]
    assert not {"margin", "adaptive"} & set(policies)
