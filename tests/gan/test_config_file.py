"""Paths of a configuration, made absolute for processes with another working directory."""

from pathlib import Path

import pytest

from common.errors import ConfigError
from gan.config import DataConfig, EvaluationConfig, GanConfig
from gan.config_file import read_config, with_absolute_paths


def test_every_path_becomes_absolute_and_nothing_else_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    config = GanConfig(
        data=DataConfig(source="photos", root="sets", cache="~/cache", resolution=64),
        evaluation=EvaluationConfig(metric_weights="weights/own.safetensors"),
        batch=48,
    )
    found = with_absolute_paths(config)
    assert (found.data.source, found.data.root) == (f"{tmp_path}/photos", f"{tmp_path}/sets")
    assert found.data.cache == "/home/someone/cache"
    assert found.evaluation.metric_weights == f"{tmp_path}/weights/own.safetensors"
    unchanged = {
        "data.source": "photos",
        "data.root": "sets",
        "data.cache": "~/cache",
        "evaluation.metric_weights": "weights/own.safetensors",
    }
    assert found.with_values(unchanged) == config


def test_names_of_data_sets_and_absent_paths_stay_as_they_are() -> None:
    assert with_absolute_paths(GanConfig()) == GanConfig()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"batch": "many"}', "batch is wrong"),
        ('{"optimizer": 3}', "optimizer must be a table"),
        ('{"batch": 1}', "--batch must be at least 2"),
        ("[]", "must hold a table"),
        ("{", "is not a JSON file"),
    ],
)
def test_what_is_wrong_in_a_file_is_said_with_its_name(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "own settings.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=said) as caught:
        read_config(str(path), "--config")
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_byte_order_mark_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "marked.json").write_text('{"batch": 48}', encoding="utf-8-sig")
    assert read_config(str(tmp_path / "marked.json"), "--config").batch == 48
