"""What others in the cluster's network are answered, port by port; a program of its own, no Ray here.

    python stranger.py HOST:PORT...

reads a token from standard input and prints a JSON list of two tables: address -> the questions that were
answered to a stranger, and to one who shows the token with each question. By the second one sees that the
questions are good.
"""

import http.client
import json
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import grpc
import torch.distributed

TIMEOUT_S = 3
# what the dashboard, its agents and the exporters of metrics are asked
HTTP_PATHS = ("/", "/metrics", "/api/version", "/api/jobs/", "/api/job_agent/jobs/", "/logs", "/nodes")
# for each service of Ray 2.60 a question that changes nothing, and for which an empty message is a valid one
GRPC_METHODS = (
    "ray.rpc.NodeInfoGcsService/GetAllNodeInfo",
    "ray.rpc.InternalKVGcsService/InternalKVKeys",
    "ray.rpc.ActorInfoGcsService/GetAllActorInfo",
    "ray.rpc.NodeManagerService/GetNodeStats",
    "ray.rpc.ObjectManagerService/FreeObjects",
    "ray.rpc.CoreWorkerService/GetCoreWorkerStats",
    "ray.rpc.ReporterService/GetTraceback",
    "ray.rpc.LogService/ListLogs",
    "ray.rpc.RayletDriver/ClusterInfo",
    "grpc.health.v1.Health/Check",
)


def answered(address: str, token: str) -> list[str]:
    """What the port answered: `grpc METHOD`, `http PATH`, `metrics`, `ssh`, `torch store`, or `unknown`."""
    questions = [*by_grpc(address, token)]
    if questions != ["none"]:
        return [f"grpc {method}" for method in questions]
    pages = by_http(address, token)
    if pages is not None:
        return [f"http {page}" if page.startswith("/") else page for page in pages]
    if banner(address).startswith("SSH-"):
        return ["ssh"]
    return ["torch store"] if is_torch_store(address) else ["unknown"]


def by_grpc(address: str, token: str) -> Iterator[str]:
    """The methods that were answered; `none` where gRPC is not spoken."""
    shown = [("authorization", f"Bearer {token}")] if token else []
    with grpc.insecure_channel(address) as channel:
        for method in GRPC_METHODS:
            ask = channel.unary_unary(f"/{method}", lambda data: data, lambda data: data)
            try:
                ask(b"", timeout=TIMEOUT_S, metadata=shown)
                yield method
            except grpc.RpcError as error:
                if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    yield "none"
                    return


def by_http(address: str, token: str) -> list[str] | None:
    """The paths that were answered, or `metrics` where that is all there is; None: HTTP is not spoken."""
    host, port = address.rsplit(":", 1)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    paths, bodies = [], []
    for path in HTTP_PATHS:
        connection = http.client.HTTPConnection(host, int(port), timeout=TIMEOUT_S)
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            if response.status not in (401, 403, 404):
                paths.append(path)
                bodies.append(response.read())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()
    # Prometheus' exporter has one page, whatever it is asked for
    is_exporter = len(paths) == len(HTTP_PATHS) and all(body.startswith(b"# HELP") for body in bodies)
    return ["metrics"] if is_exporter else paths


def banner(address: str) -> str:
    """What the port says unasked."""
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as connection:
            connection.settimeout(1)
            return connection.recv(100).decode(errors="replace")
    except OSError:
        return ""


def is_torch_store(address: str) -> bool:
    """Whether the port is the store by which the workers of a trial find each other."""
    host, port = address.rsplit(":", 1)
    try:
        store = torch.distributed.TCPStore(
            host, int(port), is_master=False, wait_for_workers=False, timeout=timedelta(seconds=TIMEOUT_S)
        )
        return bool(store.num_keys() >= 0)
    except RuntimeError:
        return False


if __name__ == "__main__":
    secrets = ("", sys.stdin.read().strip())
    # what is silent is waited for: all at once
    with ThreadPoolExecutor(256) as pool:
        asked = [{port: pool.submit(answered, port, secret) for port in sys.argv[1:]} for secret in secrets]
        print(json.dumps([{port: answer.result() for port, answer in table.items()} for table in asked]))
