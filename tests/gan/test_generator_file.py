"""Where a trained generator is found."""

from pathlib import Path

import pytest

from common.errors import ConfigError
from gan.generator_file import find_generator


def _found(location: str) -> str:
    folder, name = find_generator(location)
    return folder.path(name)


def test_the_generator_of_a_run_of_a_sweep_and_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "sweep" / "best").mkdir(parents=True)
    for place in ("run", "sweep/best"):
        (tmp_path / place / "generator.safetensors").write_bytes(b"x")
    (tmp_path / "run" / "last.safetensors").write_bytes(b"x")
    run, sweep = tmp_path / "run", tmp_path / "sweep"
    assert _found(str(run)) == _found(f"{run}/") == f"{run}/generator.safetensors"
    assert _found(str(sweep)) == _found(f"{sweep}/best") == f"{sweep}/best/generator.safetensors"
    assert _found(f"{run}/last.safetensors") == f"{run}/last.safetensors"
    monkeypatch.chdir(run)
    assert _found("last.safetensors") == f"{run}/last.safetensors"


@pytest.mark.parametrize("location", ["nowhere", "nowhere/x.safetensors", ".", "/x.safetensors"])
def test_an_absent_one_is_one_line(location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"has no .*; give the folder of a run or a sweep") as caught:
        find_generator(location)
    assert location in str(caught.value) and "\n" not in str(caught.value)
