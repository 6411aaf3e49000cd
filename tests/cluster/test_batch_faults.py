"""What a batch of pictures loses when a machine of its cluster is cut off or its Ray dies."""

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.running import WORKERS, Cluster, wait_until
from tests.cluster.trials import check_pictures, paint
from tests.conftest import Figure

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

CONTENTS, STYLES = 8, 6
# one thread each: two workers of two threads on two hosts that share two cores would wait for each other
STYLE = "--size 32 --iterations 400 --workers 4 --address auto"


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """What the manifest says so far."""
    path = folder / "manifest.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def batch_with_fault(cluster: Cluster, name: str, fault: Callable[[], object]) -> float:
    """Stylize pairs on two hosts amid a fault; returns after how many seconds a lost pair was done again."""
    cluster.wait_for_nodes(1 + WORKERS, timeout_s=150)
    paint(cluster.shared / name, contents=CONTENTS, styles=STYLES)
    out = cluster.shared / name / "out"
    command = f"cd artsweep && python -m styletransfer /shared/{name}/photos /shared/{name}/paintings"
    with subprocess.Popen(
        cluster.head.words(f"{command} /shared/{name}/out {STYLE}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as batch:
        wait_until(lambda: len(lines_of(out)) >= 4, 150)
        began = time.time()
        fault()
        output, _ = batch.communicate(timeout=300)
    assert batch.returncode == 0, output
    check_pictures(out, pairs=CONTENTS * STYLES)
    again = [line["time"] - began for line in lines_of(out) if line["notes"]]
    assert {note for line in lines_of(out) for note in line["notes"]} == {
        "its machine was lost: stylized again"
    }
    assert len(again) == 2, "what the two workers of the lost host were working on"
    return min(again)


def test_a_killed_raylet_costs_a_batch_no_pair(cluster: Cluster, figure: Figure) -> None:
    host = cluster.lan.hosts[-1]
    kill = "kill -KILL $(pgrep -x raylet)"
    figure("killed raylet, batch", batch_with_fault(cluster, "raylet_batch", lambda: host.run(kill)))


def test_a_host_that_is_cut_off_for_good_costs_a_batch_no_pair(cluster: Cluster, figure: Figure) -> None:
    host = cluster.lan.hosts[-1]
    try:
        seconds = batch_with_fault(cluster, "cut_batch", lambda: cluster.lan.set_link(host, is_up=False))
        figure("link down, batch", seconds)
    finally:
        cluster.lan.set_link(host, is_up=True)
