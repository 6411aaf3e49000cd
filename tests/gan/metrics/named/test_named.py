"""The choices of `--metric`: one module each, listed by the command line without importing them."""

import subprocess
import sys
from typing import get_args

import pytest

from common.errors import ConfigError
from gan.__main__ import main
from gan.config import EvaluationConfig, GanConfig
from gan.metrics import config
from gan.metrics.named import METRICS


def test_the_configuration_takes_the_names_of_the_registry_and_no_others() -> None:
    assert get_args(config.MetricName) == METRICS.names
    assert {"fd_compact", "fd_lite0", "fid_inception", "kid_compact", "swd"} <= set(METRICS.names)
    with pytest.raises(ConfigError, match=r"evaluation\.metric"):
        GanConfig.from_dict({"evaluation": {"metric": "fd_compacd"}})


def test_help_lists_every_metric_with_its_summary(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for name in METRICS:
        assert f"{name}: {METRICS.summary(name)}" in shown


def test_metrics_are_listed_and_default_settings_checked_without_importing_torch() -> None:
    code = (
        "import sys; from gan.config import EvaluationConfig; from gan.metrics.named import METRICS; "
        "METRICS.help(); EvaluationConfig(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", METRICS.names)
def test_only_a_metric_with_a_network_takes_weights(name: str) -> None:
    if METRICS[name].uses_network:
        assert EvaluationConfig(metric=name, metric_weights="x").metric_weights == "x"
    else:
        with pytest.raises(ConfigError, match=f"--metric-weights has no meaning for {name}"):
            EvaluationConfig(metric=name, metric_weights="x")


@pytest.mark.parametrize("name", METRICS.names)
def test_the_name_in_tables_begins_with_the_metrics_name(name: str) -> None:
    key = EvaluationConfig(metric=name, metric_images=2000).key()
    assert key == (f"{name}_2k" if METRICS[name].name_has_count else name)
