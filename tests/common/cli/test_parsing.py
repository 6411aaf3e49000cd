"""The default of --address, `~` in every value, and numbers after --gpu."""

import json
from pathlib import Path

import pytest

from common.cli.parsing import address_flag, with_home
from common.errors import ConfigError
from gan.cli.flags import parse_command as parse_gan
from gan.config import GanConfig
from styletransfer.commands import parse_command as parse_batch
from tune.cli.flags import parse_command as parse_tune


@pytest.mark.parametrize("given, address", [((), "auto"), (("--address", "head:6379"), "head:6379")])
def test_a_job_runs_on_its_cluster_unless_address_says_otherwise(
    given: tuple[str, ...], address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")  # as Ray's job manager does
    assert parse_tune(["sweep", *given]).sweep.address == address
    assert parse_tune(["resume", "runs/first", *given]).address == address
    assert parse_gan(["train", *given]).address == address
    assert parse_batch(["photos", "paintings", "out", *given]).address == address


def test_elsewhere_ray_is_started_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_JOB_CONFIG_JSON_ENV_VAR", raising=False)
    assert parse_tune(["sweep"]).sweep.address is None and address_flag(None) == ""
    assert parse_gan(["train"]).address is None
    assert parse_batch(["photos", "paintings", "out"]).address is None


def test_the_home_folder_is_meant_wherever_a_value_begins_with_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    words = ["~/a", "--out=~/x y", "--out", "~", "a~b", "~no_such_user/x", "--seed=3", "s3://~/x"]
    home = str(tmp_path)
    expected = [
        f"{home}/a",
        f"--out={home}/x y",
        "--out",
        home,
        "a~b",
        "~no_such_user/x",
        "--seed=3",
        "s3://~/x",
    ]
    assert with_home(words) == expected
    config = GanConfig(batch=96)
    (tmp_path / "x.json").write_text(json.dumps(config.to_dict()))
    sweep = parse_tune(["sweep", "--config=~/x.json", "--space=~/s.toml"])
    assert sweep.sweep.gan.batch == 96 and sweep.sweep.space == f"{home}/s.toml"
    assert parse_gan(["train", "--config=~/x.json"]).gan.batch == 96
    assert parse_tune(["best", "runs/x", "--out=~/b.json"]).out == f"{home}/b.json"
    batch = parse_batch(
        ["~/p", "s", "o", "--mask=~/m", "--start=~/s.png", "--weights=~/w", "--pairs=~/p.csv"]
    )
    assert (batch.places[0], batch.mask, batch.pairs) == (f"{home}/p", f"{home}/m", f"{home}/p.csv")
    assert (batch.style.start, batch.style.weights) == (f"{home}/s.png", f"{home}/w")


@pytest.mark.parametrize("words", [["--gpu", "0"], ["--gpu=1"], ["--gpu", "0,2"]])
def test_a_number_after_gpu_is_answered_with_the_variable_that_chooses_gpus(words: list[str]) -> None:
    number = words[-1].removeprefix("--gpu=")
    for parse, command in ((parse_gan, ["train"]), (parse_batch, ["photos", "paintings", "out"])):
        with pytest.raises(ConfigError, match=f"put CUDA_VISIBLE_DEVICES={number} before the command"):
            parse([*command, *words])
