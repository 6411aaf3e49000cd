"""RAY: whether all machines of a cluster see the same folder, found out before results are written there."""

import secrets
from collections.abc import Mapping

import ray
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from common.errors import ConfigError, require
from common.storage import Folder

_TIMEOUT_S = 60.0
_NOT_FOUND = "it is not there"


def check_seen_by_all(folder: Folder, *, flag: str = "--storage") -> None:
    """Write a file and let a task on every machine of the cluster look for it; one machine needs no look.

    `flag` is what messages call the folder.

    Raises: ConfigError that names the machines which do not find it; WriteError when it cannot be written.
    """
    address_of = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    if len(address_of) < 2:
        return
    name = f".artsweep-probe-{secrets.token_hex(8)}"
    folder.write(name, b"")
    try:
        looks = {_look_from(node, folder, name): address for node, address in address_of.items()}
        answered, silent = ray.wait(list(looks), num_returns=len(looks), timeout=_TIMEOUT_S)
        reasons = {looks[look]: _reason(look) for look in answered}
        reasons |= {looks[look]: f"no answer within {_TIMEOUT_S:.0f} s" for look in silent}
    finally:
        folder.remove_file(name)
    blind = {address: reason for address, reason in reasons.items() if reason is not None}
    require(not blind, complaint(f"{flag} {folder.location}", blind, len(address_of)))


def complaint(place: str, blind: Mapping[str, str], num_machines: int) -> str:
    """The one line that says who cannot find in `place` what was written there; blind: address -> why."""
    listed = ", ".join(
        address if reason == _NOT_FOUND else f"{address} ({reason})"
        for address, reason in sorted(blind.items())
    )
    return (
        f"{place} must be one folder for all {num_machines} machines, and what is written there is not found "
        f"on {listed}; give a folder that they share, such as NFS, or a URL such as s3://bucket/path"
    )


def _look_from(node_id: str, folder: Folder, name: str) -> ray.ObjectRef:
    task = ray.remote(_look).options(
        num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False)
    )
    return task.remote(folder.location, name)


def _look(location: str, name: str) -> str | None:
    """Why the file cannot be found from here, None when it is found."""
    try:
        return None if Folder(location).read(name) is not None else _NOT_FOUND
    except ConfigError as error:
        return str(error)


def _reason(look: ray.ObjectRef) -> str | None:
    try:
        reason: str | None = ray.get(look)
    except ray.exceptions.RayError as error:  # a machine that has just gone, or lacks this code
        return str(error).strip().splitlines()[-1]
    return reason
