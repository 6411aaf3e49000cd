"""A sweep on a cluster whose nodes join and leave while it runs; on one machine, with several raylets."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.tune.driver.test_trouble import TICK, seen, start, sweep_command, ticks_of, trials_of
from tests.waiting import HANGS_AFTER_S, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cache")]

Order = Callable[[str], int]
TICKS = 300  # per trial: it must outlast the start of a node's workers

# in a process of its own: Ray 2.60's test cluster leaves sockets open
CLUSTER = """
import sys
import ray
from ray._private.state import actors
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
ray.init(cluster.address, log_to_driver=False)
others = []
print("address", cluster.address, flush=True)
for line in sys.stdin:
    if line == "join\\n":
        others.append(cluster.add_node(num_cpus=1))
    elif line == "leave\\n":
        cluster.remove_node(others.pop(), allow_graceful=False)
    found = [each for each in actors().values() if "RayTrainWorker" in each["ActorClassName"]]
    print(sum(each["State"] == "ALIVE" for each in found), flush=True)
cluster.shutdown()
"""


@pytest.fixture
def cluster() -> Iterator[tuple[str, Order]]:
    """Address of a cluster of one node with a CPU, and a way to let others join and leave.

    An order returns how many workers there are after it.
    """
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        requests, replies = process.stdin, process.stdout
        address = next(line.split()[1] for line in replies if line.startswith("address "))

        def order(what: str) -> int:
            requests.write(f"{what}\n")
            requests.flush()
            return int(next(line for line in replies if line.strip().isdigit()))

        yield address, order


def test_nodes_that_join_get_trials_and_those_that_leave_lose_none(
    tmp_path: Path, cluster: tuple[str, Order]
) -> None:
    address, order = cluster
    folder = tmp_path / "sweep"
    driver = start([*sweep_command(tmp_path, trials=3, images=TICKS * TICK), "--address", address])

    def under_way() -> int:
        return sum(trial.state == "running" for trial in trials_of(folder).values())

    wait_for(lambda: ticks_of(folder) >= 5)
    assert under_way() == 1, "one CPU, one trial"
    order("join")
    wait_for(lambda: order("count") == 2)
    wait_for(lambda: under_way() == 2)  # its actor may come later than its workers
    before = ticks_of(folder)
    wait_for(lambda: ticks_of(folder) >= before + 6)
    order("leave")
    out, err = driver.communicate(timeout=HANGS_AFTER_S)
    assert driver.returncode == 0, err
    found = trials_of(folder)
    assert [trial.state for trial in found.values()] == ["completed"] * 3, out
    for trial in found.values():
        assert seen(trial) == [TICK * tick for tick in range(1, TICKS + 1)], "no tick is missing"
        assert len(trial.ticks) - len(trial.valid_ticks()) <= trial.attempt, "one tick for each death"


def test_a_trial_whose_node_left_continues_with_fewer_workers_if_that_was_asked_for(
    tmp_path: Path, cluster: tuple[str, Order]
) -> None:
    address, order = cluster
    folder = tmp_path / "sweep"
    order("join")
    flags = ["--address", address, "--workers-per-trial", "2", "--min-workers", "1"]
    driver = start([*sweep_command(tmp_path, trials=1, images=60 * TICK), *flags])
    wait_for(lambda: ticks_of(folder) >= 10)
    assert order("count") == 2
    order("leave")
    wait_for(lambda: trials_of(folder)[0].attempt == 1 and order("count") == 1)
    out, err = driver.communicate(timeout=HANGS_AFTER_S)
    assert driver.returncode == 0, err
    [trial] = trials_of(folder).values()
    assert trial.state == "completed", out
    assert seen(trial) == [TICK * tick for tick in range(1, 61)], "no tick is missing"
    assert len(trial.ticks) - len(trial.valid_ticks()) <= 1
