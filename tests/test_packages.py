"""The arrows between the rooms, read from the imports, and Ray only where a file says RAY."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {
    "common": {"common"},
    "perceptual": {"perceptual", "common"},
    "gan": {"gan", "perceptual", "common"},
    "styletransfer": {"styletransfer", "perceptual", "common"},
    "tune": {"tune", "gan", "common"},
}
FILES = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports, also inside its functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found.add((node.module or "").partition(".")[0])
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_the_rooms_before_it(path: Path) -> None:
    room = path.relative_to(ROOT).parts[0]
    assert imported(path) & set(ROOMS) <= ROOMS[room]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_a_file_that_says_so_imports_ray(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert ("ray" in imported(path)) <= docstring.startswith("RAY: ")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_takes_rays_tune_by_our_name(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "ray":
            assert "tune" not in {alias.name for alias in node.names}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_unpickled(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    for call in calls:
        settings = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        name = ast.unparse(call.func)
        assert name not in {"pickle.load", "pickle.loads", "Tuner.restore", "pd.read_pickle"}
        assert name != "torch.load" or settings.get("weights_only") == "True"
        assert settings.get("allow_pickle", "False") == "False"
