"""Sweeps and runs from a notebook, with a real Ray: in a cell, and in a thread while a cell reads it."""

from pathlib import Path

import pytest

import tune
from tests.notebooks import executed, of_cells, printed

SETTINGS = """
import asyncio, threading, time
import gan, tune
from common.errors import ConfigError

asyncio.get_running_loop()  # a notebook has one, in which its cells run
tiny = dict(
    data="shapes", resolution=16, max_images=300, held_out=60, width=4, latent_size=8, metric="swd", batch=16,
    images_per_tick=64, compile="off", stop_when="none",
)
"""
IN_A_CELL = """
sweep = tune.run(**tiny, images_per_trial=256, trials=3, scheduler="none", name="one")
sweep
"""
READ = """
print(*sweep.trials["state"], len(sweep.history), len(sweep.study.trials))
print(sweep.best().gan.sample(2).shape)
"""
IN_A_THREAD = """
def run():
    tune.run(**tiny, images_per_trial=2048, trials=1, scheduler="none", name="two", quiet=True)

thread = threading.Thread(target=run)
thread.start()
seen = []
while thread.is_alive():
    time.sleep(0.2)
    try:
        seen.append(len(tune.load("runs/two").history))
    except ConfigError:
        pass  # it has not begun
thread.join()
print(any(0 < count < 32 for count in seen), tune.load("runs/two").trials["state"].tolist())
"""
TRAIN = """
trained = gan.train(sweep.best().config, images=128, workers=1, name="three")
print(trained.history["images_seen"].tolist(), trained.sample(3).shape)
"""


def test_a_notebook_runs_sweeps_reads_them_and_trains_the_winner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    notebook = of_cells(SETTINGS, IN_A_CELL, READ, IN_A_THREAD, TRAIN)
    _, in_a_cell, read, in_a_thread, train = executed(notebook, tmp_path, monkeypatch, timeout_s=200).cells
    assert f"results: {tmp_path}/runs/one" in printed(in_a_cell)
    assert "3 of 3 trials: 3 completed" in printed(in_a_cell)
    assert "<table" in in_a_cell.outputs[-1].data["text/html"]
    assert printed(read).splitlines() == ["completed completed completed 12 3", "(2, 16, 16, 3)"]
    assert printed(in_a_thread).splitlines() == ["True ['completed']"]
    assert printed(train).splitlines()[-1] == "[64, 128] (3, 16, 16, 3)"
    assert len(tune.load(tmp_path / "runs" / "two").history) == 32


@pytest.mark.slow
def test_a_stopped_cell_saves_the_sweep_and_the_notebook_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    stopped = """
def stop():
    while not Path("runs/one/sweep.json").exists() or tune.load("runs/one").history.empty:
        time.sleep(0.2)
    os.killpg(0, signal.SIGINT)  # as the button of a notebook does

threading.Thread(target=stop).start()
try:
    tune.run(**tiny, images_per_trial=640_000, trials=1, name="one")
except KeyboardInterrupt as error:
    print(error)
"""
    again = """
print(*tune.load("runs/one").trials["state"])
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)
except KeyboardInterrupt:
    print("stopped again")
"""
    more = "import os, signal\nfrom pathlib import Path\n"
    notebook = of_cells(more + SETTINGS, stopped, again)
    _, first, second = executed(notebook, tmp_path, monkeypatch, timeout_s=200).cells
    assert f"everything is saved: resume with python -m tune resume {tmp_path}/runs/one" in printed(first)
    assert printed(first).splitlines()[-1] == "stopped by Ctrl-C"
    assert printed(second).splitlines() == ["interrupted", "stopped again"]
