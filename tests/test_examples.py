"""The stored sweep of examples/ is small and of no machine, and the notebook runs on it to its end."""

import json
import re
import shutil
from pathlib import Path

import nbformat
import pandas as pd
import pytest

import tune
from tests.notebooks import executed

EXAMPLES = Path(__file__).parent.parent / "examples"
SWEEP = EXAMPLES / "sweep"


def test_the_stored_sweep_is_small_and_says_nothing_of_the_machine_that_made_it() -> None:
    files = {file.name: file.read_text() for file in SWEEP.iterdir()}
    assert set(files) == {"events.jsonl", "study.journal", "sweep.json"}
    assert sum(map(len, files.values())) < 300_000
    for name, text in files.items():
        assert not re.search(r'"~?/|file:/|/(home|root|tmp|var|mnt|Users)/', text), name
    assert {json.loads(line)["worker_id"] for line in files["study.journal"].splitlines()} == {"example-0"}
    assert [session["git_commit"] for session in json.loads(files["sweep.json"])["sessions"]] == [None]


def test_the_stored_sweep_has_twenty_trials_a_study_and_a_winner() -> None:
    sweep = tune.load(SWEEP)
    assert len(sweep.trials) == len(sweep.study.trials) == sweep.config.trials == 20
    assert sweep.best().number == sweep.trials.set_index("number")["confirmed"].idxmin()
    assert sorted(file.name for file in SWEEP.iterdir()) == ["events.jsonl", "study.journal", "sweep.json"]


def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(SWEEP, tmp_path / "sweep")
    notebook = nbformat.read(EXAMPLES / "analysis.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) == 10
    assert not any(cell.outputs or cell.execution_count for cell in code), "strip the outputs"
    executed(notebook, tmp_path, monkeypatch)
    shown = [output.get("data", {}) for cell in code for output in cell.outputs]
    assert sum("application/vnd.plotly.v1+json" in data for data in shown) == 2
    assert sum("text/html" in data for data in shown) >= 7
    exported = pd.read_csv(tmp_path / "best_trials.csv")
    assert exported["number"].tolist()[0] == tune.load(SWEEP).best().number
