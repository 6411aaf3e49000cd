"""How many groups fit, against counts made by hand."""

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


def test_a_population_may_be_larger_than_the_machine() -> None:
    assert plan(SweepConfig(scheduler="pbt", trials=8, concurrent=8), LAPTOP).groups == 2
