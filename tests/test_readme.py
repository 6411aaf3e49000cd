"""The commands that the README and the Makefile show are commands that the programs take."""

import json
import re
import shlex
from pathlib import Path

import pytest

from gan.cli.flags import parse_command as parse_gan
from gan.config import GanConfig
from tune.commands import parse_command as parse_tune
from tune.space.toml import load_space

ROOT = Path(__file__).parent.parent


def commands() -> list[str]:
    """Every command line of `tune` and `gan` in the README, its page on clusters, and the Makefile."""
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    readme += (ROOT / "docs" / "clusters.md").read_text()
    text = re.sub(r"\\\n\s*", " ", readme + makefile)
    blocks = re.findall(r"python -m ((?:tune|gan) [^\n`]+)", text)
    table = re.findall(r"^\| `((?:tune|gan) [^`]+)`", readme, re.MULTILINE)
    return sorted({line.strip() for line in blocks + table if "…" not in line})


def test_the_readme_shows_commands() -> None:
    assert len(commands()) >= 10


@pytest.mark.parametrize("line", commands())
def test_a_shown_command_is_taken(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = json.dumps(GanConfig().to_dict())
    (tmp_path / "best.json").write_text(settings)
    (tmp_path / "DIR").mkdir()
    (tmp_path / "DIR" / "config.json").write_text(settings)
    program, *words = shlex.split(line, comments=True)
    (parse_tune if program == "tune" else parse_gan)([word for word in words if word != "FILE"])


def test_the_example_space_is_one() -> None:
    assert "batch" in load_space(ROOT / "examples" / "space.toml")


def test_the_pictures_are_there() -> None:
    for picture in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / picture).stat().st_size > 1000
