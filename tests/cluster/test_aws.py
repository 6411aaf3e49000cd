"""`cluster.yaml` from `ray up` to `ray down`: machines that AWS starts, a sweep and a batch in a bucket.

AWS is moto's server, and its machines are hosts out of namespaces.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.cluster.rehearsal import AWS, load, make_roles
from tests.cluster.running import WORKERS, Cluster, lan_for_ray, wait_until, without_installing
from tests.cluster.trials import (
    GAN,
    OVER_TWO_HOSTS,
    STYLE,
    TICK,
    TRIALS,
    check_pictures,
    check_sweep,
    paint,
    take,
)
from tests.conftest import Figure
from tune.records.event_reading import read_events
from tune.records.trial_records import collect

pytest.importorskip("moto.server", reason="moto is not installed; `make test-cluster` installs it")
pytest.importorskip("boto3", reason="boto3 is not installed; `make test-cluster` installs it")

from tests.cluster.cloud import REGION, Cloud, cloud_of

pytestmark = [pytest.mark.cluster]

FILE = "/root/cluster.yaml"
BUCKET = "artsweep-results"
TICKS = 3


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An account with the roles and a bucket, as docs/clusters.md wants it, and no machines."""
    with lan_for_ray(tmp_path_factory.mktemp("shared"), spare=1) as lan, cloud_of(lan) as cloud:
        with cloud.client("iam") as iam:
            make_roles(iam)
        with cloud.client("s3") as s3:
            s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        lan.laptop.write(FILE, aws_file())
        yield cloud


def aws_file() -> str:
    """`cluster.yaml` for hosts: private addresses, no GPUs, two workers at once, nothing is installed."""
    config = without_installing(load(AWS))
    config["provider"]["use_internal_ips"] = True
    worker = config["available_node_types"]["gpu_worker"]
    worker["node_config"]["InstanceType"] = "m7i.large"
    worker["min_workers"] = WORKERS
    text: str = yaml.safe_dump(config)
    return text


@pytest.fixture(scope="module")
def cluster(cloud: Cloud) -> Cluster:
    """The machines after `ray up`, when the head has asked for workers and they have joined."""
    Cluster(cloud.lan, FILE).ray("up --yes FILE", timeout_s=150)
    Cluster(cloud.lan, FILE).wait_for_nodes(1 + WORKERS, timeout_s=150)
    return Cluster(cloud.lan, FILE)


@pytest.fixture(scope="module")
def tunnel(cluster: Cluster) -> Iterator[str]:
    """The dashboard's address on the laptop."""
    with cluster.tunnel() as address:
        yield address


def test_a_submitted_sweep_of_pictures_that_travel_with_it_trains_each_trial_on_two_machines_into_the_bucket(
    cloud: Cloud, cluster: Cluster, tunnel: str, tmp_path: Path
) -> None:
    take(cluster.shared / "album" / "photos")
    sweep = f"python -m tune sweep --name job --storage s3://{BUCKET}/sweeps {GAN} --images {TICK * TICKS}"
    flags = f"--data photos --trials {TRIALS} --scheduler none {OVER_TWO_HOSTS}"
    job = f"job submit --address {tunnel} --working-dir /shared/album"
    said = cluster.ray(f"{job} -- {sweep} {flags}", timeout_s=250)
    assert f"images: each of the {1 + WORKERS} nodes decodes" in said
    check_sweep(collect(read_events(cloud.fetch(BUCKET, "sweeps/job", tmp_path))), TICKS)
    hosts = cluster.hosts_of_actors("RayTrainWorker")
    assert len(hosts) == WORKERS == len(set(hosts)), "one worker group, its workers on two machines"


def test_a_submitted_batch_whose_pictures_travel_with_it_is_drawn_by_two_machines_into_the_bucket(
    cloud: Cloud, cluster: Cluster, tunnel: str, tmp_path: Path
) -> None:
    paint(cluster.shared / "pairs", contents=3, styles=2)
    command = f"python -m styletransfer photos paintings s3://{BUCKET}/album {STYLE}"
    cluster.ray(f"job submit --address {tunnel} --working-dir /shared/pairs -- {command}", timeout_s=200)
    check_pictures(cloud.fetch(BUCKET, "album", tmp_path), pairs=6)
    assert len(set(cluster.hosts_of_tasks("StyleWorker.stylize"))) == WORKERS


def test_a_spot_machine_that_aws_takes_is_drained_before_and_replaced_after(
    cloud: Cloud, cluster: Cluster, figure: Figure
) -> None:
    taken = cluster.lan.hosts[-1]
    [node] = cluster.listed("nodes", node_ip=taken.address, state="ALIVE")
    cloud.announce(taken, seconds=120)
    # one that is idle ends itself as soon as it is drained
    wait_until(lambda: node["node_id"] in cluster.draining() or taken.address not in cluster.alive(), 90)
    cloud.take(taken)
    figure("spot machine taken, noticed", wait_until(lambda: taken.address not in cluster.alive(), 60))
    figure("spot machine taken, replaced", cluster.wait_for_nodes(1 + WORKERS, timeout_s=60))
    assert sorted(cloud.states().values()) == ["running"] * (1 + WORKERS) + ["terminated"]


def test_ray_down_terminates_all_machines_and_stops_none(cloud: Cloud, cluster: Cluster) -> None:
    assert list(cloud.states().values()).count("running") == 1 + WORKERS
    cluster.ray("down --yes FILE")
    assert set(cloud.states().values()) == {"terminated"}
