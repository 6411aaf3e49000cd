"""Computes how many worker groups fit on the nodes, and how many CPUs and GPUs each worker gets."""

import dataclasses

from common.cluster.placement import most_cpus_per_worker, workers_that_fit
from common.errors import ConfigError, require
from tune.config import SweepConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Capacity:
    """`groups` worker groups of `num_workers` workers, each with `cpus` CPUs and `gpus` GPUs.

    A group starts and continues with as few as `min_workers` while there is no room for all.
    """

    groups: int
    num_workers: int
    min_workers: int
    cpus: int
    gpus: float

    def per_worker(self) -> dict[str, float]:
        """What Ray reserves for one worker."""
        return {"CPU": self.cpus, "GPU": self.gpus} if self.gpus else {"CPU": self.cpus}


def count_groups(nodes: list[dict[str, float]], per_worker: dict[str, float], num_workers: int) -> int:
    """How many worker groups fit at once: floor(workers that fit on all nodes / workers of a group).

    `nodes`: the resources of each node; a worker fits on one node, a group may span several.
    """
    return workers_that_fit(nodes, per_worker) // num_workers


def groups_now(config: SweepConfig, capacity: Capacity, nodes: list[dict[str, float]]) -> int:
    """How many worker groups as in `capacity` a running sweep may have on the present nodes."""
    fitting = count_groups(nodes, capacity.per_worker(), capacity.num_workers)
    return min(fitting, config.concurrent or fitting, config.trials)


def plan(config: SweepConfig, nodes: list[dict[str, float]]) -> Capacity:
    """The worker groups of a sweep on these nodes.

    A worker gets a GPU if there are any, and as many CPUs as leave room for all groups.

    Raises: ConfigError when not even one group fits, or fewer than --concurrent asks for.
    """
    total_cpus = int(sum(node.get("CPU", 0) for node in nodes))
    total_gpus = sum(node.get("GPU", 0) for node in nodes)
    gpus = config.gpus_per_worker if config.gpus_per_worker is not None else float(total_gpus > 0)
    workers = config.workers_per_trial
    wanted = config.concurrent

    cpus = config.cpus_per_worker or _cpu_share(config, nodes, gpus)
    per_worker = {"CPU": cpus, "GPU": gpus} if gpus else {"CPU": float(cpus)}
    fitting = count_groups(nodes, per_worker, workers)
    needs = f"{workers} worker{'s' * (workers > 1)} of {cpus} CPU{'s' * (cpus > 1)}" + (
        f" and {gpus:g} GPU" if gpus else ""
    )
    has = f"{total_cpus} CPUs" + (f" and {total_gpus:g} GPUs" if total_gpus or gpus else "")
    if fitting < 1:
        largest = max((int(node.get("CPU", 0)) for node in nodes), default=0)
        where = f"{len(nodes)} nodes with at most {largest} CPUs" if len(nodes) != 1 else "1 node"
        raise ConfigError(
            f"a trial needs {needs}, and there are {has} on {where}; "
            "lower --workers-per-trial, --cpus-per-worker or --gpus-per-worker"
        )
    require(
        wanted is None or wanted <= fitting or config.scheduler == "pbt",
        f"--concurrent {wanted} trials of {needs} each do not fit on {has}; at most {fitting} do",
    )
    groups = min(fitting, wanted or fitting, config.trials)
    return Capacity(
        groups=groups, num_workers=workers, min_workers=config.worker_counts()[0], cpus=cpus, gpus=gpus
    )


def _cpu_share(config: SweepConfig, nodes: list[dict[str, float]], gpus: float) -> int:
    """CPUs per worker when the user sets none: the most with which all workers fit, at least one."""
    if config.concurrent is None and not gpus:
        # a GAN of this size gains more from a second trial than from a second thread
        return 1
    most = count_groups(nodes, {"CPU": 1, "GPU": gpus}, config.workers_per_trial)
    groups = max(1, min(config.concurrent or most, most, config.trials))
    return max(1, most_cpus_per_worker(nodes, groups * config.workers_per_trial, gpus=gpus))
