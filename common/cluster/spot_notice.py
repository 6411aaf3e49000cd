"""RAY: watches for AWS's notice that it takes this spot instance back, and has Ray drain the node.

    python -m common.cluster.spot_notice

`cluster.yaml` starts it beside Ray on every spot instance. It asks the instance metadata every few seconds
for the notice, which comes 120 seconds before the instance ends. Draining means that Ray places nothing new
on the node and Ray Train moves its workers off. The program ends after that.
"""

import calendar
import contextlib
import http.client
import json
import logging
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ENDPOINT_VARIABLE = "AWS_EC2_METADATA_SERVICE_ENDPOINT"  # AWS's own name, as in its SDKs
_ENDPOINT = "http://169.254.169.254"
_POLL_S = 5.0  # as AWS recommends
_TIMEOUT_S = 2.0
_TOKEN_LIFE_S = 60


def end_of_machine(endpoint: str) -> float | None:
    """When this instance ends, in seconds since 1970; None while there is no notice.

    By IMDSv2: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html

    Raises: OSError or HTTPException when the service does not answer, ValueError for another answer.
    """
    life = {"X-aws-ec2-metadata-token-ttl-seconds": str(_TOKEN_LIFE_S)}
    token = _ask(urllib.request.Request(f"{endpoint}/latest/api/token", method="PUT", headers=life))
    shown = {"X-aws-ec2-metadata-token": token}
    try:
        answer = _ask(
            urllib.request.Request(f"{endpoint}/latest/meta-data/spot/instance-action", headers=shown)
        )
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.NOT_FOUND:
            return None
        raise
    notice = json.loads(answer)
    if not isinstance(notice, dict) or not isinstance(notice.get("time"), str):
        raise ValueError(f"no time in the notice {answer!r}")
    return calendar.timegm(time.strptime(notice["time"], "%Y-%m-%dT%H:%M:%SZ"))


def _ask(request: urllib.request.Request) -> str:
    # no proxy: the address is only valid on this machine
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=_TIMEOUT_S) as response:
        text: str = response.read().decode()
        return text


def drain(seconds_left: int) -> None:
    """Have Ray drain this node within so many seconds.

    Raises: CalledProcessError when Ray refuses, and what `ray.init` raises when Ray cannot be reached.
    """
    import ray  # imported late: the program waits, often for days, and should not hold its memory

    ray.init("auto", log_to_driver=False, logging_level=logging.ERROR)
    node_id = ray.get_runtime_context().get_node_id()
    ray.shutdown()
    command = [str(Path(sys.executable).with_name("ray")), "drain-node", "--node-id", node_id]
    reason = ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "AWS takes the spot machine"]
    subprocess.run(
        [*command, *reason, "--deadline-remaining-seconds", str(seconds_left)],
        check=True,
        stdout=subprocess.DEVNULL,
    )


def main() -> None:
    """Wait for the notice, then drain this node."""
    endpoint = os.environ.get(ENDPOINT_VARIABLE, _ENDPOINT).rstrip("/")
    while True:
        # out of reach for a moment, or a notice of another form: ask again
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            end_s = end_of_machine(endpoint)
            if end_s is not None:
                break
        time.sleep(_POLL_S)
    _say(f"AWS takes this machine in {end_s - time.time():.0f} s")
    while True:
        try:
            drain(max(0, int(end_s - time.time())))
        except Exception as error:  # whatever the cause, it may pass before the instance ends
            _say(f"Ray does not drain it, is asked again: {str(error).partition(chr(10))[0]}")
            time.sleep(_POLL_S)
        else:
            _say("Ray drains it")
            return


def _say(what: str) -> None:
    print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {what}", flush=True)


if __name__ == "__main__":
    main()
