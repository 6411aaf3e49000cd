"""The worked examples of docs/extending.md, executed in a copy of the packages."""

import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("common", "perceptual", "gan", "styletransfer", "tune")

# Runs in the copy: every new entry is used as the programs use it, one of each.
USE_THEM = """
import contextlib, io, json, sys
import numpy as np

from gan.__main__ import main as gan
from tune.__main__ import main as tune

def printed(main, *args):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main(args)
    return " ".join(out.getvalue().replace("│", " ").split())

found = {"help": printed(gan, "train", "--help") + printed(tune, "sweep", "--help")}
found["torch_imported_by_help"] = "torch" in sys.modules
found["space"] = printed(tune, "sweep", "--print-space")

import optuna
import torch
from common.errors import ConfigError
from gan.config import GanConfig, NetworkConfig
from gan.data.loading import load_images
from gan.networks import describe
from gan.training.run import GanRun
from styletransfer import stylize
from tune.search.samplers import SAMPLERS

base = {
    "data": {"max_images": 200, "held_out": 40, "resolution": 16, "cache": sys.argv[1]},
    "loss": {"name": "r1", "gradient_penalty": 1.0},
    "balance": {"policy": "gap", "accuracy_gap": 0.0},
    "regularization": {"augment": "mirror,cutout", "logit_decay": 0.1},
    "evaluation": {"metric": "mean_colour", "metric_images": 40},
    "batch": 20, "images": 400, "images_per_tick": 200, "compile": "off",
}
found["runs"] = {}
for family in ("perceptron", "wide-perceptron"):
    own = {"hidden_factor": 3} if family == "wide-perceptron" else {}
    network = {"family": family, "width": 4, "latent_size": 8, **own}
    config = GanConfig.from_dict({**base, "network": network})
    run = GanRun(config, load_images(config.data))
    found["runs"][family] = [run.tick(), run.tick()]
    found["described"] = describe(config.network, resolution=16, channels=3)

try:
    NetworkConfig(family="perceptron", hidden_factor=3)
except ConfigError as error:
    found["refused"] = str(error)

sampler = SAMPLERS["sobol"](seed=0, num_random=1)
study = optuna.create_study(sampler=sampler)
study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=17)
found["points"] = [trial.params["x"] for trial in study.trials]

from types import SimpleNamespace
from tune.report.charts import in_order

rows = [SimpleNamespace(trial=SimpleNamespace(images_seen=images)) for images in (8000, 64000)]
found["charts"] = list(in_order())
answer = in_order()["lengths"].draw(SimpleNamespace(rows=rows))
found["answer"] = [answer.text, len(answer.figures["lengths"].to_dict()["data"])]

picture = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
painting = np.full((48, 48, 3), (200, 40, 40), dtype=np.uint8)
settings = {"size": 48, "iterations": 20, "scales": 1, "content_weight": 0.0}
pixels = stylize(picture, painting, statistics="mean", **settings).pixels
found["colour_before"], found["colour_after"] = picture.mean((0, 1)).tolist(), pixels.mean((0, 1)).tolist()
from common.storage.folder import Folder
from gan.tracking.config import TrackingConfig
from gan.tracking.named import RunInfo
from gan.tracking.trackers import Trackers

folder = Folder(".")
trackers = Trackers(TrackingConfig.of(["json-lines"]).trackers(folder), print)
info = RunInfo(folder=folder, name="trial_0003", identity="a-3", settings={}, objective="objective/fd")
trackers.begin(info)
trackers.tick("trial_0003", 400, {"objective/fd": 3.0})
trackers.end("trial_0003", "completed", best=3.0)
trackers.close()
with open("ticks.jsonl") as lines:
    found["tracked"] = [json.loads(line) for line in lines]
print(json.dumps(found))
"""


def examples() -> dict[str, str]:
    """The files that the page tells a reader to write, by path."""
    text = (ROOT / "docs" / "extending.md").read_text()
    found = re.findall(r"^Write `([^`]+)`:\n\n((?:(?:    .*)?\n)+)", text, re.MULTILINE)
    return {path: textwrap.dedent(code).strip() + "\n" for path, code in found}


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages with the examples written into it."""
    folder = tmp_path_factory.mktemp("extended")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for path, code in examples().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(code)
    return folder


@pytest.fixture(scope="module")
def found(extended: Path) -> dict[str, Any]:
    """What using the new entries gave."""
    done = subprocess.run(
        [sys.executable, "-c", USE_THEM, str(extended / "cache")],
        cwd=extended,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    values: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return values


def test_there_is_an_example_of_every_kind() -> None:
    folders = {str(Path(path).parent).removesuffix("/wide_perceptron") for path in examples()}
    assert folders == {
        "gan/training/losses",
        "gan/training/balance",
        "gan/training/regularization",
        "gan/training/augmentations",
        "gan/networks/families",
        "gan/metrics/named",
        "gan/tracking/named",
        "tune/report/charts",
        "tune/search/samplers",
        "styletransfer/transfer/statistics",
    }


def test_help_lists_the_new_entries_with_their_first_lines_and_loads_no_torch(found: dict[str, Any]) -> None:
    for name, beginning in (
        ("r1", "non-saturating with a penalty on the gradient"),
        ("gap", "the discriminator rests while it is better on real"),
        ("perceptron", "two fully connected networks"),
        ("mean_colour", "distance between the mean colours"),
        ("sobol", "quasi-random values"),
    ):
        assert f"{name}: {beginning}" in found["help"]
    assert "--logit-decay" in found["help"]
    assert "--json-lines, --no-json-lines" in found["help"]
    assert "--accuracy-gap" in found["help"] and "--hidden-factor" in found["help"]
    assert not found["torch_imported_by_help"]


def test_the_new_chart_is_on_the_page_at_its_place(found: dict[str, Any]) -> None:
    place = found["charts"].index("lengths")
    assert found["charts"][place - 1 : place + 2] == ["endings", "lengths", "cost"]
    assert found["answer"] == ["The longest trial saw 64,000 images, the shortest 8,000.", 1]


def test_the_default_space_searches_the_new_policy_and_its_setting(found: dict[str, Any]) -> None:
    assert '["none", "loss", "accuracy", "gap"]' in found["space"]
    assert "[balance.accuracy_gap] low = 0.05 high = 0.5" in found["space"]
    assert 'when = { "balance.policy" = ["gap"] }' in found["space"]


def test_a_run_trains_with_the_new_loss_policy_family_and_metric(found: dict[str, Any]) -> None:
    for ticks in found["runs"].values():
        assert [tick["images_seen"] for tick in ticks] == [200, 400]
        for tick in ticks:
            assert tick["augment_probability"] == 1
            assert 0 <= tick["mean_colour"] <= 442 and tick["mean_colour_noise"] < 60
        assert 0 < sum(tick["discriminator_skipped"] for tick in ticks) < 2
    assert found["described"] == "fully connected, 96 hidden units, for 16x16 pixels"
    assert found["refused"] == (
        "--hidden-factor 3 has no effect with --family perceptron, it belongs to wide-perceptron; "
        "leave it at 2 or choose --family wide-perceptron"
    )


def test_the_new_sampler_fills_the_range_evenly(found: dict[str, Any]) -> None:
    points = found["points"][1:]  # the first is drawn independently
    assert len({int(point * 16) for point in points}) == 16, (
        "one in each sixteenth, as a Sobol sequence has it"
    )


def test_the_new_statistic_moves_the_colours_to_the_paintings(found: dict[str, Any]) -> None:
    before, after = found["colour_before"], found["colour_after"]
    assert after[0] > before[0] + 10 and after[1] < before[1] - 10


def test_the_new_tracker_is_told_of_ticks_and_ends(found: dict[str, Any]) -> None:
    tick, end = found["tracked"]
    assert tick == {"run": "trial_0003", "images_seen": 400, "objective/fd": 3.0, "verdict": None}
    assert end == {"run": "trial_0003", "state": "completed", "reason": "", "best": 3.0}


def test_no_test_of_the_registries_has_to_change(extended: Path) -> None:
    """The tests that list entries pass with more of them."""
    shutil.copytree(ROOT / "tests", extended / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    tests = [
        "tests/gan/metrics/named/test_named.py",
        "tests/gan/test_config.py",
        "tests/gan/training/test_balance.py",
        "tests/gan/training/test_losses.py",
        "tests/gan/training/regularization",
        "tests/gan/training/augmentations",
        "tests/tune/space/test_space.py",
        "tests/tune/search/test_searcher.py",
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-m", "not slow", *tests]
    done = subprocess.run(command, cwd=extended, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


def test_the_examples_pass_the_checks_of_the_project(extended: Path) -> None:
    files = [str(extended / path) for path in examples()]
    for command in (["ruff", "check", *files], ["ruff", "format", "--check", *files]):
        done = subprocess.run([sys.executable, "-m", *command], cwd=extended, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
