"""How many workers fit on the nodes of a cluster, how many CPUs each can get, and how much memory is free."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from common.errors import ConfigError, require

Node = Mapping[str, float]
"""A node's resources in Ray's terms: CPU, GPU, memory in bytes; a missing one is 0."""

_MEMORY_FILES = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def workers_that_fit(nodes: Sequence[Node], per_worker: Mapping[str, float]) -> int:
    """How many workers that each need `per_worker` can run on the nodes at the same time.

    A worker runs on one node, and its fraction of a GPU is on one GPU. At least one amount must be above 0.
    """
    needed = {kind: amount for kind, amount in per_worker.items() if amount > 0}
    return sum(
        int(min(_shares(kind, node.get(kind, 0.0), amount) for kind, amount in needed.items()))
        for node in nodes
    )


def _shares(kind: str, available: float, amount: float) -> float:
    """How many workers a node's amount of one resource is enough for."""
    # the small number: three workers of a third of a GPU fit on one GPU
    if kind == "GPU" and amount < 1:
        return int(available) * int(1 / amount + 1e-9)
    return available / amount + 1e-9


def most_cpus_per_worker(nodes: Sequence[Node], workers: int, *, gpus: float = 0.0) -> int:
    """The largest number of CPUs per worker with which `workers` workers, of `gpus` GPUs each, all fit.

    0 where they do not even fit with one CPU each.
    """
    total = int(sum(node.get("CPU", 0.0) for node in nodes))
    shares = range(total // max(1, workers), 0, -1)
    return next(
        (cpus for cpus in shares if workers_that_fit(nodes, {"CPU": cpus, "GPU": gpus}) >= workers), 0
    )


def free_memory_bytes() -> int:
    """Memory that new processes on this machine can use, within a container's limit; 0 where unknown."""
    found = 0
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found = int(line.split()[1]) * 1024
    except OSError:
        return 0
    for file in _MEMORY_FILES:
        if file.is_file():
            limit = file.read_text().strip()
            if limit.isdigit():
                found = min(found, int(limit))
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resources:
    """What Ray reserves for a run: `workers` workers of `cpus` CPUs each, and a GPU each if `gpu`."""

    workers: int
    cpus: int
    gpu: bool

    def per_worker(self) -> dict[str, float]:
        """Resources of one worker in Ray's terms."""
        return {"CPU": self.cpus, "GPU": 1} if self.gpu else {"CPU": self.cpus}


def share_resources(nodes: Sequence[Node], workers: int, gpu: bool | None) -> Resources:
    """Give each of the `workers` workers of one run as many CPUs as possible, and a GPU each if `gpu`.

    gpu: None uses one GPU per worker if there are enough, else none.

    Raises: ConfigError when so many workers never fit on the nodes.
    """
    require(workers >= 1, f"--workers must be at least 1, not {workers}; try 1")
    gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    room = workers_that_fit(nodes, {"CPU": 1, "GPU": 1})
    with_gpu = room >= workers if gpu is None else gpu
    require(
        not with_gpu or gpus > 0, "--gpu needs a GPU and there is none here; leave it out to train on CPUs"
    )
    require(
        not with_gpu or gpus >= workers,
        f"--workers {workers} with --gpu needs a GPU each, and there are {gpus}; try --workers {gpus}",
    )
    cpus = most_cpus_per_worker(nodes, workers, gpus=float(with_gpu))
    if cpus < 1:
        fitting = room if with_gpu else workers_that_fit(nodes, {"CPU": 1})
        beside = " beside its GPU" if with_gpu else ""
        raise ConfigError(
            f"--workers {workers} needs a CPU each{beside}, and there are {fitting}; "
            f"try --workers {max(fitting, 1)}"
        )
    return Resources(workers=workers, cpus=cpus, gpu=with_gpu)
