"""cluster.yaml and examples/onprem.yaml: their schema, what Ray's launcher makes of them, no secrets."""

import json
import os
import re
import shlex
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.autoscaler._private import commands
from ray.autoscaler._private.util import prepare_config, validate_config

from tests.cluster.rehearsal import AWS, ONPREM, ROLES, ROOT, Raised, Told, load, raise_aws, raise_head

FILES = (AWS, ONPREM)
KEEPALIVE = {"RAY_grpc_client_keepalive_time_ms": "10000", "RAY_grpc_client_keepalive_timeout_ms": "5000"}
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Home, temporary files and Ray's state in a folder of their own, a token in it, and no waiting."""
    home = tmp_path_factory.mktemp("home")
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text("0123")
    (home / ".ssh").mkdir()
    (home / ".ssh" / "artsweep").write_text("no key\n")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "TMPDIR", "RAY_TMPDIR"):
            patch.setenv(name, str(home))
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        patch.setattr(tempfile, "tempdir", None)
        patch.chdir(ROOT)
        patch.setattr("time.sleep", lambda seconds: None)
        yield home


@pytest.fixture(scope="module")
def aws(scratch: Path) -> Iterator[Raised]:
    """`ray up cluster.yaml`, then one worker, in an AWS that is moto's."""
    moto = pytest.importorskip("moto", reason="moto is not installed; `make cluster-check` installs it")
    boto3 = pytest.importorskip("boto3", reason="boto3 is not installed; `make cluster-check` installs it")
    with moto.mock_aws():
        yield raise_aws(boto3.client)


@pytest.fixture(scope="module")
def onprem_head(scratch: Path) -> Told:
    """What the head of examples/onprem.yaml is told by `ray up`."""
    return raise_head(commands._bootstrap_config(load(ONPREM), no_config_cache=True))


@pytest.fixture(params=["aws", "onprem"])
def head(request: pytest.FixtureRequest) -> Told:
    """What the head of either file is told."""
    if request.param == "aws":
        raised: Raised = request.getfixturevalue("aws")
        return raised.head
    told: Told = request.getfixturevalue("onprem_head")
    return told


def exported(command: str) -> dict[str, str]:
    """Variables that a shell line leaves set; of two settings the later."""
    found: dict[str, str] = {}
    for part in command.split(";"):
        words = shlex.split(part)
        if words[:1] == ["export"]:
            found |= dict(word.split("=", 1) for word in words[1:])
    return found


def login_line(told: Told) -> str:
    """What setting up leaves in ~/.bashrc."""
    return shlex.split(told.one("~/.bashrc", "echo").partition("echo ")[2])[0].partition(" #")[0]


def pinned(package: str) -> str:
    """The version in constraints.txt."""
    (version,) = re.findall(rf"^{package}==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    return str(version)


@each_file
def test_the_file_is_one_that_ray_takes(path: Path) -> None:
    validate_config(prepare_config(load(path)))


@each_file
def test_the_file_names_no_secret_registry_or_open_address(path: Path) -> None:
    text = path.read_text()
    assert not re.search(r"0\.0\.0\.0|\[::\]", text)
    assert not re.search(r"https?://|index-url|find-links|pypi", text)
    assert not re.search(r"AKIA|aws_access|aws_secret|BEGIN [A-Z ]*PRIVATE|password", text, re.IGNORECASE)
    assert not re.search(r"\b[0-9a-f]{32,}\b|\b\d{12}\b", text)  # tokens, account numbers
    assert "ssh_proxy" not in text and "aws_credentials" not in text


@each_file
def test_every_package_of_the_project_travels(path: Path) -> None:
    mounts = load(path)["file_mounts"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {
        pattern.rstrip("*") for pattern in project["tool"]["setuptools"]["packages"]["find"]["include"]
    }
    files = {"pyproject.toml", "constraints.txt", project["project"]["readme"]}
    # those within a package travel with it
    files |= {name for name in project["project"]["license-files"] if name.partition("/")[0] not in packages}
    assert {Path(remote).name for remote in mounts if remote.startswith("~/artsweep/")} == packages | files
    for remote, local in mounts.items():
        assert Path(remote).name == Path(local).name
        assert local.startswith("~/") or (ROOT / local).exists()


@each_file
def test_versions_are_those_of_the_constraints(path: Path) -> None:
    lines = load(path)["setup_commands"]
    (install,) = [line for line in lines if "~/artsweep/constraints.txt" in line]
    assert f"'ray[default]=={pinned('ray')}' ~/artsweep" in install
    (python,) = re.findall(r"--python (3\.\d+\.\d+) ", " ".join(lines))
    assert python.startswith("3.11.")


def test_both_files_set_machines_up_alike() -> None:
    aws, onprem = load(AWS), load(ONPREM)
    for key in ("file_mounts", "rsync_exclude", "setup_commands"):
        assert aws[key] == onprem[key]
    (aws_start,), (onprem_start,) = (
        [line for line in config["worker_start_ray_commands"] if "ray start" in line]
        for config in (aws, onprem)
    )
    assert exported(aws_start) == exported(onprem_start)


def test_a_silent_machine_is_given_up_within_half_a_minute(head: Told) -> None:
    env = exported(head.one("ray start"))
    period, timeout = (int(env[f"RAY_health_check_{name}_ms"]) for name in ("period", "timeout"))
    silence_s = int(env["RAY_health_check_failure_threshold"]) * (period + timeout) / 1000
    assert silence_s + sum(map(int, KEEPALIVE.values())) / 1000 <= 30


def test_a_stopped_job_has_time_to_save_its_state(head: Told) -> None:
    assert float(exported(head.one("ray start"))["RAY_JOB_STOP_WAIT_TIME_S"]) >= 60


def test_a_head_listens_on_loopback_and_tells_nobody(head: Told) -> None:
    start = head.one("ray start")
    assert "--dashboard-host=127.0.0.1" in start
    assert exported(start)["RAY_USAGE_STATS_ENABLED"] == "0"


def test_a_head_shows_the_token_and_notices_dead_links(head: Told) -> None:
    wanted = KEEPALIVE | {"RAY_AUTH_MODE": "token"}
    assert wanted.items() <= exported(head.one("ray start")).items()
    assert wanted.items() <= exported(login_line(head)).items()


def test_setting_up_twice_leaves_one_login_line_and_it_works(head: Told, tmp_path: Path) -> None:
    (tmp_path / ".bashrc").write_text("export KEPT=yes\n")
    shell = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    for _ in range(2):
        subprocess.run(["bash", "-c", head.one("~/.bashrc", "echo")], env=shell, check=True)
    show = 'source ~/.bashrc; echo "$KEPT $RAY_AUTH_MODE ${PATH%%:*}"'
    shown = subprocess.run(["bash", "-c", show], env=shell, check=True, capture_output=True, text=True).stdout
    assert shown == f"yes token {tmp_path}/venv/bin\n"
    assert len((tmp_path / ".bashrc").read_text().splitlines()) == 2


@pytest.mark.parametrize("machine", ["head", "worker"])
def test_a_machine_of_aws_shows_the_token_and_notices_dead_links(aws: Raised, machine: str) -> None:
    told: Told = getattr(aws, machine)
    wanted = KEEPALIVE | {"RAY_AUTH_MODE": "token"}
    assert wanted.items() <= exported(told.one("ray start")).items()
    assert wanted.items() <= exported(login_line(told)).items()
    assert told.mounts["~/.ray/auth_token"].endswith("/.ray/auth_token")
    assert "chmod 600 ~/.ray/auth_token" in told.one("auth_token")


@pytest.mark.parametrize("machine", ["head", "worker"])
def test_a_machine_of_aws_has_the_project_installed_before_ray_starts(aws: Raised, machine: str) -> None:
    told: Told = getattr(aws, machine)
    install = told.one("uv pip install", "'ray[default]==")
    assert told.commands.index(install) < told.commands.index(told.one("ray start"))
    assert set(load(AWS)["file_mounts"]) <= set(told.mounts)
    (login,) = told.logins
    assert login.startswith("ubuntu@")


def test_the_head_of_aws_trains_nothing_and_is_not_taken_away(aws: Raised) -> None:
    assert aws.config["available_node_types"]["head"]["resources"] == {"CPU": 0}
    assert """RAY_OVERRIDE_RESOURCES='{"CPU":0}'""" in aws.head.one("ray start")
    assert "InstanceLifecycle" not in aws.head_machine
    assert aws.head.one("boto3")


def test_workers_of_aws_are_spot_machines_with_a_gpu_from_none_up(aws: Raised) -> None:
    worker = aws.config["available_node_types"]["gpu_worker"]
    assert worker["min_workers"] == 0 < worker["max_workers"] == aws.config["max_workers"]
    assert worker["resources"]["GPU"] >= 1
    assert aws.worker_machine["InstanceLifecycle"] == "spot"
    assert "--address=$RAY_HEAD_IP:6379" in aws.worker.one("ray start")
    assert exported(aws.worker.one("ray start"))["RAY_HEAD_IP"] == aws.head_machine["PrivateIpAddress"]


def test_a_spot_machine_listens_for_its_notice_once_and_the_head_does_not(aws: Raised) -> None:
    ended, begun = aws.worker.one("pkill"), aws.worker.one("setsid", "python -m common.cluster.spot_notice")
    order = [aws.worker.commands.index(line) for line in (aws.worker.one("ray start"), ended, begun)]
    assert order == sorted(order)
    pattern = shlex.split(ended[ended.index("pkill") :])[2]
    assert re.search(pattern, "python -m common.cluster.spot_notice"), "an earlier one ends"
    assert re.search(pattern, "python -m common.spot_notice"), "also one of version 0.1.0"
    assert not re.search(pattern, ended), "the shell that ends it does not"
    assert not any("spot_notice" in line for line in aws.head.commands)


def test_machines_of_aws_are_of_the_named_images_and_roles(aws: Raised) -> None:
    for machine, role, image in (
        (aws.head_machine, "artsweep-head", "canonical/ubuntu/server/22.04"),
        (aws.worker_machine, "artsweep-worker", "base-oss-nvidia-driver-gpu-ubuntu-22.04"),
    ):
        assert machine["ImageId"].startswith("resolve:ssm:/aws/service/") and image in machine["ImageId"]
        assert machine["IamInstanceProfile"]["Arn"].endswith(f"/{role}")
        assert machine["MetadataOptions"]["HttpTokens"] == "required"
        assert all(disk["Ebs"]["DeleteOnTermination"] for disk in machine["BlockDeviceMappings"])


def test_the_security_group_is_open_to_itself_and_to_ssh_alone(aws: Raised) -> None:
    group = aws.head_machine["SecurityGroups"]
    assert group == aws.worker_machine["SecurityGroups"]
    itself, ssh = sorted(aws.rules, key=lambda rule: "FromPort" in rule)
    assert [pair["GroupId"] for pair in itself["UserIdGroupPairs"]] == [group[0]["GroupId"]]
    assert not itself["IpRanges"] and not itself["Ipv6Ranges"] and not itself["PrefixListIds"]
    assert (ssh["IpProtocol"], ssh["FromPort"], ssh["ToPort"]) == ("tcp", 22, 22)


def test_machines_of_aws_are_ended_not_stopped(aws: Raised) -> None:
    assert load(AWS)["provider"]["cache_stopped_nodes"] is False
    assert aws.config["idle_timeout_minutes"] <= 15


def test_a_worker_may_do_less_than_the_head_and_the_head_not_all() -> None:
    for name in ("storage", "launch"):
        for statement in json.loads((ROLES / f"{name}.json").read_text())["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert not any("*" in action for action in actions)
            if "iam:PassRole" in actions:
                assert statement["Resource"].endswith(":role/artsweep-worker")
            if name == "storage":
                assert statement["Resource"].startswith("arn:aws:s3:::BUCKET")


def test_the_head_on_premises_starts_all_workers_and_trains_nothing(onprem_head: Told) -> None:
    start = onprem_head.one("ray start")
    assert exported(start)["RAY_enable_autoscaler_v2"] == "0"
    assert "--num-cpus=0 --num-gpus=0" in start
    config = prepare_config(load(ONPREM))
    assert onprem_head.logins == {f"ubuntu@{config['provider']['head_ip']}"}
    (machine,) = config["available_node_types"].values()
    assert machine["min_workers"] == len(config["provider"]["worker_ips"])
