"""How many workers stylize at the same time, and how many CPUs and GPUs each gets; pure."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from common.errors import ConfigError, require
from common.text import counted

_SHARE_OF_MEMORY = 0.9
_MEMORY_FILES = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


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
    nodes: Sequence[Mapping[str, float]], *, wanted: int | None, gpu: bool | None, most: int, bytes_each: int
) -> Placement:
    """The placement on `nodes`, each a table of its CPU, GPU and memory in bytes.

    wanted: number of workers; None: one per GPU if there are any and `gpu` is not False, else one per core,
    at most `most`, and no more than memory allows, where it is known. gpu: None uses GPUs if there are any.

    Raises: ConfigError when so many workers can never be placed.
    """
    gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    with_gpu = gpus > 0 and (wanted is None or gpus >= wanted) if gpu is None else gpu
    require(
        not with_gpu or gpus > 0, "--gpu needs a GPU and there is none here; leave it out to stylize on CPUs"
    )
    kind = "GPU" if with_gpu else "CPU"
    slots = [int(node.get(kind, 0)) for node in nodes]
    if wanted is not None:
        require(
            wanted <= sum(slots),
            f"--workers {wanted} needs a {kind} each, and there are {sum(slots)}; "
            f"try --workers {max(1, sum(slots))}",
        )
    best = max(1, min(sum(slots), most)) if wanted is None else wanted
    fitting = best if with_gpu else min(best, _fitting(nodes, slots, bytes_each))
    workers = max(1, fitting) if wanted is None else wanted
    cpus = _cpus(nodes, workers, with_gpu)
    return Placement(workers=workers, cpus=cpus, gpu=with_gpu, is_short_of_memory=fitting < best)


def free_memory_bytes() -> int:
    """Memory that new processes on this machine can have, within a container's limit; 0 where unknown."""
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


def _fitting(nodes: Sequence[Mapping[str, float]], slots: Sequence[int], bytes_each: int) -> int:
    """For how many workers there is enough memory."""
    count = 0
    for node, most in zip(nodes, slots, strict=True):
        memory = node.get("memory", 0)
        count += min(most, int(memory * _SHARE_OF_MEMORY // max(1, bytes_each))) if memory else most
    return count


def _cpus(nodes: Sequence[Mapping[str, float]], workers: int, with_gpu: bool) -> int:
    """The most CPUs per worker with which all of them can be placed."""
    cpus = [int(node.get("CPU", 0)) for node in nodes]
    for share in range(sum(cpus) // workers, 0, -1):
        fitting = sum(
            min(have // share, int(node.get("GPU", 0)) if with_gpu else have)
            for node, have in zip(nodes, cpus, strict=True)
        )
        if fitting >= workers:
            return share
    raise ConfigError(
        f"{workers} workers need a CPU each, and there are {sum(cpus)}; try --workers {max(1, sum(cpus))}"
    )
