"""`python -m tune report` and `python -m tune compare`, and the report that a sweep writes at its end."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from common.errors import ConfigError
from tests.tune.made_up import made_up
from tune.__main__ import main
from tune.cli.flags import parse_command
from tune.cli.looking import Compare, Report
from tune.cli.report import report_of


def test_folders_and_the_file_are_taken() -> None:
    assert parse_command(["report", "a", "s3://b/c", "--out", "x.html"]) == Report(
        directories=("a", "s3://b/c"), out="x.html"
    )
    assert parse_command(["compare", "a", "b", "--budget", "cost"]) == Compare(
        directories=("a", "b"), budget="cost"
    )


@pytest.mark.parametrize("words", [["report"], ["compare", "a"], ["compare"]])
def test_too_few_folders_are_refused(words: list[str]) -> None:
    with pytest.raises(ConfigError, match="needs the folder"):
        parse_command(words)


def test_a_report_is_written_and_its_place_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    location = made_up(tmp_path, trials=3).write()
    assert main(["report", location]) == 0
    assert capsys.readouterr().out == f"report: {location}/report.html\n"
    assert Path(location, "report.html").stat().st_size > 1e6
    assert main(["report", str(tmp_path / "nothing")]) == 2
    assert "no sweep" in capsys.readouterr().err


def test_sweeps_are_compared_in_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    locations = [
        made_up(tmp_path, name, trials=6, seed=seed).write() for seed, name in enumerate(("one", "two"))
    ]
    assert main(["compare", *locations, "--budget", "trials"]) == 0
    said = capsys.readouterr().out
    assert "fd_lite0_1k on 6 trials" in said and "Dodge et al. 2019" in said
    assert [line.split()[0] for line in said.splitlines() if line.startswith(("one", "two"))] == [
        "one",
        "two",
    ]


def test_a_report_that_fails_costs_a_sweep_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    console = Console(file=out)
    location = made_up(tmp_path, trials=2).write()
    report_of(location, console)

    def broken(*_: object) -> str:
        raise RuntimeError("no\nluck")

    monkeypatch.setattr("tune.cli.report.write_report", broken)
    report_of(location, console)
    assert out.getvalue().splitlines()[-1] == "the report could not be written: no luck"
