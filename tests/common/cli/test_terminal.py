"""What reaches a terminal: nothing that a file's name could use to control it."""

import io
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from rich.progress import Progress, TextColumn
from rich.table import Table

from common.cli.command import run_command
from common.cli.progress import say
from common.cli.terminal import Terminal
from common.errors import ConfigError

EVIL = "cat\x1b[2J\x07\r\nforged\u202egpj.png\udcff"
SHOWN = "cat\\x1b[2J\\x07\\r\\nforged\\u202egpj.png\\udcff"
ROOT = Path(__file__).parents[3]


def terminal(*, is_terminal: bool = False) -> tuple[Terminal, io.StringIO]:
    file = io.StringIO()
    return Terminal(file=file, width=120, force_terminal=is_terminal), file


def test_a_line_and_an_error_show_control_characters_as_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    console, file = terminal()
    say(console, f"skipped {EVIL}")
    assert file.getvalue() == f"skipped {SHOWN}\n"

    def fail() -> int:
        raise ConfigError(f"{EVIL} is no picture; choose another")

    assert run_command("prog", fail) == 2
    assert capsys.readouterr().err == f"prog: {SHOWN} is no picture; choose another\n"


def test_tables_bars_and_plain_prints_show_them_as_escapes_too() -> None:
    console, file = terminal(is_terminal=True)
    table = Table("name")
    table.add_row("a\x1b[2Jb")
    console.print(table)
    console.print("c\x1b[2Jd", markup=False, highlight=False)
    with Progress(TextColumn("{task.description}"), console=console) as bar:
        bar.add_task("e\x1b[2Jf")
    shown = file.getvalue()
    assert "\x1b[2Jb" not in shown and "\x1b[2Jd" not in shown and "\x1b[2Jf" not in shown
    assert "a\\x1b[2Jb" in shown and "c\\x1b[2Jd" in shown and "e\\x1b" in shown
    assert "\x1b[" in shown, "rich's own sequences pass"


@pytest.mark.parametrize(
    "command",
    ["gan train --data", "tune sweep --data", "styletransfer photos paintings out --pairs", "gan sample"],
)
def test_no_command_repeats_an_escape_sequence_in_its_error(command: str) -> None:
    words = [*command.split(), "nosuch\x1b[2J"]
    answer = subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, cwd=ROOT, check=False, timeout=120
    )
    assert answer.returncode == 2 and "\x1b" not in answer.stdout + answer.stderr
    assert "nosuch\\x1b[2J" in answer.stderr and len(answer.stderr.splitlines()) == 1


def test_a_printed_command_can_be_pasted() -> None:
    from common.cli.parsing import address_flag
    from tune.cli.sweeping import resume_command
    from tune.config import SweepConfig
    from tune.records.sweep_folder import SweepFolder

    folder = SweepFolder("/my runs/it's", "first")
    hint = resume_command(folder, SweepConfig(address="head:1"))
    assert shlex.split(hint) == ["python", "-m", "tune", "resume", folder.location, "--address", "head:1"]
    assert address_flag("head:1") == " --address head:1"
