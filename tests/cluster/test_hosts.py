"""The hosts out of namespaces themselves, before Ray runs on them."""

import json
from pathlib import Path

import pytest

from tests.cluster.hosts import Host
from tests.cluster.running import lan_for_ray

pytestmark = pytest.mark.cluster


def test_the_laptop_keeps_its_address_on_the_wire_whichever_hosts_come_and_go(tmp_path: Path) -> None:
    with lan_for_ray(tmp_path) as lan:
        before = address_of(lan.laptop)
        # a bridge without an address of its own would take this, the lowest
        lan.laptop.run("ip link add low address 00:00:00:00:00:02 type veth peer name end")
        lan.laptop.run("ip link set low master lan")
        assert address_of(lan.laptop) == before


def address_of(laptop: Host) -> str:
    """The link's address, of 6 bytes, to which the hosts send what is for the laptop."""
    [link] = json.loads(laptop.run("ip -j link show lan"))
    address: str = link["address"]
    return address
