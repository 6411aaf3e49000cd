"""The variants of a sweep and the preview: which settings they are, and what is refused."""

from pathlib import Path

import pytest

from common.errors import ConfigError
from styletransfer.config import StyleConfig
from styletransfer.planning.estimate import pixel_steps
from styletransfer.planning.pairs import product
from styletransfer.planning.variants import preview_of, variants_of
from tests.styletransfer.folders import make_folders, plan_of


def test_a_preview_is_small_whatever_is_asked_for() -> None:
    quick = preview_of(StyleConfig(size=4000, iterations=2000, scales=7, tile=512))
    assert (quick.size, quick.iterations, quick.tile) == (192, 60, 0)
    assert pixel_steps(quick) < 0.1 * pixel_steps(StyleConfig())
    assert preview_of(StyleConfig(size=100, iterations=5)).size == 100


@pytest.mark.usefixtures("cache")
def test_a_sweep_is_every_combination_in_order_with_names_that_say_so(tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1), "--sweep", "style-weight=10,1", "--sweep", "tv=l1,l2")
    variants = ["style-weight=10, tv=l1", "style-weight=10, tv=l2", "style-weight=1, tv=l1"]
    variants.append("style-weight=1, tv=l2")
    assert list(plan.outputs) == plan.stale == product(["c0.png"], ["s0.png"], variants)
    assert plan.outputs[plan.stale[0]] == "c0__s0__style-weight=10-tv=l1.png"
    configs = plan.request.variants
    assert [(c.style_weight, c.tv) for c in configs.values()] == [
        (10, "l1"),
        (10, "l2"),
        (1, "l1"),
        (1, "l2"),
    ]
    assert len(set(plan.settings_hashes.values())) == 4
    assert len({need for pair in plan.stale for need in plan.needs(pair)}) == 2, "they share what is prepared"


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ("style-weight", "must be a setting and its values"),
        ("style-weight=", "must be a setting and its values"),
        ("=1,2", "--sweep  is not a setting with one value"),
        ("style-weight=1,,2", "must be a setting and its values"),
        ("style-wieght=1,2", "style-wieght is not a setting with one value; choose among size, "),
        ("style-layers=relu1_1,relu2_1", "style-layers is not a setting with one value"),
        ("style-weight=1,1.0", "has the value 1 twice"),
        ("style-weight=1,many", "--style-weight is wrong: it must be a valid number, not 'many'"),
        ("style-weight=-1", "--style-weight must lie between"),
        ("tv=l3", "--tv is wrong: it must be 'l2', 'l1' or 'huber', not 'l3'"),
        ("seed=" + ",".join(map(str, range(1001))), "more than 1000 variants"),
    ],
    ids=lambda text: text[:30],
)
def test_a_sweep_that_is_none_is_one_line(sweep: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        variants_of(StyleConfig(), [sweep])
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_setting_is_swept_once() -> None:
    with pytest.raises(ConfigError, match="names lr twice"):
        variants_of(StyleConfig(), ["lr=0.1", "lr=0.2"])
