"""The README and the pages in docs show commands that the programs accept, and files that exist."""

import json
import re
import shlex
from pathlib import Path

import pytest

from gan.cli.flags import parse_command as parse_gan
from gan.config import GanConfig
from tune.cli.flags import parse_command as parse_tune
from tune.space.default import default_space
from tune.space.toml import load_space

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
PACKAGES = "common|perceptual|gan|styletransfer|tune|tests|benchmarks|examples|docs"


def commands() -> list[str]:
    """Every command line of `tune` and `gan` in the pages and the Makefile."""
    pages = "".join(page.read_text() for page in PAGES)
    text = re.sub(r"\\\n\s*", " ", pages + (ROOT / "Makefile").read_text())
    blocks = re.findall(r"python -m ((?:tune|gan) [^\n`]+)", text)
    table = re.findall(r"^\| `((?:tune|gan) [^`]+)`", pages, re.MULTILINE)
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
    parse_command = parse_tune if program == "tune" else parse_gan
    try:
        parse_command([word for word in words if word != "FILE"])
    except SystemExit as ended:  # --help
        assert not ended.code


def test_the_example_space_is_one() -> None:
    example = load_space(ROOT / "examples" / "space.toml")
    assert "batch" in example
    default = default_space()
    assert {path: domain for path, domain in example.items() if path != "batch"} == dict(default)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_pictures_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
            if target.endswith((".png", ".jpg")):
                assert (page.parent / target).stat().st_size > 1000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_headings_lead_to_headings(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)#([^)]+)\)", page.read_text()):
        if "://" not in target:
            text = ((page.parent / target) if target else page).read_text()
            headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors, f"{page.name} links to #{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_a_page_names_exist(page: Path) -> None:
    if page.name == "CHANGELOG.md":  # it also names files of earlier versions
        return
    text = page.read_text()
    new = set(re.findall(r"^Write `([^`]+)`", text, re.MULTILINE))  # what a reader of docs/extending.md adds
    for name in re.findall(rf"`((?:{PACKAGES})/[\w./-]*)`", text):
        assert name in new or (ROOT / name).exists(), f"{page.name} names {name}"
