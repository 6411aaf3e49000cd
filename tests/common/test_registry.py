"""Registries: a package made here, and rules that all registries of the project obey."""

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import ConfigError
from common.registry import Registry

ROOT = Path(__file__).parents[2]
PACKAGES = ("common", "perceptual", "gan", "styletransfer", "tune")
HEAVY = {"torch", "optuna", "ray", "numpy", "pandas", "torchvision"}


def registries() -> dict[str, str]:
    """`package:NAME` -> the package of its entries, for every registry of the project."""
    found: dict[str, str] = {}
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("__init__.py")]
    for path in sorted(files):
        for node in ast.parse(path.read_text()).body:
            call = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            if isinstance(call, ast.Call) and ast.unparse(call.func).startswith("Registry"):
                target = node.targets[0] if isinstance(node, ast.Assign) else node.target  # type: ignore[attr-defined]
                home = ".".join(path.parent.relative_to(ROOT).parts)
                found[f"{home}:{ast.unparse(target)}"] = ast.literal_eval(call.args[0])
    return found


REGISTRIES = registries()


@pytest.fixture
def fruits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry[int]:
    """Two modules, a package, and what does not count: a private module and a file that is not Python."""
    package = tmp_path / "fruits"
    (package / "sweet_melon").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "apple.py").write_text('"""A pome.\n\nMore of it."""\n\nFRUIT = 1\n')
    (package / "red_currant.py").write_text("FRUIT = 2\n")
    (package / "sweet_melon" / "__init__.py").write_text('"""Large"""\n\nFRUIT = 3\n')
    (package / "_seeds.py").write_text("raise AssertionError\n")
    (package / "notes.txt").write_text("no fruit")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    for name in [name for name in sys.modules if name.partition(".")[0] == "fruits"]:
        monkeypatch.delitem(sys.modules, name)
    return Registry("fruits", "FRUIT", what="fruit")


def test_the_entries_are_the_modules_sorted_by_name(fruits: Registry[int]) -> None:
    assert fruits.names == tuple(fruits) == ("apple", "red-currant", "sweet-melon")
    assert [fruits[name] for name in fruits] == [1, 2, 3]
    assert "apple" in fruits and "red_currant" not in fruits and "_seeds" not in fruits and 3 not in fruits
    assert Registry[int]("fruits", "FRUIT", what="fruit", separator="_").names[1] == "red_currant"


def test_help_is_the_first_line_of_each_docstring(fruits: Registry[int]) -> None:
    assert fruits.summary("apple") == "A pome" and fruits.summary("red-currant") == ""
    assert fruits.help() == "apple: A pome; red-currant: ; sweet-melon: Large."


def test_listing_does_not_import_the_entries(fruits: Registry[int]) -> None:
    fruits.help()
    assert not [name for name in sys.modules if name.startswith("fruits.")]
    fruits.module("apple")
    assert [name for name in sys.modules if name.startswith("fruits.")] == ["fruits.apple"]


@pytest.mark.parametrize("name", ["pear", "", "_seeds", "notes", "red_currant", "__init__", "apple.FRUIT"])
def test_an_unknown_name_is_refused_in_one_line_with_the_choices(fruits: Registry[int], name: str) -> None:
    for find in (fruits.module, fruits.__getitem__):
        with pytest.raises(ConfigError) as caught:
            find(name)
        assert str(caught.value) == (
            f"{name!r} is not a fruit; choose one of apple, red-currant, sweet-melon"
        )


@pytest.mark.parametrize("name", REGISTRIES)
def test_a_registry_of_the_project_lists_its_entries_without_importing_them(name: str) -> None:
    home, _, constant = name.partition(":")
    program = (
        "import json, sys, importlib\n"
        f"registry = getattr(importlib.import_module({home!r}), {constant!r})\n"
        "entries = {each: registry.summary(each) for each in registry}\n"
        "registry.help()\n"
        "print(json.dumps([entries, registry.package, sorted(sys.modules)]))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    entries, package, modules = json.loads(ran.stdout)
    assert entries and all(entries.values()), "each entry has a line for --help"
    assert package == REGISTRIES[name]
    assert not HEAVY & {module.partition(".")[0] for module in modules}
    assert not [module for module in modules if module.startswith(f"{package}.")]


@pytest.mark.parametrize("name", REGISTRIES)
def test_each_entry_of_a_registry_of_the_project_is_there(name: str) -> None:
    home, _, constant = name.partition(":")
    registry = getattr(importlib.import_module(home), constant)
    assert all(registry[each] is not None for each in registry)
