"""How many groups fit, against counts made by hand."""

import itertools

import pytest

from common.errors import ConfigError
from tune.config import SweepConfig
from tune.worker_groups.capacity import count_groups, groups_now, plan

LAPTOP = [{"CPU": 2.0}]
CLUSTER = [{"CPU": 4.0}, {"CPU": 16.0, "GPU": 2.0}, {"CPU": 16.0, "GPU": 2.0}]


@pytest.mark.parametrize(
    ("nodes", "per_worker", "workers", "groups"),
    [
        (LAPTOP, {"CPU": 1}, 1, 2),
        (LAPTOP, {"CPU": 1}, 2, 1),
        (LAPTOP, {"CPU": 1}, 3, 0),
        (CLUSTER, {"CPU": 4, "GPU": 1}, 2, 2),
        (CLUSTER, {"CPU": 1, "GPU": 0.25}, 1, 16),
        ([{"CPU": 3.0}, {"CPU": 3.0}], {"CPU": 2}, 2, 1),  # a worker does not span nodes, a group may
        ([], {"CPU": 1}, 1, 0),
    ],
)
def test_groups_are_the_workers_that_fit_over_those_of_a_trial(
    nodes: list[dict[str, float]], per_worker: dict[str, float], workers: int, groups: int
) -> None:
    assert count_groups(nodes, per_worker, workers) == groups


def test_cpus_are_shared_evenly_when_the_user_says_how_many_trials() -> None:
    assert plan(SweepConfig(concurrent=1), [{"CPU": 8.0}]).cpus == 8
    assert plan(SweepConfig(concurrent=2), [{"CPU": 2.0}] * 3).cpus == 2, "not 6 // 2: no node has 3"
    capacity = plan(SweepConfig(concurrent=2, workers_per_trial=2), [{"CPU": 8.0}])
    assert (capacity.groups, capacity.cpus) == (2, 2)


def test_a_gpu_node_gives_each_worker_a_gpu_and_its_share_of_cpus() -> None:
    capacity = plan(SweepConfig(), CLUSTER)
    assert (capacity.groups, capacity.cpus, capacity.gpus) == (4, 8, 1.0)
    assert capacity.per_worker() == {"CPU": 8, "GPU": 1.0}


def test_no_more_groups_than_trials_are_started() -> None:
    assert plan(SweepConfig(trials=3), [{"CPU": 64.0}]).groups == 3


def test_a_running_sweep_may_have_more_groups_of_the_same_kind_where_nodes_join() -> None:
    config = SweepConfig(workers_per_trial=2, trials=9)
    capacity = plan(config, [{"CPU": 4.0}])
    assert capacity.groups == 2
    assert groups_now(config, capacity, [{"CPU": 4.0}, {"CPU": 3.0}]) == 3
    assert groups_now(config, capacity, [{"CPU": 64.0}]) == 9, "no more than trials"
    assert groups_now(config, capacity, []) == 0
    bounded = SweepConfig(workers_per_trial=2, concurrent=2)
    assert groups_now(bounded, plan(bounded, [{"CPU": 4.0}]), [{"CPU": 64.0}]) == 2


def test_a_group_needs_room_for_all_its_workers_at_first_and_for_the_fewest_later() -> None:
    config = SweepConfig(workers_per_trial=2, min_workers=1)
    capacity = plan(config, [{"CPU": 2.0}])
    assert (capacity.num_workers, capacity.min_workers) == (2, 1)
    assert plan(SweepConfig(workers_per_trial=2), [{"CPU": 2.0}]).min_workers == 2
    with pytest.raises(ConfigError, match="needs 2 workers"):
        plan(config, [{"CPU": 1.0}])


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (
            SweepConfig(workers_per_trial=4),
            "needs 4 workers of 1 CPU, and there are 2",
        ),
        (SweepConfig(gpus_per_worker=1), "1 GPU, and there are 2 CPUs and 0 GPUs"),
        (SweepConfig(cpus_per_worker=3), "needs 1 worker of 3 CPUs"),
        (SweepConfig(concurrent=3), "--concurrent 3 trials of 1 worker of 1 CPU each do not fit"),
    ],
)
def test_asking_for_more_than_there_is_is_said_at_once(config: SweepConfig, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        plan(config, LAPTOP)


def fits(nodes: list[dict[str, float]], workers: int, cpus: int, gpus: int) -> bool:
    """Whether the workers can be packed, by placing one after the other on every node that has room."""
    if workers == 0:
        return True
    return any(
        node["CPU"] >= cpus
        and node["GPU"] >= gpus
        and fits(
            [
                {"CPU": other["CPU"] - cpus * (one == two), "GPU": other["GPU"] - gpus * (one == two)}
                for two, other in enumerate(nodes)
            ],
            workers - 1,
            cpus,
            gpus,
        )
        for one, node in enumerate(nodes)
    )


@pytest.mark.parametrize(
    ("nodes", "concurrent", "workers", "cpus"),
    [
        ([{"CPU": 4, "GPU": 0}] * 2, 1, 1, 4),
        ([{"CPU": 4, "GPU": 0}] * 2, 1, 2, 4),
        ([{"CPU": 16, "GPU": 0}] * 3, 2, 1, 16),
        ([{"CPU": 16, "GPU": 0}] * 3, 1, 2, 16),
        ([{"CPU": 4, "GPU": 1}] * 4, 2, 1, 4),
        ([{"CPU": 4, "GPU": 1}] * 4, 1, 2, 4),
        ([{"CPU": 4, "GPU": 1}] * 4, None, 2, 4),
        ([{"CPU": 2, "GPU": 2}, {"CPU": 9, "GPU": 1}], None, 1, 1),
        ([{"CPU": 1, "GPU": 4}], None, 1, 1),
    ],
)
def test_the_borders_of_nodes_are_respected(
    nodes: list[dict[str, float]], concurrent: int | None, workers: int, cpus: int
) -> None:
    capacity = plan(SweepConfig(concurrent=concurrent, workers_per_trial=workers), nodes)
    gpus = int(any(node["GPU"] for node in nodes))
    assert capacity.cpus == cpus and capacity.gpus == gpus
    total = capacity.groups * workers
    assert fits(nodes, total, capacity.cpus, gpus)
    assert not fits(nodes, total, capacity.cpus + 1, gpus), "no CPU is left idle"


@pytest.mark.parametrize("gpus", [0, 1])
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("concurrent", [None, 1, 2, 3])
@pytest.mark.parametrize("cpus", [*itertools.product([1, 3, 4], repeat=3)])
def test_a_plan_can_always_be_packed_and_is_only_refused_when_it_cannot(
    cpus: tuple[int, ...], concurrent: int | None, workers: int, gpus: int
) -> None:
    nodes: list[dict[str, float]] = [{"CPU": count, "GPU": gpus} for count in cpus]
    wanted = (concurrent or 1) * workers
    try:
        capacity = plan(SweepConfig(concurrent=concurrent, workers_per_trial=workers), nodes)
    except ConfigError:
        assert not fits(nodes, wanted, 1, gpus)
        return
    total = capacity.groups * workers
    assert total >= wanted and fits(nodes, total, capacity.cpus, gpus)
    if concurrent is not None or gpus:
        assert not fits(nodes, total, capacity.cpus + 1, gpus)


def test_a_fraction_of_a_gpu_lies_on_one_gpu() -> None:
    nodes = [{"CPU": 8.0, "GPU": 2.0}]
    assert plan(SweepConfig(gpus_per_worker=0.6), nodes).groups == 2, "not 2 / 0.6 = 3"
    assert plan(SweepConfig(gpus_per_worker=0.4), nodes).groups == 4
    assert plan(SweepConfig(gpus_per_worker=0.5), nodes).groups == 4


def test_a_worker_that_is_larger_than_any_node_is_told_how_large_they_are() -> None:
    with pytest.raises(ConfigError, match="there are 8 CPUs on 2 nodes with at most 4 CPUs"):
        plan(SweepConfig(cpus_per_worker=8), [{"CPU": 4.0}] * 2)


def test_a_population_may_be_larger_than_the_machine() -> None:
    assert plan(SweepConfig(scheduler="pbt", trials=8, concurrent=8), LAPTOP).groups == 2
