"""Rules that the packages obey, read from their source: layout, imports, Ray, and nothing unpickled."""

import ast
import functools
import graphlib
import itertools
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "common": {"common"},
    "perceptual": {"perceptual", "common"},
    "gan": {"gan", "perceptual", "common"},
    "styletransfer": {"styletransfer", "perceptual", "common"},
    "tune": {"tune", "gan", "common"},
}
MOST_MODULES = 12  # in a sub-package, without __init__.py
MOST_LINES = 300  # in a file
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
FOLDERS = sorted({path.parent for path in FILES})


def name_of(path: Path) -> str:
    """`gan/data/shapes.py`: the id of a test."""
    return path.relative_to(ROOT).as_posix()


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def modules_imported(path: Path) -> set[str]:
    """Dotted names of all modules that a file imports, also inside its functions and for types alone.

    `from a.b import c` counts as a.b.c where that is a module, else as a.b.
    """
    return imported_by(ast.walk(parsed(path)), path)


def imports_for_types(path: Path) -> set[str]:
    """The modules that a file imports below `if TYPE_CHECKING:`, which never runs."""
    blocks = [node for node in parsed(path).body if isinstance(node, ast.If)]
    guarded = [node for block in blocks if ast.unparse(block.test) == "TYPE_CHECKING" for node in block.body]
    return imported_by(guarded, path)


def imported_by(nodes: Iterable[ast.AST], path: Path) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: imports are absolute"
            for alias in node.names:
                below = ROOT.joinpath(*node.module.split("."), alias.name)
                is_module = below.with_suffix(".py").exists() or (below / "__init__.py").exists()
                found.add(f"{node.module}.{alias.name}" if is_module else node.module)
    return found


def packages_imported(path: Path) -> set[str]:
    """Top-level packages that a file imports, also inside its functions."""
    return {module.partition(".")[0] for module in modules_imported(path)}


def module_at(path: Path) -> str:
    """gan.data for gan/data/__init__.py, gan.data.shapes for gan/data/shapes.py."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def sub_package_of(module: str) -> str | None:
    """gan.data for gan.data and all below it, None for a module that is directly in its package."""
    package, _, rest = module.partition(".")
    folder = f"{package}.{rest.partition('.')[0]}"
    return folder if rest and ROOT.joinpath(*folder.split(".")).is_dir() else None


def import_graph(package: str) -> dict[str, set[str]]:
    """Each module of a package and the modules of it that it imports when it runs.

    Importing a.b.c runs a.b as well, so that a module also depends on the folders of what it imports.
    """
    graph: dict[str, set[str]] = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        own = module_at(path)
        run = modules_imported(path) - imports_for_types(path)
        imported = {module for module in run if module.split(".")[0] == package}
        imported |= {module.rpartition(".")[0] for module in imported}
        graph[own] = {module for module in imported if module != package and not own.startswith(module)}
    return graph


def circle(graph: dict[str, set[str]]) -> str | None:
    """`a imports b, b imports a` for the first circle of a graph, None where there is none."""
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as error:
        # graphlib names each node before the one that depends on it
        steps = itertools.pairwise(reversed(error.args[1]))
        return ", ".join(f"{one} imports {other}" for one, other in steps)
    return None


def test_circles_are_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) is None
    found = circle({"a": {"b"}, "b": {"c"}, "c": {"b"}})
    assert found in ("b imports c, c imports b", "c imports b, b imports c")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_package_imports_only_the_packages_below_it(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    assert packages_imported(path) & set(PACKAGES) <= PACKAGES[package]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_modules_of_a_package_do_not_import_each_other_in_a_circle(package: str) -> None:
    assert circle(import_graph(package)) is None


@pytest.mark.parametrize("package", PACKAGES)
def test_the_sub_packages_of_a_package_import_each_other_in_one_direction(package: str) -> None:
    """Modules directly in the package do not count: its configuration lists the entries of registries."""
    graph: dict[str, set[str]] = {}
    for module, imported in import_graph(package).items():
        own = sub_package_of(module)
        if own is not None:
            others = {sub_package_of(other) for other in imported} - {own, None}
            graph.setdefault(own, set()).update(other for other in others if other)
    assert circle(graph) is None


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_a_folder_is_a_package_that_says_what_is_in_it(folder: Path) -> None:
    init = folder / "__init__.py"
    assert init.exists() and ast.get_docstring(parsed(init)), f"{name_of(init)} needs a docstring"


@pytest.mark.parametrize("folder", [each for each in FOLDERS if each.parent != ROOT], ids=name_of)
def test_a_sub_package_has_at_most_a_dozen_modules(folder: Path) -> None:
    modules = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= MOST_MODULES


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_file_holds_one_idea_in_few_lines_and_says_which(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= MOST_LINES
    assert ast.get_docstring(parsed(path))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_a_file_that_says_so_imports_ray(path: Path) -> None:
    docstring = ast.get_docstring(parsed(path)) or ""
    assert ("ray" in packages_imported(path)) <= docstring.startswith("RAY: ")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_rays_tune_is_never_imported_under_our_packages_name(path: Path) -> None:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and node.module == "ray":
            assert "tune" not in {alias.name for alias in node.names}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_is_unpickled(path: Path) -> None:
    calls = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]
    for call in calls:
        settings = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        name = ast.unparse(call.func)
        assert name not in {"pickle.load", "pickle.loads", "Tuner.restore", "pd.read_pickle"}
        assert name != "torch.load" or settings.get("weights_only") == "True"
        assert settings.get("allow_pickle", "False") == "False"
