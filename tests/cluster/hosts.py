"""Hosts out of namespaces on one Linux machine: a laptop, and machines it reaches by SSH; no Ray here.

Each has mounts, processes, network and host name of its own; its file system is this machine's, whose changes
go to memory, with an empty `/root`, `/run` and `/tmp`. No name is given to anything outside: when the process
that made the hosts ends, however it ends, the kernel takes everything down.
"""

import contextlib
import ctypes
import dataclasses
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

TOOLS = (
    "curl",
    "ip",
    "nsenter",
    "pivot_root",
    "rsync",
    "setpriv",
    "ssh",
    "ssh-keygen",
    "ss",
    "sshd",
    "unshare",
)
KEY = "/root/.ssh/id_ed25519"
SHARED = "/shared"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SUBNET = "10.77.0"
# The laptop's address on the wire. A bridge without one of its own has the lowest of its ports', and another
# when that port's host ends: for over a minute the other hosts would send to the old one.
_MAC = "02:00:0a:4d:00:01"
_CLONE_NEWNET = 0x40000000

# Process 1 of a host. $1: its name; $2: folder that all hosts share; $3: public key, '' for no SSH server;
# further: paths that stay visible, read-only, though they lie below /root or /tmp or on another disk.
_INIT = r"""
set -eu
name=$1 shared=$2 key=$3; shift 3
mount --make-rprivate /
mount -t tmpfs -o mode=755,size=75% host /run
mkdir /run/upper /run/work /run/root
mount -t overlay -o lowerdir=/,upperdir=/run/upper,workdir=/run/work host /run/root
cd /run/root
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
mount -t tmpfs -o size=512m shm dev/shm
mount -t tmpfs -o mode=755 run run
mount -t tmpfs -o mode=1777 tmp tmp
# others may pass: this Python can lie below it
mount -t tmpfs -o mode=711 root root
for kept in "$@"; do mkdir -p ".$kept"; mount --bind "$kept" ".$kept"; mount -o remount,bind,ro ".$kept"; done
mkdir -p .SHARED run/old run/sshd root/.ssh
mount --bind "$shared" .SHARED
pivot_root . run/old
cd /
umount -l /run/old
hostname "$name"
if [ -n "$key" ]; then
    echo "$key" > /root/.ssh/authorized_keys
    ssh-keygen -q -t ed25519 -N '' -f /run/host_key
    # Ray's head opens many connections at once
    printf '%s\n' 'HostKey /run/host_key' 'PasswordAuthentication no' 'KbdInteractiveAuthentication no' \
        'UsePAM no' 'PermitRootLogin prohibit-password' 'MaxStartups 50' > /run/sshd_config
    /usr/sbin/sshd -f /run/sshd_config
fi
echo ready
while sleep 3600; do :; done  # bash, as process 1, reaps whoever loses its parent
"""


@dataclasses.dataclass(frozen=True)
class Host:
    """A machine of its own, as far as its processes can see."""

    name: str
    address: str
    pid: int
    """Of its process 1, as this machine counts."""
    user: str = "root"
    """Who runs the commands."""

    @property
    def home(self) -> str:
        """The user's folder."""
        return "/root" if self.user == "root" else f"/home/{self.user}"

    def words(self, script: str) -> list[str]:
        """The command that runs a bash script on the host, in an environment of its own, as after a login."""
        inside = ["nsenter", "--target", str(self.pid), "--mount", "--uts", "--ipc", "--net", "--pid"]
        user = ["setpriv", "--reuid", self.user, "--regid", self.user, "--init-groups"]
        clean = ["env", "-i", f"HOME={self.home}", "LANG=C.UTF-8", "TERM=dumb", f"PATH={_SYSTEM_PATH}"]
        login = "cd; [ ! -e .bashrc ] || source .bashrc; "
        return [*inside, *user, *clean, "bash", "-c", login + script]

    def run(self, script: str, *, timeout_s: float = 60, data: bytes = b"") -> str:
        """What the script prints, errors included.

        Raises: AssertionError with all of it when its exit code is not 0, and when it takes too long.
        """
        try:
            done = subprocess.run(
                self.words(script),
                input=data,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired as error:
            said = (error.output or b"").decode(errors="replace")
            raise AssertionError(f"{self.name}: {script!r} took over {timeout_s} s:\n{said}") from None
        output = done.stdout.decode(errors="replace")
        assert done.returncode == 0, f"{self.name}: {script!r} ended with {done.returncode}:\n{output}"
        return output

    def write(self, path: str, content: str) -> None:
        """Put a file there that only its owner may read; missing folders are made."""
        quoted = shlex.quote(path)
        self.run(f"umask 077; mkdir -p $(dirname {quoted}); cat > {quoted}", data=content.encode())


@dataclasses.dataclass(frozen=True)
class Lan:
    """A laptop and the hosts that it reaches, as root, with `KEY`."""

    laptop: Host
    hosts: Sequence[Host]
    shared: Path
    """What all see as `SHARED`, as this machine sees it."""

    def set_link(self, host: Host, *, is_up: bool) -> None:
        """Pull the host's cable, or put it back."""
        port = f"port{self.hosts.index(host)}"
        _inside(self.laptop.pid, f"ip link set {port} {'up' if is_up else 'down'}")


@contextlib.contextmanager
def network_of(host: Host) -> Iterator[None]:
    """Connections that this thread makes meanwhile are made on the host; those of other threads are not."""
    with Path("/proc/thread-self/ns/net").open() as own, Path(f"/proc/{host.pid}/ns/net").open() as its:
        _enter_network(its.fileno())
        try:
            yield
        finally:
            _enter_network(own.fileno())


def why_not() -> str | None:
    """Why there can be no hosts here, None when there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "hosts out of namespaces need root on Linux"
    missing = [tool for tool in TOOLS if shutil.which(tool, path=f"{os.defpath}:{_SYSTEM_PATH}") is None]
    if missing:
        return f"{', '.join(missing)} is missing; Debian: curl openssh-server rsync iproute2"
    script = (
        "mkdir /run/a /run/b /run/c; mount -t overlay -o lowerdir=/,upperdir=/run/a,workdir=/run/b x /run/c; "
        "ip link add lan type bridge; ip link add port type veth peer name eth"
    )
    trial = subprocess.run(
        ["unshare", "-m", "-n", "-p", "--fork", "sh", "-ec", f"mount -t tmpfs x /run; {script}"],
        capture_output=True,
        text=True,
    )
    return f"no namespaces, overlays or bridges here: {trial.stderr.strip()}" if trial.returncode else None


@contextlib.contextmanager
def lan_of(num_hosts: int, *, shared: Path, visible: Sequence[Path] = ()) -> Iterator[Lan]:
    """A laptop and `num_hosts` hosts, which all see the folder `shared` as `SHARED`.

    visible: what else of this machine the laptop sees where it lies below `/root` or `/tmp`; this Python is
    seen by all.
    """
    python = [Path(sys.prefix), Path(sys.base_prefix)]
    with contextlib.ExitStack() as stack:
        keys = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", keys / "key"], check=True)
        public = (keys / "key.pub").read_text().strip()
        laptop = Host(
            "laptop", f"{_SUBNET}.1", _start(stack, "laptop", shared, "", _hidden([*python, *visible]))
        )
        _inside(laptop.pid, f"ip link add lan address {_MAC} type bridge")
        _inside(laptop.pid, f"ip addr add {laptop.address}/24 dev lan")
        _inside(laptop.pid, "ip link set lan up; ip link set lo up")
        hosts = []
        for index in range(num_hosts):
            name = "head" if index == 0 else f"worker{index}"
            host = Host(name, f"{_SUBNET}.{11 + index}", _start(stack, name, shared, public, _hidden(python)))
            port = f"port{index}"
            _inside(laptop.pid, f"ip link add {port} type veth peer name eth0 netns {host.pid}")
            _inside(laptop.pid, f"ip link set {port} master lan up")
            _inside(host.pid, f"ip addr add {host.address}/24 dev eth0; ip link set eth0 up")
            _inside(host.pid, "ip link set lo up")
            hosts.append(host)
        names = "".join(f"{host.address} {host.name}\n" for host in [laptop, *hosts])
        for host in [laptop, *hosts]:
            host.write("/etc/hosts", f"127.0.0.1 localhost\n{names}")
        laptop.write(KEY, (keys / "key").read_text())
        yield Lan(laptop, hosts, shared)


def _start(stack: contextlib.ExitStack, name: str, shared: Path, key: str, kept: Sequence[str]) -> int:
    """Start a host's process 1 and return its id, once it is ready."""
    namespaces = ["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child"]
    init = ["bash", "-c", _INIT.replace("SHARED", SHARED), "init", name, str(shared), key, *kept]
    process = subprocess.Popen(
        # should this process be killed, so are they, and with its process 1 everything in a namespace
        ["setpriv", "--pdeathsig", "KILL", *namespaces, *init],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PATH": _SYSTEM_PATH},
    )
    stack.enter_context(process)
    stack.callback(process.kill)
    assert process.stdout is not None
    said = process.stdout.readline()
    assert said == "ready\n", f"{name} did not come up: {said}{process.stdout.read()}"
    [child] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(child)


def _hidden(paths: Sequence[Path]) -> list[str]:
    """Those of the paths that a host would not see by itself."""
    root = Path("/").stat().st_dev
    covered = [path for path in paths if path.is_relative_to("/root") or path.is_relative_to("/tmp")]
    elsewhere = [path for path in paths if path.stat().st_dev != root]
    return sorted({str(path) for path in (*covered, *elsewhere)})


def _inside(pid: int, script: str) -> None:
    """Run a script with this machine's files and a host's network."""
    done = subprocess.run(
        ["nsenter", "--target", str(pid), "--net", "bash", "-ec", script], capture_output=True, text=True
    )
    assert done.returncode == 0, f"{script!r}: {done.stderr}"


def _enter_network(namespace: int) -> None:
    """`os.setns`, which Python 3.11 lacks; it moves one thread alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
