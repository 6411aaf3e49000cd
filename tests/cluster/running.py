"""Hosts that are ready for `ray up`, and the cluster that it makes of them, as Ray tells of it."""

import contextlib
import dataclasses
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.cluster import metadata
from tests.cluster.hosts import Host, Lan, lan_of, why_not
from tests.cluster.rehearsal import ROOT

WORKERS = 2
DASHBOARD = "http://127.0.0.1:8265"
_INSTALLS = ("apt-get", "~/uv")
# `ray start` returns before all parts of the dashboard answer
_CURL = "curl -sS --fail --retry 30 --retry-delay 1 --retry-connrefused"


@dataclasses.dataclass(frozen=True)
class Cluster:
    """A head and two workers that `ray up` made one of."""

    lan: Lan
    file: str
    """The cluster's file on the laptop."""

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
        words = command.replace("FILE", self.file)
        return self.lan.laptop.run(f"cd {ROOT} && ray {words}", timeout_s=timeout_s)

    @contextlib.contextmanager
    def tunnel(self) -> Iterator[str]:
        """The dashboard's address on the laptop, by `ray dashboard`."""
        command = self.lan.laptop.words(f"exec ray dashboard {self.file}")
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                ready = f"until curl -s -o /dev/null {DASHBOARD}; do sleep 0.2; done"
                self.lan.laptop.run(ready, timeout_s=60)
                yield DASHBOARD
            finally:
                process.kill()

    def listed(self, what: str, **equal: str) -> list[dict[str, Any]]:
        """The nodes, actors or tasks whose fields are `equal`, as Ray's State API tells on the head.

        `ray list` asks the same, and takes seconds to start.
        """
        filters = [
            pair
            for key, value in equal.items()
            for pair in (("filter_keys", key), ("filter_predicates", "="), ("filter_values", value))
        ]
        query = urlencode([("detail", "1"), ("limit", "1000"), *filters])
        token = '"Authorization: Bearer $(cat ~/.ray/auth_token)"'
        output = self.head.run(f"{_CURL} -H {token} '{DASHBOARD}/api/v0/{what}?{query}'")
        answer = json.loads(output[output.index("{") :])  # behind curl's words about what it tried again
        assert answer["result"], answer
        rows: list[dict[str, Any]] = answer["data"]["result"]["result"]
        return rows

    def alive(self) -> list[str]:
        """Addresses of the living nodes."""
        return sorted(row["node_ip"] for row in self.listed("nodes") if row["state"] == "ALIVE")

    def draining(self) -> list[str]:
        """Ids of the nodes that take nothing new, since they are going to end."""
        connect = "import ray; ray.init('auto', log_to_driver=False, logging_level='ERROR')"
        show = "from ray._private.state import state; print(*state.get_draining_nodes())"
        # Debian's .bashrc ends before our line where nobody types
        python = "RAY_AUTH_MODE=token venv/bin/python"
        return self.head.run(f'{python} -c "{connect}; {show}"').splitlines()[-1].split()

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
        return self._addresses(self.listed("actors", class_name=class_name))

    def hosts_of_tasks(self, name: str) -> list[str]:
        """Where the tasks of a name ran: an address each."""
        return self._addresses(self.listed("tasks", name=name))

    def _addresses(self, rows: list[dict[str, Any]]) -> list[str]:
        address_of = {row["node_id"]: row["node_ip"] for row in self.listed("nodes")}
        return [address_of[row["node_id"]] for row in rows if row["node_id"]]


def wait_until(is_so: Callable[[], bool], timeout_s: float) -> float:
    """Wait, and return for how many seconds."""
    began = time.monotonic()
    while not is_so():
        assert time.monotonic() - began < timeout_s
        time.sleep(0.2)
    return time.monotonic() - began


@contextlib.contextmanager
def lan_for_ray(shared: Path, *, spare: int = 0) -> Iterator[Lan]:
    """A head, two workers, and a laptop with the checkout and a token; skips the test where none can be.

    spare: further hosts.
    """
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with lan_of(1 + WORKERS + spare, shared=shared, visible=[ROOT]) as lan:
        export(lan.laptop, {"PATH": f"{Path(sys.prefix) / 'bin'}:$PATH", "RAY_AUTH_MODE": "token"})
        lan.laptop.write("/root/.ray/auth_token", secrets.token_hex(32))
        yield lan


def equip(host: Host) -> None:
    """Do what the files' commands that install would: ~/venv is this Python and finds the copied package."""
    host.run(f"ln -s {sys.prefix} venv")
    # each host counts this machine's CPUs as its own: a thread that spins while it waits would take another's
    export(host, {"PYTHONPATH": f"{host.home}/artsweep", "OMP_WAIT_POLICY": "passive"})


def serve_metadata(host: Host, address: str, port: int, notice: str) -> None:
    """Let the host have AWS's metadata there: a spot machine's notice once the file `notice` is there."""
    host.write("/run/metadata.py", Path(metadata.__file__).read_text())  # no host sees the checkout
    serve = f"setsid -f {sys.executable} /run/metadata.py {address} {port} {notice}"
    host.run(f"{serve} > /dev/null 2>&1")


def export(host: Host, variables: Mapping[str, str]) -> None:
    """Set variables in every login of the host's user."""
    words = " ".join(f"{name}={value}" for name, value in variables.items())
    host.run(f"echo 'export {words}' >> .bashrc")


def without_installing(config: dict[str, Any]) -> dict[str, Any]:
    """A cluster's file less the commands that install something, whose part is played by `equip`."""
    kept = {
        key: [line for line in config[key] if not any(word in line for word in _INSTALLS)]
        for key in ("initialization_commands", "setup_commands", "head_setup_commands")
        if key in config
    }
    return config | kept
