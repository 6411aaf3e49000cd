"""What a running sweep loses when a machine of its cluster is cut off or its Ray dies."""

import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.metadata import notice
from tests.cluster.running import DASHBOARD, WORKERS, Cluster, serve_metadata, wait_until
from tests.cluster.trials import GAN, TICK
from tests.conftest import Figure
from tests.tune.driver.test_trouble import standstill_s
from tune.records.event_reading import read_events
from tune.records.trial_records import Trial, collect

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

NOTICE_S = 20  # AWS gives 120
MOST_SECONDS_TO_GO_ON = 30
"""What a machine that is gone may cost. Later the test's own is back, and would hide that a trial waits."""
PLACED = "--scheduler none --workers-per-trial 2 --cpus-per-worker 1 --storage /shared"
FLAGS = f"--data shapes {GAN} --trials 2 {PLACED} --address auto"


@contextlib.contextmanager
def running_sweep(
    cluster: Cluster, name: str, *, ticks: int = 120
) -> Iterator[Callable[[], dict[int, Trial]]]:
    """A sweep of two trials, each on a host of its own; waits for its end and checks that nothing is lost."""
    cluster.wait_for_nodes(1 + WORKERS, timeout_s=150)
    folder = cluster.shared / name

    def trials() -> dict[int, Trial]:
        return collect(read_events(folder))

    command = f"cd artsweep && python -m tune sweep --name {name} --images {TICK * ticks} {FLAGS}"
    with subprocess.Popen(
        cluster.head.words(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as sweep:
        wait_until(lambda: sum(len(trial.ticks) >= 5 for trial in trials().values()) == 2, 120)
        yield trials
        output, _ = sweep.communicate(timeout=200)
    if sweep.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL):
        output = cluster.head.run(
            f"cd artsweep && python -m tune resume /shared/{name} --address auto", timeout_s=200
        )
    else:
        assert sweep.returncode == 0, output
    for trial in trials().values():
        assert trial.state == "completed", output
        seen = [tick.images_seen for tick in trial.valid_ticks()]
        assert seen == [TICK * tick for tick in range(1, ticks + 1)], "no tick is missing"
        assert len(trial.ticks) - ticks <= 2, (
            "at most the tick under way, and one unsaved, were trained twice"
        )


def seconds_to_go_on(trials: Callable[[], dict[int, Trial]]) -> float:
    """Wait, but not too long, until a trial was tried again and has gone on; returns after how long."""
    return wait_until(
        lambda: any(trial.attempt > 0 and trial.ticks[-1][0] > 0 for trial in trials().values()),
        MOST_SECONDS_TO_GO_ON,
    )


def test_a_killed_raylet_costs_its_trial_no_finished_tick(cluster: Cluster, figure: Figure) -> None:
    with running_sweep(cluster, "raylet") as trials:
        cluster.lan.hosts[-1].run("kill -KILL $(pgrep -x raylet)")
        figure("killed raylet", seconds_to_go_on(trials))


def test_a_host_that_is_cut_off_for_25_s_costs_its_trial_no_finished_tick(
    cluster: Cluster, figure: Figure
) -> None:
    host = cluster.lan.hosts[-1]
    with running_sweep(cluster, "flaky") as trials:
        cluster.lan.set_link(host, is_up=False)
        back = threading.Timer(25, cluster.lan.set_link, args=[host], kwargs={"is_up": True})
        back.start()
        try:
            figure("link down for 25 s", seconds_to_go_on(trials))
        finally:
            back.join()


def test_a_host_that_is_cut_off_for_good_costs_its_trial_no_finished_tick(
    cluster: Cluster, figure: Figure
) -> None:
    host = cluster.lan.hosts[-1]
    try:
        with running_sweep(cluster, "cut") as trials:
            cluster.lan.set_link(host, is_up=False)
            figure("link down", seconds_to_go_on(trials))
    finally:
        cluster.lan.set_link(host, is_up=True)


def test_a_host_whose_end_was_announced_costs_its_trial_no_finished_tick(
    cluster: Cluster, figure: Figure
) -> None:
    host = cluster.lan.hosts[-1]
    serve_metadata(host, "127.0.0.1", 8169, "/run/notice")
    endpoint = "AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:8169"
    host.run(f"cd artsweep && {endpoint} setsid -f python -m common.cluster.spot_notice > /run/said 2>&1")
    with running_sweep(cluster, "spot", ticks=300) as trials:
        ends = time.monotonic() + NOTICE_S
        host.write("/run/notice", notice(seconds=NOTICE_S))
        wait_until(lambda: "Ray drains it" in host.run("cat /run/said"), NOTICE_S)
        before = {number: len(trial.ticks) for number, trial in trials().items()}
        time.sleep(max(0.0, ends - time.monotonic()))
        assert all(len(trial.ticks) > before[number] for number, trial in trials().items()), "both went on"
        host.run("pkill -KILL -f ray")
        figure("spot machine taken after its notice", seconds_to_go_on(trials))


def test_a_killed_driver_on_the_head_loses_no_finished_tick_and_resume_goes_on(
    cluster: Cluster, figure: Figure
) -> None:
    with running_sweep(cluster, "driver") as trials:
        cluster.head.run("kill -KILL $(pgrep -f 'python -m tune [s]weep')")
    figure("driver on the head killed, resumed", standstill_s(trials()))


def test_a_job_that_is_stopped_saves_everything_and_says_how_to_go_on(
    cluster: Cluster, figure: Figure
) -> None:
    cluster.wait_for_nodes(1 + WORKERS, timeout_s=150)
    sweep = f"tune sweep --name stopped --data shapes {GAN} --images {TICK * 1000} --trials 2 {PLACED}"
    submit, stop, logs = (f"ray job {verb} --address {DASHBOARD}" for verb in ("submit", "stop", "logs"))
    cluster.head.run(f"{submit} --no-wait --submission-id stopped -- python -m {sweep}")
    folder = cluster.shared / "stopped"
    wait_until(lambda: any(len(trial.ticks) >= 5 for trial in collect(read_events(folder)).values()), 120)
    began = time.monotonic()
    cluster.head.run(f"{stop} stopped", timeout_s=90)
    figure("job stopped", time.monotonic() - began)
    said = cluster.head.run(f"{logs} stopped")
    assert (
        "stopped by SIGTERM; everything is saved: "
        "resume with python -m tune resume /shared/stopped --address auto"
    ) in said
