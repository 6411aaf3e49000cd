"""How many workers fit and how many CPUs each gets, against counts by hand and an exhaustive search."""

import itertools

import pytest

from common.cluster.placement import (
    Resources,
    free_memory_bytes,
    most_cpus_per_worker,
    share_resources,
    workers_that_fit,
)
from common.errors import ConfigError

CLUSTER: list[dict[str, float]] = [{"CPU": 4}, {"CPU": 16, "GPU": 2}, {"CPU": 16, "GPU": 2}]


def fits(nodes: list[dict[str, float]], workers: int, cpus: int, gpus: float) -> bool:
    """Whether some distribution of the workers over the nodes respects every node, by trying all of them."""
    ways = itertools.product(range(workers + 1), repeat=len(nodes))
    return any(
        sum(way) == workers
        and all(
            share * cpus <= node.get("CPU", 0) and share * gpus <= node.get("GPU", 0)
            for share, node in zip(way, nodes, strict=True)
        )
        for way in ways
    )


@pytest.mark.parametrize(
    ("nodes", "per_worker", "fitting"),
    [
        (CLUSTER, {"CPU": 1}, 36),
        (CLUSTER, {"CPU": 4, "GPU": 1}, 4),
        (CLUSTER, {"CPU": 9, "GPU": 1}, 2),
        (CLUSTER, {"CPU": 1, "GPU": 0.25}, 16),
        (CLUSTER, {"CPU": 1, "GPU": 0}, 36),
        ([{"CPU": 8, "GPU": 1}], {"GPU": 1 / 3}, 3),
        ([{"CPU": 3}, {"CPU": 3}], {"CPU": 2}, 2),  # the spare CPUs are on different nodes
        ([{"CPU": 8, "memory": 10.0}, {"CPU": 8, "memory": float("inf")}], {"CPU": 1, "memory": 3.0}, 11),
        ([{"CPU": 0.5}, {}], {"CPU": 1}, 0),
        ([], {"CPU": 1}, 0),
    ],
)
def test_workers_that_fit_are_those_of_each_node(
    nodes: list[dict[str, float]], per_worker: dict[str, float], fitting: int
) -> None:
    assert workers_that_fit(nodes, per_worker) == fitting


@pytest.mark.parametrize("gpus", [0, 0.5, 1])
@pytest.mark.parametrize("workers", [1, 2, 3, 5])
@pytest.mark.parametrize("cpus", [*itertools.product([0, 1, 3, 8], repeat=2)])
def test_the_most_cpus_are_those_with_which_a_placement_exists(
    cpus: tuple[int, int], workers: int, gpus: float
) -> None:
    nodes: list[dict[str, float]] = [{"CPU": cpus[0], "GPU": 2.0}, {"CPU": cpus[1], "GPU": 1.0}]
    possible = [each for each in range(1, 17) if fits(nodes, workers, each, gpus)]
    assert most_cpus_per_worker(nodes, workers, gpus=gpus) == max(possible, default=0)


def test_the_free_memory_of_this_machine_is_a_plausible_number() -> None:
    assert 2**26 < free_memory_bytes() < 2**50


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("workers", [1, 2, 3, 5])
@pytest.mark.parametrize("cpus", [*itertools.product([1, 3, 8], repeat=2)])
def test_a_worker_gets_the_most_cpus_that_can_be_placed(
    cpus: tuple[int, int], workers: int, gpu: bool
) -> None:
    nodes: list[dict[str, float]] = [{"CPU": cpus[0], "GPU": 2.0}, {"CPU": cpus[1], "GPU": 1.0}]
    possible = [share for share in range(1, 17) if fits(nodes, workers, share, int(gpu))]
    if possible:
        assert share_resources(nodes, workers, gpu) == Resources(workers=workers, cpus=max(possible), gpu=gpu)
    else:
        with pytest.raises(ConfigError, match=f"--workers {workers} "):
            share_resources(nodes, workers, gpu)


def test_a_gpu_is_of_use_only_where_a_cpu_is_beside_it() -> None:
    nodes: list[dict[str, float]] = [{"CPU": 8}, {"CPU": 1, "GPU": 2}]
    assert share_resources(nodes, 2, None) == Resources(workers=2, cpus=4, gpu=False)
    with pytest.raises(ConfigError, match="a CPU each beside its GPU, and there are 1; try --workers 1"):
        share_resources(nodes, 2, True)
    assert share_resources(nodes, 1, True) == Resources(workers=1, cpus=1, gpu=True)


@pytest.mark.parametrize(("share", "fitting"), [(0.6, 2), (0.5, 4), (0.3, 6), (1 / 3, 6), (1, 2), (2, 1)])
def test_a_fraction_of_a_gpu_lies_on_one_gpu(share: float, fitting: int) -> None:
    assert workers_that_fit([{"CPU": 16, "GPU": 2}], {"CPU": 1, "GPU": share}) == fitting


def test_without_a_flag_gpus_are_used_only_when_each_worker_gets_one() -> None:
    nodes: list[dict[str, float]] = [{"CPU": 8, "GPU": 2}]
    assert share_resources(nodes, 2, None) == Resources(workers=2, cpus=4, gpu=True)
    assert share_resources(nodes, 4, None) == Resources(workers=4, cpus=2, gpu=False)


@pytest.mark.parametrize(
    ("workers", "gpu", "message"),
    [
        (3, None, "--workers 3 needs a CPU each, and there are 2; try --workers 2"),
        (1, True, "--gpu needs a GPU and there is none here"),
        (0, None, "--workers must be at least 1, not 0"),
    ],
)
def test_more_workers_than_fit_are_refused_in_one_line(workers: int, gpu: bool | None, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        share_resources([{"CPU": 2}], workers, gpu)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)
