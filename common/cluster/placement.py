"""How many CPUs and GPUs a worker of one run is given; a pure decision from what the machines have."""

import dataclasses

from common.errors import ConfigError, require


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resources:
    """What Ray reserves: `workers` workers of `cpus` CPUs each, and a GPU each if `gpu`."""

    workers: int
    cpus: int
    gpu: bool

    def per_worker(self) -> dict[str, float]:
        """In Ray's terms."""
        return {"CPU": self.cpus, "GPU": 1} if self.gpu else {"CPU": self.cpus}


def share_resources(nodes: list[dict[str, float]], workers: int, gpu: bool | None) -> Resources:
    """The most CPUs a worker that can be placed `workers` times on `nodes`, each a table of its resources.

    `gpu` None takes one GPU a worker when there are enough, else none.

    Raises: ConfigError when so many workers can never be placed.
    """
    require(workers >= 1, f"--workers must be at least 1, not {workers}; try 1")
    gpus = sum(int(node.get("GPU", 0)) for node in nodes)
    with_gpu = gpus >= workers if gpu is None else gpu
    require(
        not with_gpu or gpus > 0, "--gpu needs a GPU and there is none here; leave it out to train on CPUs"
    )
    require(
        not with_gpu or gpus >= workers,
        f"--workers {workers} with --gpu needs a GPU each, and there are {gpus}; try --workers {gpus}",
    )
    cpus = int(sum(node.get("CPU", 0) for node in nodes))
    for share in range(cpus // workers, 0, -1):
        fitting = sum(
            min(int(node.get("CPU", 0)) // share, int(node.get("GPU", 0)) if with_gpu else cpus)
            for node in nodes
        )
        if fitting >= workers:
            return Resources(workers=workers, cpus=share, gpu=with_gpu)
    raise ConfigError(
        f"--workers {workers} needs a CPU each, and there are {cpus}; try --workers {max(cpus, 1)}"
    )
