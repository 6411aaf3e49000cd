"""How many workers stylize at the same time, and how many CPUs and GPUs each gets; pure."""

import dataclasses
import math
from collections.abc import Sequence

from common.cluster.placement import Node, most_cpus_per_worker, workers_that_fit
from common.errors import ConfigError, require
from common.text import counted

_SHARE_OF_MEMORY = 0.9


@dataclasses.dataclass(frozen=True, kw_only=True)
class Placement:
    """`workers` workers of `cpus` CPUs each, and a GPU each if `gpu`."""

    workers: int
    cpus: int
    gpu: bool
    is_short_of_memory: bool = False
    """Whether memory may not suffice for the workers that were asked for, or that CPUs alone would allow."""

    def __str__(self) -> str:
        each = "a GPU" if self.gpu else counted(self.cpus, "CPU")
        short = " (memory is short)" * self.is_short_of_memory
        return f"{counted(self.workers, 'worker')}, {each} each{short}"


def choose_placement(
    nodes: Sequence[Node],
    *,
    wanted: int | None,
    gpu: bool | None,
    most: int,
    bytes_each: int,
    threads: int | None = None,
) -> Placement:
    """The placement on `nodes`, each a table of its CPU, GPU and memory in bytes.

    wanted: number of workers; None: one per GPU if there are any and `gpu` is not False, else one per core,
    at most `most`, and no more than memory allows, where it is known. gpu: None uses GPUs if there are any.
    threads: CPUs of each worker; None: as many as all can get.

    Raises: ConfigError when so many workers can never be placed.
    """
    gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    with_gpu = gpus > 0 and (wanted is None or gpus >= wanted) if gpu is None else gpu
    require(
        not with_gpu or gpus > 0, "--gpu needs a GPU and there is none here; leave it out to stylize on CPUs"
    )
    kind = "GPU" if with_gpu else "CPU"
    slots = sum(int(node.get(kind, 0)) for node in nodes)
    if wanted is not None:
        require(
            wanted <= slots,
            f"--workers {wanted} needs a {kind} each, and there are {slots}; try --workers {max(1, slots)}",
        )
    room = workers_that_fit(nodes, {"CPU": threads or 1, "GPU": float(with_gpu)})
    require(
        threads is None or room >= (wanted or 1),
        f"--threads {threads} needs so many CPUs for each of {counted(wanted or 1, 'worker')}, and there are "
        f"such for {room}; leave it out",
    )
    best = max(1, min(room, most)) if wanted is None else wanted
    fitting = best if with_gpu else min(best, _fit_into_memory(nodes, threads or 1, bytes_each))
    workers = max(1, fitting) if wanted is None else wanted
    cpus = threads or _cpus(nodes, workers, with_gpu)
    return Placement(workers=workers, cpus=cpus, gpu=with_gpu, is_short_of_memory=fitting < best)


def most_bytes_each(nodes: Sequence[Node], wanted: int | None) -> float:
    """The most memory that a worker can have on the machine with the most of it; inf where it is unknown.

    wanted: number of workers that were asked for, which share it.
    """
    memory = max((node.get("memory", 0.0) for node in nodes), default=0.0)
    sharing = math.ceil((wanted or 1) / max(1, len(nodes)))
    return memory * _SHARE_OF_MEMORY / sharing or math.inf


def _cpus(nodes: Sequence[Node], workers: int, with_gpu: bool) -> int:
    """The most CPUs per worker; a ConfigError where there is none for each."""
    cpus = most_cpus_per_worker(nodes, workers, gpus=float(with_gpu))
    if cpus < 1:
        total = sum(int(node.get("CPU", 0)) for node in nodes)
        raise ConfigError(
            f"{workers} workers need a CPU each, and there are {total}; try --workers {max(1, total)}"
        )
    return cpus


def _fit_into_memory(nodes: Sequence[Node], cpus_each: float, bytes_each: int) -> int:
    """How many workers fit; memory does not limit a node where it is unknown."""
    known = [{**node, "memory": node.get("memory") or math.inf} for node in nodes]
    return workers_that_fit(known, {"CPU": cpus_each, "memory": bytes_each / _SHARE_OF_MEMORY})
