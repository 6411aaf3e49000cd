"""How many CPUs a worker is given, against counting by hand and against a search that tries everything."""

import itertools

import pytest

from common.cluster.placement import Resources, share_resources
from common.errors import ConfigError


def fits(nodes: list[dict[str, float]], workers: int, cpus: int, gpus: int) -> bool:
    """Whether some way to spread the workers over the nodes respects every node, by trying all of them."""
    ways = itertools.product(range(workers + 1), repeat=len(nodes))
    return any(
        sum(way) == workers
        and all(
            share * cpus <= node.get("CPU", 0) and share * gpus <= node.get("GPU", 0)
            for share, node in zip(way, nodes, strict=True)
        )
        for way in ways
    )


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


def test_gpus_are_taken_unasked_only_when_each_worker_gets_one() -> None:
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
def test_more_than_there_is_is_refused_in_one_line(workers: int, gpu: bool | None, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        share_resources([{"CPU": 2}], workers, gpu)
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)
