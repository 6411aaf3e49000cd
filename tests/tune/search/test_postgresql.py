"""A sweep whose study is in PostgreSQL: a real server, from Debian's packages, on a socket of its own."""

import gc
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest

from tests.tune.sweeps import rates, sweep

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("cache", "shared_ray"),
    # of Optuna's pool, which is never closed
    pytest.mark.filterwarnings("ignore:<psycopg.Connection object:ResourceWarning"),
]


@pytest.fixture
def study_url() -> Iterator[str]:
    """The URL of an empty database; its server ends with the test."""
    pytest.importorskip("psycopg", reason="psycopg is not installed; pip install artsweep[postgresql]")
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not programs or os.geteuid() != 0:
        pytest.skip("needs Debian's package postgresql, and root, who can start it as its own user")
    as_owner = ["runuser", "-u", "postgres", "--"]
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # short: a socket's path has at most 107 characters
    shutil.chown(folder, "postgres")
    data = folder / "data"
    making = [programs[-1].with_name("initdb"), "--auth=trust", "--no-sync", "-D", data]
    subprocess.run([*as_owner, *making], check=True, capture_output=True)
    options = ["-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
    with subprocess.Popen(
        [*as_owner, programs[-1], "-D", data, *options], stderr=subprocess.DEVNULL
    ) as server:
        while not any(folder.glob(".s.PGSQL.*")):
            assert server.poll() is None
            time.sleep(0.1)
        yield f"postgresql+psycopg://postgres@/postgres?host={folder}"
        gc.collect()  # Optuna's connections go while their warnings are expected
        server.terminate()
    shutil.rmtree(folder)


def test_a_study_in_postgresql_is_written_and_resumed(tmp_path: Path, study_url: str) -> None:
    first = sweep(tmp_path, rates(), trials=3, study=study_url)
    assert len(first) == 3
    both = sweep(tmp_path, rates(), trials=5, study=study_url, resume=True)
    assert {number: both[number] for number in first} == first and len(both) == 5
    study = optuna.load_study(study_name="sweep", storage=study_url)
    finished = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    assert [trial.state in finished for trial in study.trials] == [True] * 5
    for trial in study.trials:
        assert trial.params.items() <= both[trial.number].values.items()
