"""`python -m tune report` and `python -m tune compare`, and the report that a sweep writes at its end."""

import io
import re
import signal
from pathlib import Path

import pytest
from rich.console import Console

from common.cli.signals import Interrupted
from common.errors import ConfigError
from common.storage.folder import Folder
from tests.servers import s3_bucket
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


@pytest.mark.parametrize("command", ["report", "compare"])
@pytest.mark.parametrize("twice", [("a", "./b/../a"), ("s3://b/c", "s3://b/c/")])
def test_a_sweep_that_is_given_twice_is_refused(command: str, twice: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match=rf"^{command} was given the same sweep twice, as {twice[0]} and"):
        parse_command([command, "other", *twice])


def test_a_report_is_written_and_its_place_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    location = made_up(tmp_path, trials=3).write()
    assert main(["report", location]) == 0
    assert capsys.readouterr().out == f"report: {location}/report.html\n"
    assert Path(location, "report.html").stat().st_size > 1e6
    assert main(["report", str(tmp_path / "nothing")]) == 2
    assert "no sweep" in capsys.readouterr().err


def test_a_sweep_in_s3_has_its_page_there_and_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with s3_bucket(monkeypatch, "results") as url:
        location = made_up(url, "there", trials=6, grids=3).write()
        assert main(["report", location]) == 0
        assert capsys.readouterr().out == f"report: {location}/report.html\n"
        page = (Folder(location).read("report.html") or b"").decode()
        assert len(page) > 1e6 and page.count("data:image/webp;base64") >= 3
        assert main(["report", location, "--out", str(tmp_path / "page.html")]) == 0
        assert (tmp_path / "page.html").stat().st_size == len(page.encode())
        capsys.readouterr()
        assert main(["compare", location, made_up(tmp_path, "local", trials=6).write()]) == 0
        table = capsys.readouterr().out
        assert re.search("^there ", table, re.MULTILINE) and re.search("^local ", table, re.MULTILINE)


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

    def stopped(*_: object) -> str:
        raise Interrupted(signal.SIGTERM)

    monkeypatch.setattr("tune.cli.report.write_report", stopped)
    with pytest.raises(Interrupted):
        report_of("runs/x", console)
    assert (
        out.getvalue().splitlines()[-1] == "the report was not written; python -m tune report runs/x does it"
    )
