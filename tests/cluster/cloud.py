"""An AWS for hosts out of namespaces: moto's server on the laptop plays the service, and hosts the machines.

Of a machine that it starts, moto has no more than a description. A watcher gives each one a host, which takes
its address and lets in whoever has its key; when the machine is terminated, the host is off.
"""

import contextlib
import dataclasses
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3

from tests.cluster.hosts import Host, Lan, network_of
from tests.cluster.metadata import notice
from tests.cluster.rehearsal import machines
from tests.cluster.running import equip, export, serve_metadata

USER = "ubuntu"
REGION = "us-west-2"
_PORT = 5000
_POLL_S = 0.3
# the network that an account has from the start; its first address is the router's
_ROUTER, _PREFIX = "172.31.0.1", 16
# what every machine knows of itself, on an address that is its own
_METADATA = "169.254.169.254"
_NOTICE = "/run/notice"


class Cloud:
    """An account, and the hosts that its machines got."""

    def __init__(self, lan: Lan) -> None:
        self.environment = {
            "AWS_ENDPOINT_URL": f"http://{lan.laptop.address}:{_PORT}",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }
        self._lan = lan
        self._hosts: dict[str, Host] = {}
        """Id of a machine -> its host, with the machine's address and user."""
        self._free = list(lan.hosts)
        self._is_ending = threading.Event()

    @property
    def lan(self) -> Lan:
        """The laptop and the machines that there have been, the first first."""
        return dataclasses.replace(self._lan, hosts=list(self._hosts.values()))

    @contextlib.contextmanager
    def client(self, service: str) -> Iterator[Any]:
        """boto3's client of a service, for this thread."""
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        session = boto3.Session(*(self.environment[name] for name in names), region_name=REGION)
        client = session.client(service, endpoint_url=self.environment["AWS_ENDPOINT_URL"])
        with network_of(self._lan.laptop), contextlib.closing(client):
            yield client

    def states(self) -> dict[str, str]:
        """Id of a machine -> running or terminated, say; all that there ever were."""
        with self.client("ec2") as ec2:
            return {machine["InstanceId"]: machine["State"]["Name"] for machine in machines(ec2)}

    def announce(self, host: Host, seconds: float) -> None:
        """Say on a spot machine that it will be taken in so many seconds; nothing more is done."""
        dataclasses.replace(host, user="root").write(_NOTICE, notice(seconds))

    def take(self, host: Host) -> None:
        """Terminate the machine whose host this is, as EC2 does when it wants a spot machine back."""
        [name] = [name for name, other in self._hosts.items() if other == host]
        with self.client("ec2") as ec2:
            ec2.terminate_instances(InstanceIds=[name])

    def fetch(self, bucket: str, prefix: str, folder: Path) -> Path:
        """Copy what a bucket holds below a prefix into the folder, and return it."""
        with self.client("s3") as s3:
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
            keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
            for key in keys:
                path = folder / key.removeprefix(f"{prefix}/")
                path.parent.mkdir(parents=True, exist_ok=True)
                if not key.endswith("/"):  # which stands for a folder
                    path.write_bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        return folder

    def watch(self) -> None:
        """Switch hosts on and off as machines come and go, until `end` is called."""
        with self.client("ec2") as ec2:
            on = set()
            while not self._is_ending.wait(_POLL_S):
                for machine in machines(ec2):
                    name, state = machine["InstanceId"], machine["State"]["Name"]
                    if state == "running" and name not in self._hosts:
                        self._hosts[name] = self._switch_on(ec2, machine)
                        on.add(name)
                    elif state == "terminated" and name in on:
                        on.remove(name)
                        # all of a host ends with its process 1
                        os.kill(self._hosts[name].pid, signal.SIGKILL)

    def end(self) -> None:
        """Let `watch` return."""
        self._is_ending.set()

    def _switch_on(self, ec2: Any, machine: dict[str, Any]) -> Host:
        assert self._free, f"there is no host for {machine['InstanceId']}"
        host, address = self._free.pop(0), machine["PrivateIpAddress"]
        [pair] = ec2.describe_key_pairs(KeyNames=[machine["KeyName"]], IncludePublicKey=True)["KeyPairs"]
        host.run(
            f"ip addr flush dev eth0; ip addr add {address}/{_PREFIX} dev eth0; "
            f"ip route add {self._lan.laptop.address} dev eth0"
        )
        host.write("/etc/hosts", f"127.0.0.1 localhost\n{address} {host.name}\n")
        host.run("chmod 644 /etc/hosts")
        host = dataclasses.replace(host, address=address, user=USER)
        host.write(f"{host.home}/.ssh/authorized_keys", pair["PublicKey"] + "\n")
        return host


@contextlib.contextmanager
def cloud_of(lan: Lan) -> Iterator[Cloud]:
    """An AWS without machines, whose first ones will be the lan's hosts, in that order."""
    cloud = Cloud(lan)
    lan.laptop.run(f"ip addr add {_ROUTER}/{_PREFIX} dev lan")
    export(lan.laptop, cloud.environment)
    for host in lan.hosts:
        # as on the images: a user whose password fits nothing, and who is not locked for that
        host.run(f"useradd --create-home --shell /bin/bash --password '*' {USER}")
        host.run(f"ip addr add {_METADATA}/32 dev lo")
        serve_metadata(host, _METADATA, 80, _NOTICE)
        user = dataclasses.replace(host, user=USER)
        equip(user)
        # the keys a real machine has of its profile; and the autoscaler looks every second, not every 5
        export(user, cloud.environment | {"AUTOSCALER_UPDATE_INTERVAL_S": "1"})
    with contextlib.ExitStack() as stack:
        command = lan.laptop.words(f"exec moto_server -H {lan.laptop.address} -p {_PORT}")
        server = stack.enter_context(
            subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )
        stack.callback(server.kill)
        url = cloud.environment["AWS_ENDPOINT_URL"]
        lan.laptop.run(f"until curl -s -o /dev/null {url}/moto-api; do sleep 0.2; done", timeout_s=60)
        watcher = stack.enter_context(ThreadPoolExecutor(1)).submit(cloud.watch)
        try:
            yield cloud
        finally:
            cloud.end()
            watcher.result()
