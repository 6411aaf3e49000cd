"""Paths of a configuration, made absolute for processes with another working directory."""

from pathlib import Path

import pytest

from gan.config import DataConfig, EvaluationConfig, GanConfig
from gan.config_file import with_absolute_paths


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
