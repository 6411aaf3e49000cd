"""RAY: starts Ray on this machine or joins a cluster, and describes the nodes."""

import contextlib
import functools
import logging
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ray
import ray._private.utils
import ray.exceptions
import torch
from ray._private import services
from ray._private.state import actors
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from common.cli.signals import deferred
from common.cluster.address import check_address, not_a_cluster
from common.errors import ConfigError
from common.text import first_line, one_line

ADDRESS_VARIABLE = "RAY_ADDRESS"
END_TIMEOUT_S = 5.0
_PORTS = range(20_000, 32_768)
"""Above those of Ray's workers, below those that Linux gives to connections and to who asks for any port."""


def usable_cpus() -> int:
    """Number of CPUs that this process may use; fewer than the machine has within a container or taskset."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def start_ray(address: str | None, num_cpus: int | None = None) -> None:
    """Join the Ray cluster at `address` (host:port, or auto), or start Ray here when it is None.

    Does nothing when this process is already connected. A Ray started here has `num_cpus` CPUs (default: all
    that this process may use) and ends with this process, also when the process is killed.

    Raises: ConfigError when the cluster cannot be reached, or Ray does not start here.
    """
    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # a raylet warns when more processes start than four times its CPUs; ours are few and mostly wait
    os.environ.setdefault("RAY_worker_maximum_startup_concurrency", "8")
    # Ray 2.60 warns of a coming change of the default unless it is set
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address is None:
        _start_here(num_cpus or usable_cpus())
        hide_token()
    else:
        _join(address)


def hide_token() -> None:
    """Make Ray's token in ~/.ray readable to this user only: whoever reads it can run code as this user."""
    # Ray 2.60 creates the file readable to all users of the machine
    with contextlib.suppress(OSError, RuntimeError):  # another user's file, or a user without a home
        (Path.home() / ".ray" / "auth_token").chmod(0o600)


@contextlib.contextmanager
def ray_session(address: str | None, error_type: type[Exception]) -> Iterator[bool]:
    """Start Ray or join the cluster, and leave it after the block; a Ray that is connected already stays.

    A signal takes effect when Ray has started: interrupted in its start, it would leave processes behind.

    Yields: whether this ends Ray in this process.

    Raises: ConfigError as `start_ray`; `error_type`, in one line, for an error of Ray itself in the block.
    """
    is_ours = not ray.is_initialized()
    try:
        with deferred():
            start_ray(address)
        yield is_ours
    except ray.exceptions.RayError as error:
        raise error_type(f"Ray has failed: {first_line(error)}") from error
    finally:
        if is_ours:
            ray.shutdown()


def _start_here(num_cpus: int) -> None:
    check_address(None)
    # The address is chosen here and passed to every process: what looks for its cluster finds it by that.
    # Without it, and with a second Ray on the host, it may find that one.
    port = _free_port()
    before = os.environ.get("RAY_GCS_SERVER_PORT")
    os.environ["RAY_GCS_SERVER_PORT"] = str(port)
    try:
        host = ray.util.get_node_ip_address()
        with _own_process_groups():
            _init("local", f"{host}:{port}", num_cpus=num_cpus, include_dashboard=False)
    except Exception as error:  # Ray 2.60 raises just that when a process of its own is late
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
def _own_process_groups() -> Iterator[None]:
    """Start Ray's processes in process groups of their own.

    A shell's `kill %1` and `timeout` signal the whole group of this process: Ray would end before the driver
    could save. Ray's processes still end with this one. Ray 2.60 has no setting for it; a Ray without
    `ConsolePopen` is left as it is.
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
    check_address(address)  # Ray itself would try for more than a minute
    known = os.environ.get(ADDRESS_VARIABLE) if address == "auto" else address
    try:
        _init(address, known)
    except (OSError, ValueError, RuntimeError) as error:
        raise not_a_cluster(address, error) from None


def _init(address: str, known: str | None, **settings: Any) -> None:
    with _own_sigterm_handler():
        ray.init(
            address=address,
            runtime_env={"env_vars": {ADDRESS_VARIABLE: known}} if known else None,
            log_to_driver=False,
            logging_level=logging.ERROR,
            **settings,
        )


@contextlib.contextmanager
def _own_sigterm_handler() -> Iterator[None]:
    """Keep this process's handler of SIGTERM while Ray starts and afterwards, if it has one.

    Ray 2.60's exits at once, even in the middle of its own start; ours says how to continue.
    """
    handler = signal.getsignal(signal.SIGTERM)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = ray._private.utils.set_sigterm_handler
    ray._private.utils.set_sigterm_handler = lambda _: None
    try:
        yield
    finally:
        ray._private.utils.set_sigterm_handler = before
        signal.signal(signal.SIGTERM, handler)


def _free_port() -> int:
    """A port at which nothing listens, of those that nobody else gets by chance before Ray listens there.

    Not the kernel's choice: that is one of the ports which it gives to every connection. And not of Python's
    generator that a seed sets: processes that are seeded alike would choose alike.

    Raises: ConfigError when none of many is free.
    """
    for port in random.SystemRandom().sample(_PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("", port))
            return port
    raise ConfigError(
        f"Ray needs a port between {_PORTS[0]} and {_PORTS[-1]}, and none of 100 is free; "
        "end what listens there, or start Ray yourself and give its --address"
    )


def worker_env(threads: int) -> dict[str, str]:
    """Environment of a training worker that may use `threads` CPUs; call after `start_ray`."""
    return {
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        ADDRESS_VARIABLE: ray.get_runtime_context().gcs_address,
    }


def own_actors(class_name: str) -> dict[str, dict[str, Any]]:
    """This process's actors of a class, by their id, except the dead ones."""
    of_job = actors(job_id=ray._private.worker.global_worker.current_job_id)
    return {
        actor_id: actor
        for actor_id, actor in of_job.items()
        if actor["ActorClassName"] == class_name and actor["State"] != "DEAD"
    }


def kill_actors(class_name: str) -> None:
    """Kill this process's actors of a class, whose handles a library keeps to itself."""
    core = ray._private.worker.global_worker.core_worker
    for actor_id in own_actors(class_name):
        with contextlib.suppress(Exception):  # it has ended meanwhile
            core.kill_actor(ray.ActorID(bytes.fromhex(actor_id)), True)


def end_train_runs(threads: Sequence[threading.Thread]) -> None:
    """End the runs of Ray Train that these threads wait for, before Ray is shut down.

    A thread that still waits for Ray then ends this process at once, without a word and with exit code 1.
    """
    deadline = time.monotonic() + END_TIMEOUT_S * len(threads)
    for thread in threads:
        while thread.is_alive() and time.monotonic() < deadline:
            # again and again: one that has just begun has not started its controller yet
            with contextlib.suppress(Exception):  # Ray itself may be gone
                kill_actors("TrainController")  # of Ray Train 2.60, for whose end `fit` waits
            thread.join(0.5)


def beside_driver() -> NodeAffinitySchedulingStrategy:
    """Scheduling strategy that keeps an actor on this process's node, so that it survives other nodes."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


def local_nodes() -> list[dict[str, float]]:
    """Resources of this machine as Ray will see them when it is started here."""
    return [{"CPU": usable_cpus(), "GPU": torch.cuda.device_count()}]


def is_alive(node_id: str) -> bool:
    """Whether the node of this id (hex) is alive in the cluster."""
    return any(node["NodeID"] == node_id and node["Alive"] for node in ray.nodes())


def cluster_nodes() -> list[dict[str, float]]:
    """Resources of each living node of the cluster that Ray is connected to."""
    nodes: list[dict[str, Any]] = ray.nodes()
    return [node["Resources"] for node in nodes if node["Alive"]]
