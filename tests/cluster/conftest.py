"""What the tests of this folder share: `ray up` of `examples/onprem.yaml` on hosts out of namespaces."""

import dataclasses
import json
import secrets
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.hosts import KEY, Host, Lan, lan_of, why_not

ROOT = Path(__file__).parents[2]
FILE = "/root/onprem.yaml"
WORKERS = 2


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A head and two workers that `ray up` made one of."""

    lan: Lan

    @property
    def shared(self) -> Path:
        """The folder that all hosts see as /shared."""
        return self.lan.shared

    @property
    def head(self) -> Host:
        """Where Ray's head runs."""
        return self.lan.hosts[0]

    def ray(self, command: str, *, timeout_s: float = 120) -> str:
        """What `ray <command>` prints on the laptop, FILE for the cluster's file."""
        words = command.replace("FILE", FILE)
        return self.lan.laptop.run(f"cd {ROOT} && ray {words}", timeout_s=timeout_s)

    def listed(self, what: str) -> list[dict[str, Any]]:
        """`ray list <what>`, such as nodes, as Ray's own State API tells on the head."""
        output = self.head.run(f"ray list {what} --detail --limit 1000 --format json")
        # in words when there are none
        rows: list[dict[str, Any]] = json.loads(output[output.index("[") :]) if "[" in output else []
        return rows

    def alive(self) -> list[str]:
        """Addresses of the living nodes."""
        return sorted(row["node_ip"] for row in self.listed("nodes") if row["state"] == "ALIVE")

    def wait_for_nodes(self, count: int, timeout_s: float) -> float:
        """Wait until so many nodes live; returns the seconds that it took."""
        began = time.monotonic()
        while len(alive := self.alive()) != count:
            assert time.monotonic() - began < timeout_s, (
                f"{alive} live after {timeout_s} s, not {count} nodes"
            )
            time.sleep(0.5)
        return time.monotonic() - began

    def hosts_of_actors(self, class_name: str) -> list[str]:
        """Where the actors of a class ran, dead ones too: an address each."""
        return self._addresses(self.listed(f"actors --filter class_name={class_name}"))

    def hosts_of_tasks(self, name: str) -> list[str]:
        """Where the tasks of a name ran: an address each."""
        return self._addresses(self.listed(f"tasks --filter name={name}"))

    def _addresses(self, rows: list[dict[str, Any]]) -> list[str]:
        address_of = {row["node_id"]: row["node_ip"] for row in self.listed("nodes")}
        return [address_of[row["node_id"]] for row in rows if row["node_id"]]


@pytest.fixture(scope="package")
def lan(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lan]:
    """A head, two workers and a laptop, none of which has Ray running."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with lan_of(1 + WORKERS, shared=tmp_path_factory.mktemp("shared"), visible=[ROOT]) as lan:
        for host in lan.hosts:
            # the file's commands that install are left out: the hosts see this Python, and run the package
            # where it was copied to
            host.run(f"ln -s {sys.prefix} venv; echo export PYTHONPATH=/root/artsweep > .bashrc")
        path = f"PATH={Path(sys.prefix) / 'bin'}:$PATH"
        lan.laptop.write("/root/.bashrc", f"export {path} RAY_AUTH_MODE=token\n")
        lan.laptop.write("/root/.ray/auth_token", secrets.token_hex(32))
        lan.laptop.write(FILE, onprem_file(lan))
        yield lan


def onprem_file(lan: Lan) -> str:
    """`examples/onprem.yaml` for these hosts: addresses and credentials replaced, nothing installed."""
    config = yaml.safe_load((ROOT / "examples" / "onprem.yaml").read_text())
    head, *workers = [host.address for host in lan.hosts]
    config["provider"] |= {"head_ip": head, "worker_ips": workers}
    config["auth"] = {"ssh_user": "root", "ssh_private_key": KEY}
    config["setup_commands"] = [line for line in config["setup_commands"] if ".bashrc" in line]
    text: str = yaml.safe_dump(config)
    return text


@pytest.fixture(scope="package")
def cluster(lan: Lan) -> Cluster:
    """The hosts after `ray up`, when all of them have joined."""
    cluster = Cluster(lan)
    cluster.ray("up --yes --no-config-cache FILE", timeout_s=150)
    cluster.wait_for_nodes(1 + WORKERS, timeout_s=150)
    return cluster
