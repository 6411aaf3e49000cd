"""`tune resume` of a sweep whose trials have all ended: it measures the best states, if that is missing."""

from pathlib import Path

import pytest

from tests.tune.made_up import made_up
from tune.__main__ import main
from tune.cli import sweeping


@pytest.mark.parametrize("confirms", [True, False])
def test_what_was_not_measured_at_the_end_is_measured_by_a_resume(
    tmp_path: Path,
    confirms: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    runs = []
    monkeypatch.setattr(sweeping, "_run", lambda plan, console: runs.append(plan.is_resumed) or 0)
    location = made_up(tmp_path, trials=8, confirms=confirms).write()
    assert main(["resume", location]) == 0
    assert runs == ([] if confirms else [True])
    assert ("all 8 trials are finished" in capsys.readouterr().out) == confirms
