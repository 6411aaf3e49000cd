"""`ray up` without machines: Ray's launcher runs, and what it would send by SSH and rsync is written down."""

import copy
import dataclasses
import gc
import shlex
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from ray.autoscaler._private import commands
from ray.autoscaler._private.providers import _get_node_provider
from ray.autoscaler.tags import NODE_KIND_WORKER, TAG_RAY_NODE_KIND, TAG_RAY_USER_NODE_TYPE
from ray.autoscaler.v2.instance_manager.config import AutoscalingConfig
from ray.autoscaler.v2.instance_manager.ray_installer import RayInstaller
from ray.core.generated.instance_manager_pb2 import Instance

ROOT = Path(__file__).parents[2]
AWS, ONPREM = ROOT / "cluster.yaml", ROOT / "examples" / "onprem.yaml"
ROLES = ROOT / "examples" / "aws"


class Recorder:
    """Stands in for the module `subprocess`: every command succeeds and none is run."""

    DEVNULL = None

    def __init__(self) -> None:
        self.sent: list[list[str]] = []

    def check_call(self, command: list[str], **_: Any) -> int:
        """Write the command down."""
        self.sent.append(command)
        return 0

    def check_output(self, command: list[str], **_: Any) -> bytes:
        """Write the command down."""
        self.sent.append(command)
        return b""


@dataclasses.dataclass(frozen=True)
class Told:
    """What one machine was told. `commands`: shell lines in order; `mounts`: remote path -> local path."""

    commands: list[str]
    mounts: dict[str, str]
    logins: set[str]

    def one(self, *parts: str) -> str:
        """The one command that contains all parts; Ray 2.60 runs a worker's setup commands twice."""
        found = {command for command in self.commands if all(part in command for part in parts)}
        assert len(found) == 1, f"{len(found)} commands with {parts}: {found}"
        return found.pop()


@dataclasses.dataclass(frozen=True)
class Raised:
    """A cluster in moto's AWS; `head_machine`, `worker_machine`: as EC2 tells; `rules`: who may come in."""

    config: dict[str, Any]
    head: Told
    worker: Told
    head_machine: dict[str, Any]
    worker_machine: dict[str, Any]
    rules: list[dict[str, Any]]


def load(path: Path) -> dict[str, Any]:
    """The file as Ray's launcher reads it."""
    config: dict[str, Any] = yaml.safe_load(path.read_text())
    return config


def told_by(recorder: Recorder) -> Told:
    """The recorded calls, undressed of the options of ssh and rsync."""
    told = Told(commands=[], mounts={}, logins=set())
    for words in recorder.sent:
        if words[0] == "rsync":
            login, _, remote = words[-1].partition(":")
            told.mounts[remote.rstrip("/")] = words[-2].rstrip("/")
        else:
            login = words[words.index("bash") - 1]
            (line,) = shlex.split(words[-1])
            told.commands.append(line.partition(" && (")[2].removesuffix(")"))
        told.logins.add(login)
    return told


def raise_head(config: dict[str, Any]) -> Told:
    """Launch the head of a bootstrapped configuration as `ray up` does."""
    recorder = Recorder()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves the file of its configuration open
        commands.get_or_create_head_node(config, "cluster.yaml", False, False, True, None, _runner=recorder)
        gc.collect()
    return told_by(recorder)


def raise_worker(config: dict[str, Any], node_type: str, head_address: str) -> tuple[str, Told]:
    """Launch a worker as the head's autoscaler (version 2) does; returns the machine's id too."""
    config = {key: value for key, value in copy.deepcopy(config).items() if key != "head_node"}
    provider = _get_node_provider(config["provider"], config["cluster_name"])
    tags = {TAG_RAY_NODE_KIND: NODE_KIND_WORKER, TAG_RAY_USER_NODE_TYPE: node_type}
    (machine,) = provider.create_node(config["available_node_types"][node_type]["node_config"], tags, 1)
    provider.non_terminated_nodes({})  # it installs only on machines that it has seen
    recorder = Recorder()
    instance = Instance(instance_id="1", cloud_instance_id=machine, instance_type=node_type)
    RayInstaller(provider, AutoscalingConfig(config), recorder).install_ray(instance, head_address)
    return machine, told_by(recorder)


def raise_aws(client: Callable[..., Any]) -> Raised:
    """`ray up cluster.yaml`, then one worker, in the AWS that boto3's `client` talks to."""
    make_roles(client("iam"))
    config = commands._bootstrap_config(load(AWS), no_config_cache=True)
    head = raise_head(config)
    ec2 = client("ec2", region_name=config["provider"]["region"])
    (head_machine,) = machines(ec2)
    worker_id, worker = raise_worker(config, "gpu_worker", head_machine["PrivateIpAddress"])
    (worker_machine,) = machines(ec2, InstanceIds=[worker_id])
    (group,) = head_machine["SecurityGroups"]
    (described,) = ec2.describe_security_groups(GroupIds=[group["GroupId"]])["SecurityGroups"]
    return Raised(config, head, worker, head_machine, worker_machine, described["IpPermissions"])


def make_roles(iam: Any) -> None:
    """What docs/clusters.md has the user do once."""
    storage = (ROLES / "storage.json").read_text().replace("BUCKET", "some-bucket")
    policies = {
        "artsweep-head": {"storage": storage, "launch": (ROLES / "launch.json").read_text()},
        "artsweep-worker": {"storage": storage},
    }
    for role, documents in policies.items():
        iam.create_role(RoleName=role, AssumeRolePolicyDocument=(ROLES / "trust.json").read_text())
        for name, document in documents.items():
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)
        iam.create_instance_profile(InstanceProfileName=role)
        iam.add_role_to_instance_profile(InstanceProfileName=role, RoleName=role)


def machines(ec2: Any, **which: Any) -> list[dict[str, Any]]:
    """EC2's descriptions of these machines, of all by default."""
    found = ec2.describe_instances(**which)["Reservations"]
    return [machine for reservation in found for machine in reservation["Instances"]]
