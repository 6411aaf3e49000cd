"""The ports on which a host listens to others, and what they answer; it is `stranger` who asks."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.cluster.hosts import Host

STRANGER = Path(__file__).with_name("stranger.py")
Answers = Mapping[str, Sequence[str]]
"""Address -> the questions that were answered there."""


class Port(NamedTuple):
    """A port that others can reach, and the process that listens on it."""

    address: str
    process: str


def listening(host: Host) -> list[Port]:
    """All TCP ports of a host but those on its loopback."""
    ports = []
    for line in host.run("ss -ltnpH").splitlines():
        interface, _, number = line.split()[3].rpartition(":")
        if not re.search(r"\[?(::ffff:)?127\.|\[::1\]", interface):
            [process] = re.findall(r'users:\(\("([^"]+)"', line)
            ports.append(Port(f"{host.address}:{number}", process))
    return sorted(set(ports))


def questions_answered(asker: Host, ports: Sequence[Port]) -> tuple[Answers, Answers]:
    """What `stranger` is answered from another host, without and with the token that lies there."""
    addresses = " ".join(dict.fromkeys(port.address for port in ports))
    command = f"python {shlex.quote(str(STRANGER))} {addresses} < .ray/auth_token 2>/dev/null"
    by_stranger, by_friend = json.loads(asker.run(f"unset RAY_AUTH_MODE; {command}", timeout_s=200))
    return by_stranger, by_friend
