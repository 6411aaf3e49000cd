"""RAY: starting Ray on this machine or joining a cluster, alike for a run and a sweep; nothing of GANs."""

import contextlib
import functools
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
import torch
from ray._private import services
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from common.errors import ConfigError, require
from common.text import one_line

ADDRESS_VARIABLE = "RAY_ADDRESS"


def usable_cpus() -> int:
    """CPUs that this process may use; a container or taskset may leave fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start_ray(address: str | None, num_cpus: int | None = None) -> None:
    """Join the Ray cluster at `address` (host:port, or auto), or start Ray here when it is None.

    Does nothing when this process is connected already. A Ray started here has `num_cpus` CPUs (default: all
    that this process may use) and ends with this process, also when that is killed.

    Raises: ConfigError when the cluster cannot be reached, or Ray does not come up here.
    """
    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # a raylet warns of more starting processes than four times its CPUs; ours are few, and most of them wait
    os.environ.setdefault("RAY_worker_maximum_startup_concurrency", "8")
    # 2.60 warns of the coming default unless it is chosen
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address is None:
        _start_here(num_cpus or usable_cpus())
        hide_token()
    else:
        _join(address)


def hide_token() -> None:
    """Leave the token that Ray keeps in ~/.ray to this user alone: who can read it can run code as them."""
    # 2.60 makes the file readable to all users of the machine
    with contextlib.suppress(OSError, RuntimeError):  # somebody else's, or a user without a home
        (Path.home() / ".ray" / "auth_token").chmod(0o600)


def stop_ray() -> None:
    """Leave the cluster; a Ray that was started here ends."""
    ray.shutdown()


def _start_here(num_cpus: int) -> None:
    # The address is chosen here and handed to every process: Ray Train's cleaner looks its cluster up by it,
    # and with a second Ray on the host would else find that one and take the workers' resources away.
    port = _free_port()
    before = os.environ.get("RAY_GCS_SERVER_PORT")
    os.environ["RAY_GCS_SERVER_PORT"] = str(port)
    try:
        # never include_dashboard=False: Ray Train needs the State API
        host = ray.util.get_node_ip_address()
        with _groups_of_their_own():
            _init("local", f"{host}:{port}", num_cpus=num_cpus)
    except Exception as error:  # 2.60 raises just that where a process of its own does not come up in time
        ray.shutdown()
        reason = one_line(error)
        raise ConfigError(
            f"Ray could not be started here ({reason}); the machine is busy or out of memory: try again"
        ) from error
    finally:
        if before is None:
            del os.environ["RAY_GCS_SERVER_PORT"]
        else:
            os.environ["RAY_GCS_SERVER_PORT"] = before


@contextlib.contextmanager
def _groups_of_their_own() -> Iterator[None]:
    """Start Ray's processes outside of this process's group.

    A shell's `kill %1` and `timeout` signal the whole group: Ray would be gone before the driver could save.
    They still end with this process. 2.60 has no setting for it; a Ray that starts them otherwise is let be.
    """
    popen = getattr(services, "ConsolePopen", None)
    if popen is None:
        yield
        return
    services.ConsolePopen = functools.partial(popen, process_group=0)
    try:
        yield
    finally:
        services.ConsolePopen = popen


def _join(address: str) -> None:
    require(
        "://" not in address,
        f"--address must be host:port or auto, not {address!r}; run the command on a machine of the cluster",
    )
    known = os.environ.get(ADDRESS_VARIABLE) if address == "auto" else address
    try:
        if address != "auto":
            _knock(address)  # Ray itself would try for more than a minute
        _init(address, known)
    except (OSError, ValueError, RuntimeError) as error:
        reason = one_line(error)
        raise ConfigError(
            f"--address {address} is no Ray cluster that can be reached ({reason}); see `ray status`, "
            "set RAY_AUTH_MODE=token if it asks for a token, or leave --address out to start Ray here"
        ) from None


def _knock(address: str) -> None:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10):
        pass


def _init(address: str, known: str | None, num_cpus: int | None = None) -> None:
    handler = signal.getsignal(signal.SIGTERM)
    ray.init(
        address=address,
        num_cpus=num_cpus,
        runtime_env={"env_vars": {ADDRESS_VARIABLE: known}} if known else None,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    # Ray's own handler exits on the spot; ours, where there is one, says how to go on
    if callable(handler) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handler)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def worker_env(threads: int) -> dict[str, str]:
    """Environment of a training worker that may use `threads` CPUs; call after `start_ray`."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        ADDRESS_VARIABLE: ray.get_runtime_context().gcs_address,
    }


def beside_driver() -> NodeAffinitySchedulingStrategy:
    """Places an actor on this process's machine, so that no other machine's death can take it away."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def local_nodes() -> list[dict[str, float]]:
    """This machine as Ray will see it when it is started here."""
    return [{"CPU": usable_cpus(), "GPU": torch.cuda.device_count()}]


def is_alive(node_id: str) -> bool:
    """Whether the machine of this id (hex) is in the cluster and lives."""
    return any(node["NodeID"] == node_id and node["Alive"] for node in ray.nodes())


def cluster_nodes() -> list[dict[str, float]]:
    """The living machines of the cluster that Ray is connected to."""
    nodes: list[dict[str, Any]] = ray.nodes()
    return [node["Resources"] for node in nodes if node["Alive"]]
