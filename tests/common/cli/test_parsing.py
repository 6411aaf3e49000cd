"""The default of --address, within a Ray job and elsewhere."""

import pytest

from common.cli.parsing import address_flag
from gan.cli.flags import parse_command as parse_gan
from styletransfer.commands import parse_command as parse_batch
from tune.commands import parse_command as parse_tune


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
