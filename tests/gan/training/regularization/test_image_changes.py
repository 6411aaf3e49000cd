"""What regularizers do to the images of a step: noise against its definition, augmentations, ranks."""

import math

import pytest
import torch

from common.errors import ConfigError
from gan.config import GanConfig, RegularizationConfig
from gan.training.augmentations import AUGMENTATIONS
from gan.training.regularization import REGULARIZERS, Change, Moment
from gan.training.regularization.instance_noise import deviation


def _settings(**values: object) -> RegularizationConfig:
    return GanConfig.from_dict({"regularization": values}).regularization


def _moment(
    step: int = 0, progress: float = 0.0, mine: slice = slice(0, 64), *, sets: int = 2, adapts: bool = False
) -> Moment:
    return Moment(
        seed=1,
        step=step,
        progress=progress,
        batch=64,
        mine=mine,
        image_shape=(3, 16, 16),
        num_sets=sets,
        adapts=adapts,
        device=torch.device("cpu"),
    )


def _change(settings: RegularizationConfig, name: str, moment: Moment) -> Change | None:
    change = REGULARIZERS[name].change
    assert change is not None
    return change(settings, moment)


def _needed(settings: RegularizationConfig, name: str, moment: Moment) -> Change:
    change = _change(settings, name, moment)
    assert change is not None
    return change


def test_noise_falls_linearly_to_nothing_over_its_share_of_the_run() -> None:
    settings = _settings(instance_noise=0.4, instance_noise_share=0.5)
    found = [deviation(settings, progress) for progress in (0, 0.125, 0.25, 0.5, 0.75, 1)]  # type: ignore[arg-type]
    assert found == pytest.approx([0.4, 0.3, 0.2, 0, 0, 0])
    assert _change(settings, "instance-noise", _moment(progress=0.5)) is None


def test_noise_is_normal_of_its_deviation_and_new_in_every_step_and_for_every_set() -> None:
    settings = _settings(instance_noise=0.4, instance_noise_share=1.0)
    change = _needed(settings, "instance-noise", _moment(progress=0.25))
    images = torch.zeros(64, 3, 16, 16)
    real, generated = (change.function(images, own, torch.ones(())) for own in change.numbers)
    for noise in (real, generated):
        assert float(noise.std()) == pytest.approx(0.3, rel=0.02) and abs(float(noise.mean())) < 0.005
        within = float((noise.abs() < 0.3).float().mean())
        assert within == pytest.approx(math.erf(1 / math.sqrt(2)), abs=0.01)
    later = _needed(settings, "instance-noise", _moment(step=1, progress=0.25)).numbers
    for first, second in ((real, generated), (real, later[0])):
        both = torch.stack([first.flatten(), second.flatten()])
        assert abs(float(torch.corrcoef(both)[0, 1])) < 0.02


@pytest.mark.parametrize(
    ("name", "values"),
    [("instance-noise", {"instance_noise": 0.1}), ("augment", {"augment": "colour,cutout"})],
)
def test_two_ranks_have_the_numbers_of_one_and_a_held_out_set_changes_none(
    name: str, values: dict[str, object]
) -> None:
    settings = _settings(**values)
    shares = [_needed(settings, name, _moment(mine=mine)) for mine in (slice(0, 32), slice(32, 64))]
    whole = _needed(settings, name, _moment())
    for which in range(2):
        together = torch.cat([share.numbers[which] for share in shares])
        assert torch.equal(together, whole.numbers[which])
    if name == "augment":
        watched = _needed(settings, name, _moment(sets=3))
        assert torch.equal(watched.numbers[:2], whole.numbers[:2])


def test_augmentations_are_applied_in_the_order_of_the_list_and_all_where_a_policy_decides() -> None:
    images = torch.rand(64, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    off = _settings()
    assert _change(off, "augment", _moment()) is None
    chosen = _needed(off, "augment", _moment(adapts=True))
    every = [AUGMENTATIONS[name].num_numbers + 1 for name in AUGMENTATIONS]
    assert chosen.numbers.shape[2] == sum(every)
    first, second = (
        _needed(_settings(augment=names), "augment", _moment())
        for names in ("cutout,translation", "translation, cutout")
    )
    always = torch.ones(())
    assert not torch.equal(
        first.function(images, first.numbers[0], always), second.function(images, second.numbers[0], always)
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"augment": "colour,sepia"},
            "--augment must be none or a list of .*colour.*, not 'colour,sepia'; try",
        ),
        ({"augment": ""}, "--augment must be none or a list"),
        ({"augment": "colour,colour"}, "--augment must be none or a list of .*each once"),
        ({"augment": "none,colour"}, "--augment must be none or a list"),
        ({"instance_noise": -0.1}, "--instance-noise must lie between 0 and 10, not -0.1; try 0.1"),
        ({"instance_noise": math.inf}, "--instance-noise must lie between"),
        ({"instance_noise_share": 0.0}, "--instance-noise-share must be above 0 and at most 1, not 0; try"),
    ],
)
def test_wrong_settings_are_refused_in_one_line(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        GanConfig.from_dict({"regularization": values})
    assert "\n" not in str(caught.value)
