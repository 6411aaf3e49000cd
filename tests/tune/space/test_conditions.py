"""Which combinations of a space are tried before a sweep: those that a trial may have, and no others."""

import itertools

import optuna
import pytest

from common.errors import ConfigError
from gan.config import GanConfig
from tune.space.acceptance import check_accepts
from tune.space.space import Choice, Float, Int, Space, baseline, moved_settings, suggest
from tune.space.toml import parse_space

FAMILIES = Space(
    {
        "network.attention": Choice((0, 16), when={"network.family": ("resnet",)}),
        "network.upsampling": Choice(("transposed", "nearest"), when={"network.family": ("dcgan",)}),
        "network.family": Choice(("dcgan", "resnet")),
        "optimizer.beta1": Float(0.0, 0.9),
    }
)


def test_families_are_searched_each_with_its_own_settings() -> None:
    base = GanConfig().with_values({"network.upsampling": "transposed"})
    check_accepts(FAMILIES, base)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = set()
    for _ in range(40):
        network = base.with_values(suggest(FAMILIES, study.ask())).network
        seen.add((network.family, network.upsampling, network.attention))
    assert seen == {
        ("dcgan", "transposed", 0),
        ("dcgan", "nearest", 0),
        ("resnet", "nearest", 0),
        ("resnet", "nearest", 16),
    }
    first = base.with_values(baseline(FAMILIES, base))
    assert first.network.upsampling == "transposed" and not moved_settings(FAMILIES, base)


@pytest.mark.parametrize("kinds", [("nearest", "transposed"), ("transposed", "nearest")])
@pytest.mark.parametrize("families", [("dcgan", "resnet"), ("resnet", "dcgan")])
def test_a_setting_that_is_searched_beside_a_family_that_lacks_it_is_refused_in_one_line(
    kinds: tuple[str, ...], families: tuple[str, ...]
) -> None:
    space = Space({"network.family": Choice(families), "network.upsampling": Choice(kinds)})
    with pytest.raises(ConfigError) as caught:
        check_accepts(space, GanConfig())
    assert str(caught.value) == (
        "network.upsampling is searched where network.family is resnet, too, and has no effect there; "
        'give it when = { "network.family" = ["dcgan"] }'
    )


def test_what_is_proposed_for_a_setting_without_effect_is_accepted() -> None:
    schedules, share = Choice(("constant", "linear", "step", "plateau")), Float(0.2, 0.8)
    with pytest.raises(ConfigError, match=r"where optimizer\.schedule is constant or plateau, too") as caught:
        check_accepts(Space({"optimizer.schedule": schedules, "optimizer.decay_at": share}), GanConfig())
    when = str(caught.value).split("give it ")[1]
    check_accepts(
        parse_space(
            "[optimizer.schedule]\nvalues = ['constant', 'linear', 'step', 'plateau']\n"
            f"[optimizer.decay_at]\nlow = 0.2\nhigh = 0.8\n{when}\n",
            "space.toml",
        ),
        GanConfig(),
    )


def test_a_setting_that_follows_another_of_its_choice_has_an_effect_wherever_it_is_searched() -> None:
    # the level is searched with the policy alone, so the margin that follows it is, too
    space = Space(
        {
            "balance.policy": Choice(("none", "margin")),
            "balance.accuracy_level": Choice((0.6, 0.7), when={"balance.policy": ("margin",)}),
            "balance.accuracy_margin": Float(0.1, 0.2, when={"balance.accuracy_level": (0.6,)}),
        }
    )
    check_accepts(space, GanConfig())


def test_a_sweep_that_was_begun_goes_on_with_settings_that_have_no_effect() -> None:
    text = (
        '[balance.policy]\nvalues = ["none", "loss"]\n[balance.loss_threshold]\nlow = 0.1\nhigh = 0.7\n'
        "[optimizer.patience]\nvalues = [2, 5]\n"
    )
    with pytest.raises(
        ConfigError, match=r"^sweep\.json: balance\.loss_threshold is searched .*\[\"loss\"\] }$"
    ):
        parse_space(text, "sweep.json")
    space = parse_space(text, "sweep.json", is_new=False)
    check_accepts(space, GanConfig(), is_new=False)
    values = {"balance.policy": "none", "balance.loss_threshold": 0.2, "optimizer.patience": 2}
    assert GanConfig().with_searched(values) == GanConfig()


def test_what_is_refused_only_under_a_condition_is_found() -> None:
    space = Space(
        {
            "network.minibatch_std": Choice((4, 6), when={"network.packing": (2,)}),
            "network.packing": Int(1, 2, when={"network.family": ("resnet",)}),
            "network.family": Choice(("dcgan", "resnet")),
        }
    )
    with pytest.raises(ConfigError, match=r"--batch must be a multiple of 12, that is --packing 2 times"):
        check_accepts(space, GanConfig())
    check_accepts(space, GanConfig(batch=48))


def test_a_setting_that_does_not_suit_the_resolution_is_found_before_a_sweep() -> None:
    small = GanConfig().with_values({"data.resolution": 16})
    with pytest.raises(
        ConfigError,
        match=r"network\.family = resnet, network\.attention = 16, which is refused: --attention must be at "
        r"most half of --resolution 16",
    ):
        check_accepts(FAMILIES, small)


def test_every_value_of_a_condition_is_tried() -> None:
    """With packs of 5 a batch of 60 has whole groups of 4 and 6, with packs of 2 none of 4 (60 / 8)."""
    for packing, group in itertools.product((2, 5), (4, 6)):
        space = Space(
            {
                "network.packing": Choice((1, packing)),
                "network.minibatch_std": Choice((0, group), when={"network.packing": (1, packing)}),
            }
        )
        if 60 % (packing * group) == 0:
            check_accepts(space, GanConfig(batch=60))
        else:
            with pytest.raises(
                ConfigError, match=f"--packing {packing} times --minibatch-std {group}, not 60"
            ):
                check_accepts(space, GanConfig(batch=60))
