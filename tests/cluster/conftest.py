"""What the tests of this folder share: `ray up` of `examples/onprem.yaml` on hosts out of namespaces."""

from collections.abc import Iterator

import pytest
import yaml

from tests.cluster.hosts import KEY, Lan
from tests.cluster.rehearsal import ONPREM, load
from tests.cluster.running import WORKERS, Cluster, equip, export, lan_for_ray, without_installing

FILE = "/root/onprem.yaml"


@pytest.fixture(scope="module")
def patience_s() -> int:
    """How long workers wait for their head when they have lost it, half as long as Ray's default."""
    return 30


@pytest.fixture(scope="module")
def lan(tmp_path_factory: pytest.TempPathFactory, patience_s: int) -> Iterator[Lan]:
    """A head, two workers and a laptop, none of which has Ray running."""
    with lan_for_ray(tmp_path_factory.mktemp("shared")) as lan:
        for host in lan.hosts:
            equip(host)
            export(host, {"RAY_gcs_rpc_server_reconnect_timeout_s": str(patience_s)})
        lan.laptop.write(FILE, onprem_file(lan))
        yield lan


def onprem_file(lan: Lan) -> str:
    """`examples/onprem.yaml` for these hosts: addresses and credentials replaced, nothing installed."""
    config = without_installing(load(ONPREM))
    head, *workers = [host.address for host in lan.hosts]
    config["provider"] |= {"head_ip": head, "worker_ips": workers}
    config["auth"] = {"ssh_user": "root", "ssh_private_key": KEY}
    text: str = yaml.safe_dump(config)
    return text


@pytest.fixture(scope="module")
def cluster(lan: Lan) -> Cluster:
    """The hosts after `ray up`, when all of them have joined."""
    cluster = Cluster(lan, FILE)
    cluster.ray("up --yes --no-config-cache FILE", timeout_s=150)
    cluster.wait_for_nodes(1 + WORKERS, timeout_s=150)
    return cluster
