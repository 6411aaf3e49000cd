"""What does not fit into memory is refused with a remedy that works; what surely fits is not estimated."""

from collections.abc import Callable

import pytest

from common.errors import ConfigError
from gan.__main__ import main as gan_main
from gan.config import GanConfig
from gan.costs import fitting
from gan.costs.fitting import LEAST_PROCESS_BYTES, check_fits
from gan.costs.memory import estimate_memory
from gan.networks.families import FAMILIES
from tune.__main__ import main as tune_main

WIDE = GanConfig.from_dict(
    {
        "data": {"resolution": 32},
        "network": {"width": 64},
        "batch": 256,
        "precision": "fp32",
        "evaluation": {"metric_images": 16},
    }
)


def needed(config: GanConfig, workers: int = 1) -> int:
    return workers * (estimate_memory(config, channels=3, workers=workers).total + LEAST_PROCESS_BYTES)


@pytest.mark.parametrize(
    "values",
    [
        *({"network.family": family} for family in FAMILIES),
        {"loss.name": "wasserstein"},
        {"regularization.r1": 10.0},
        {"evaluation.metric_images": 5000, "batch": 16},
        {"network.width": 256, "batch": 16},
        {"network.family": "resnet", "network.width": 256, "batch": 16},
    ],
)
def test_the_bound_without_an_estimate_is_never_below_it(values: dict[str, object]) -> None:
    config = WIDE.with_values({"batch": 64} | values)
    assert fitting._most(config, 1) > estimate_memory(config, channels=3).total


def test_what_surely_fits_and_unknown_memory_take_no_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_estimate", lambda *_: pytest.fail("it was estimated"))
    check_fits(WIDE, channels=3, free=64 * 2**30)
    check_fits(WIDE, channels=3, free=0)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_remedies_fit(workers: int) -> None:
    least = needed(WIDE, workers)
    check_fits(WIDE, channels=3, free=least, workers=workers)
    with pytest.raises(ConfigError) as caught:
        check_fits(WIDE, channels=3, free=least - 1, workers=workers)
    said = str(caught.value)
    assert said.startswith("dcgan of width 64 at 32 x 32 pixels with --batch 256 needs ")
    assert said.endswith("try --batch 128, or --accumulate 2 for the same batch in parts")
    assert "\n" not in said
    for remedy in ({"batch": 128}, {"accumulate": 2}):
        check_fits(WIDE.with_values(remedy), channels=3, free=least - 1, workers=workers)


def test_where_no_batch_helps_what_does_is_named() -> None:
    samples_decide = WIDE.with_values({"evaluation.metric_images": 5000, "batch": 16})
    with pytest.raises(ConfigError, match="lower --width or --resolution"):
        check_fits(WIDE, channels=3, free=LEAST_PROCESS_BYTES)
    free = needed(samples_decide) - 2**20
    with pytest.raises(ConfigError, match=r"free; lower --metric-images$"):
        check_fits(samples_decide, channels=3, free=free)
    check_fits(samples_decide.with_values({"evaluation.metric_images": 1000}), channels=3, free=free)
    odd = WIDE.with_values({"batch": 255})
    with pytest.raises(ConfigError, match="lower --width or --resolution"):
        check_fits(odd, channels=3, free=needed(odd) - 2**20)


@pytest.mark.parametrize(
    ("start", "place", "says"),
    [
        (gan_main, "gan.cli.train", "and 0.3 are free; "),
        (tune_main, "tune.driver.checks", "and 0.3 are free; lower the highest values in the --space"),
    ],
)
def test_it_is_said_before_anything_starts(
    start: Callable[[list[str]], int],
    place: str,
    says: str,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(f"{place}.free_memory_bytes", lambda: LEAST_PROCESS_BYTES + 2**20)
    runs = tmp_path_factory.mktemp("runs")
    command = "train" if start is gan_main else "sweep"
    words = [command, "--storage", str(runs), "--metric", "swd", "--max-images", "300", "--held-out", "30"]
    assert start([*words, "--name", "x", "--batch", "64"]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
    assert not (runs / "x").exists()
