"""RAY: request GPUs from a cluster's autoscaler and wait until they have joined.

    ray submit cluster.yaml examples/workers.py 4    # before a sweep: it plans for the machines present
    ray submit cluster.yaml examples/workers.py 0    # after it: idle machines may be released

The request stays in force, also for idle machines, until another request replaces it.
"""

import argparse
import logging
import sys
import time

import ray
from ray.autoscaler.sdk import request_resources

POLL_S = 5.0


def count_gpus() -> int:
    """GPUs of the machines that are in the cluster now."""
    return int(sum(node["Resources"].get("GPU", 0) for node in ray.nodes() if node["Alive"]))


def main() -> int:
    """Request and wait; returns the exit code: 1 if not all have joined in time."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("gpus", type=int, help="GPUs in total; 0 withdraws the request")
    parser.add_argument("--timeout-s", type=float, default=1200, help="spot machines may be sold out")
    args = parser.parse_args()

    ray.init("auto", log_to_driver=False, logging_level=logging.ERROR)
    request_resources(bundles=[{"GPU": 1}] * args.gpus)
    deadline_s, shown = time.monotonic() + args.timeout_s, -1
    while (found := count_gpus()) < args.gpus and time.monotonic() < deadline_s:
        if found != shown:
            print(f"{found} of {args.gpus} GPUs", flush=True)
            shown = found
        time.sleep(POLL_S)
    if found < args.gpus:
        late = f"only {found} of {args.gpus} GPUs after {args.timeout_s:.0f} s; see `ray status`"
        print(late, file=sys.stderr)
        return 1
    print(f"{found} GPUs" if args.gpus else "the request is withdrawn")
    return 0


if __name__ == "__main__":
    sys.exit(main())
