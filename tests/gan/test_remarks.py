"""What is said of a run before it begins: each setting without effect, and no other."""

from typing import Any

import pytest

from gan.config import GanConfig
from gan.remarks import remarks


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"regularization.r1_every": 16}, ["--r1-every 16 has no effect without --r1"]),
        ({"regularization.r1_every": 16, "regularization.r1": 0.1}, []),
        (
            {"regularization.instance_noise_share": 0.2},
            ["--instance-noise-share 0.2 has no effect without --instance-noise"],
        ),
        ({"regularization.instance_noise_share": 0.2, "regularization.instance_noise": 0.1}, []),
        (
            {"loss.name": "hinge", "loss.gradient_penalty": 5, "loss.label_smoothing": 0.1},
            [
                "--gradient-penalty 5 has no effect with --loss hinge",
                "--label-smoothing 0.1 has no effect with --loss hinge",
            ],
        ),
        ({"loss.label_smoothing": 0.1}, []),
        ({"loss.name": "wasserstein", "loss.gradient_penalty": 5}, []),
    ],
)
def test_settings_without_effect_are_named(values: dict[str, Any], said: list[str]) -> None:
    assert remarks(GanConfig().with_values(values)) == said


def test_nothing_is_said_of_what_has_an_effect_in_other_trials_of_a_sweep() -> None:
    config = GanConfig().with_values({"regularization.r1_every": 16, "loss.gradient_penalty": 5})
    assert len(remarks(config)) == 2
    assert remarks(config, searched={"regularization.r1", "loss.name"}) == []
