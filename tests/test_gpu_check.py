"""`make gpu-check` without a GPU: says so, its cases hold on the CPU, a failing case leaves the others."""

import importlib
import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from gan.networks.families import FAMILIES
from gan.training.balance import POLICIES
from gan.training.losses import LOSSES
from gan.training.regularization import REGULARIZERS

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
LEFT_OUT = ("/bf16/", "/fp16/", "/compiled", "speed/64", "/128", "/256")
"""What the names of cases contain that take long on a CPU."""
BUT = (
    "train/wasserstein/none/fp32/compiled",
    "train/hinge/loss/bf16/compiled",
    "train/hinge/none/bf16/plain",
    "regularized/all/fp32/compiled",
    "family/style/bf16/plain",
)
"""A few of them."""


@pytest.fixture(scope="module")
def scripts() -> Iterator[ModuleType]:
    """The script, with its folder on the path as it has it when it is run."""
    before = list(sys.path)
    sys.path.insert(0, str(BENCHMARKS))
    yield importlib.import_module("gpu")
    sys.path[:] = before


def names() -> list[str]:
    """The cases that are run here."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        cases = importlib.import_module("gpu_cases").all_cases("cpu")
    finally:
        sys.path.remove(str(BENCHMARKS))
    return [name for name in cases if name in BUT or not any(part in name for part in LEFT_OUT)]


def test_without_cuda_it_says_so_and_ends_well(
    scripts: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert scripts.main() == 0
    first, *_, last = capsys.readouterr().out.splitlines()
    assert "nothing was checked" in first
    assert json.loads(last)["cuda"] is False


def test_it_needs_no_other_packages_than_it_lists_and_no_ray(scripts: ModuleType) -> None:
    script = (
        "import sys, torch; before = set(sys.modules); sys.path[:0] = sys.argv[1:]; "
        "import gpu; gpu._cases('cpu'); "
        "print(*{name.partition('.')[0] for name in sys.modules.keys() - before} - sys.stdlib_module_names)"
    )
    paths = [str(BENCHMARKS), str(BENCHMARKS.parent)]
    done = subprocess.run([sys.executable, "-c", script, *paths], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    found = {name for name in done.stdout.split() if not name.startswith("_")}
    [listed] = re.findall(r"pip install (.*)", scripts.__doc__ or "")
    come_with_them = {
        "docstring_parser",
        "pydantic_core",
        "typing_inspection",
        "typeguard",
        "annotated_types",
        "cloudpickle",  # which pyarrow takes where it is
    }
    ours = {"common", "gan", "perceptual", "styletransfer", "tune", "train_step"}
    ours |= {"common_families", "family_steps"} | {path.stem for path in BENCHMARKS.glob("gpu*.py")}
    assert found - ours - come_with_them <= {*listed.replace("pillow", "PIL").split(), "torch"}
    assert "ray" not in found | set(listed.split())


def test_it_trains_every_loss_and_policy_in_each_precision_compiled_and_not(scripts: ModuleType) -> None:
    cases = scripts._cases("cuda")
    expected = {
        f"train/{loss}/{policy}/{precision}/{how}"
        for loss in LOSSES
        for policy in POLICIES
        for precision in ("fp32", "bf16")
        for how in ("compiled", "plain")
    }
    assert {name for name in cases if name.startswith("train/")} == expected


def test_it_trains_with_every_regularizer(scripts: ModuleType) -> None:
    settings = importlib.import_module("gpu_training").REGULARIZED["all"]
    for name in REGULARIZERS:
        assert any(path == f"regularization.{name.replace('-', '_')}" for path in settings)
    cases = {name for name in scripts._cases("cuda") if name.startswith("regularized/all/")}
    assert len(cases) == len(list(itertools.product(("fp32", "bf16"), ("compiled", "plain"))))


def test_it_trains_every_family_in_each_precision_and_measures_its_speed(scripts: ModuleType) -> None:
    of_blocks = [name for name in FAMILIES if FAMILIES[name].recomputes]
    ways = {"plain": FAMILIES, "checkpointing": of_blocks, "parts": of_blocks}
    expected = {
        f"family/{family}/{precision}/{how}"
        for how, families in ways.items()
        for family in families
        for precision in ("fp32", "bf16", "fp16")
    }
    expected |= {f"family_speed/{family}/{side}" for family in FAMILIES for side in (64, 128, 256)}
    assert {name for name in scripts._cases("cuda") if name.startswith("family")} == expected


@pytest.mark.parametrize("name", names())
def test_a_case_holds_on_the_cpu(name: str, scripts: ModuleType) -> None:
    torch.set_num_threads(1)
    figures: dict[str, Any] = {}
    scripts._cases("cpu")[name](figures)
    json.dumps(figures)


def test_a_failing_case_is_reported_and_the_others_go_on(tmp_path: Path) -> None:
    # cases of its own: one holds, one fails, one kills its process, one holds again
    (tmp_path / "gpu_cases.py").write_text(
        "import os\n"
        "def fails(figures):\n"
        "    figures['found'] = 2.5\n"
        "    raise AssertionError('2.5 is more than 1')\n"
        "def all_cases(device):\n"
        "    good = lambda figures: figures.update(value=1)\n"
        "    return {'first': good, 'wrong': fails, 'dies': lambda figures: os._exit(9), 'last': good}\n"
    )
    script = tmp_path / "gpu.py"
    script.write_text((BENCHMARKS / "gpu.py").read_text())
    done = subprocess.run(
        [sys.executable, script, "--device", "cpu"],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=200,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1, done.stderr
    assert found["failed"] == ["wrong", "dies"]
    assert [case["ok"] for case in found["cases"].values()] == [True, False, False, True]
    assert (
        found["cases"]["wrong"]["found"] == 2.5 and "2.5 is more than 1" in found["cases"]["wrong"]["error"]
    )
    assert "died with code 9" in found["cases"]["dies"]["error"]
