"""RAY: checks that all nodes of a cluster see the same folder, before results are written there."""

import secrets
from collections.abc import Mapping

from common.cluster.nodes import ask_every_node, count_nodes
from common.errors import ConfigError, require
from common.storage.folder import Folder

_NOT_FOUND = "it is not there"


def check_seen_by_all(folder: Folder, *, flag: str = "--storage") -> None:
    """Write a file and let every node of the cluster look for it; a single node is not asked.

    `flag` is what messages call the folder.

    Raises: ConfigError that names the nodes that do not find it; WriteError when it cannot be written.
    """
    num_nodes = count_nodes()
    if num_nodes < 2:
        return
    name = f".artsweep-probe-{secrets.token_hex(8)}"
    folder.write(name, b"")
    try:
        answers = ask_every_node(_look, folder.location, name)
    finally:
        folder.remove_file(name)
    reasons = {address: answer.failure or answer.value for address, answer in answers.items()}
    blind = {address: reason for address, reason in reasons.items() if reason is not None}
    require(not blind, complaint(f"{flag} {folder.location}", blind, num_nodes))


def complaint(place: str, blind: Mapping[str, str], num_nodes: int) -> str:
    """The error message: which nodes do not find in `place` what was written there; blind: address -> why."""
    listed = ", ".join(
        address if reason == _NOT_FOUND else f"{address} ({reason})"
        for address, reason in sorted(blind.items())
    )
    return (
        f"{place} must be one folder for all {num_nodes} machines, and what is written there is not found "
        f"on {listed}; give a folder that they share, such as NFS, or a URL such as s3://bucket/path"
    )


def _look(location: str, name: str) -> str | None:
    """Why this node cannot find the file, None when it finds it."""
    try:
        return None if Folder(location).read(name) is not None else _NOT_FOUND
    except ConfigError as error:
        return str(error)
