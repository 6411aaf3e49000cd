"""Checks the project on a GPU: `make gpu-check`, or `python benchmarks/gpu.py` where PyTorch is installed.

Needs PyTorch 2.9 or later for CUDA, and beside it no more than

    pip install numpy filelock fsspec pillow pyarrow pydantic safetensors tyro

so neither Ray nor an installation of the project.

`gpu_cases.py` lists the cases; the other `gpu_*.py` hold them, a file for each kind. They run in a process of
their own, which is replaced when it dies, hangs, or has lost its GPU, so that one failing case does not take
the others with it. The last line is one JSON object with every case's figures; the exit code is 1 if a case
failed.
"""

import argparse
import importlib
import json
import multiprocessing
import multiprocessing.connection
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

BUDGET_S = 450.0
"""Seconds after which no further case is started."""
CASE_S = 150.0
"""Seconds after which a case counts as hung."""
START_S = 120.0
"""Seconds that a process may take to be ready for its first case."""

Results = dict[str, dict[str, Any]]


class Child(NamedTuple):
    """A process that runs cases, and the pipe on which it is told which."""

    process: multiprocessing.context.SpawnProcess
    pipe: multiprocessing.connection.Connection


def main() -> int:
    """Run all cases, print each as it ends, and return the exit code."""
    import torch

    arguments = _arguments()
    device = "cuda" if torch.cuda.device_count() else arguments.device
    if not device:
        print("no GPU that PyTorch can use was found: nothing was checked")
        print(json.dumps({"cuda": False, "torch": torch.__version__, "cases": {}}))
        return 0
    began = time.monotonic()
    names = [name for name in _cases(device) if arguments.only in name]
    results = run_apart(names, device, began + BUDGET_S)
    failed = [name for name, result in results.items() if not result["ok"]]
    skipped = [name for name in names if name not in results]
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed, {len(skipped)} left out for time")
    summary = {
        "cuda": device == "cuda",
        "torch": torch.__version__,
        "device": _name(device),
        "seconds": round(time.monotonic() - began, 1),
        "failed": failed,
        "left_out": skipped,
        "cases": results,
    }
    print(json.dumps(summary))
    return 1 if failed else 0


def run_apart(names: list[str], device: str, deadline: float) -> Results:
    """Run the cases by name in a process of their own; those that were not begun in time are left out."""
    results: Results = {}
    child: Child | None = None
    try:
        for name in names:
            if time.monotonic() > deadline:
                break
            child = child or _start(device)
            began = time.monotonic()
            result = _result_of(child, name)
            if result.pop("lost", False):
                child.process.kill()
                child = None
            results[name] = result | {"seconds": round(time.monotonic() - began, 2)}
            _show(name, results[name])
    finally:
        if child is not None:
            child.pipe.close()  # it ends when nobody can ask any more
            child.process.join(5)
            child.process.kill()
    return results


def _start(device: str) -> Child:
    context = multiprocessing.get_context("spawn")
    own, other = context.Pipe()
    process = context.Process(target=serve, args=(other, device))
    process.start()
    other.close()  # so that the end of the child is the end of the pipe
    if own.poll(START_S):
        own.recv()
    return Child(process, own)


def _result_of(child: Child, name: str) -> dict[str, Any]:
    try:
        child.pipe.send(name)
        if child.pipe.poll(CASE_S):
            result: dict[str, Any] = child.pipe.recv()
            return result
        return {"ok": False, "error": f"it hung for {CASE_S:.0f} s", "lost": True}
    except (EOFError, OSError):
        child.process.join(10)
        return {"ok": False, "error": f"its process died with code {child.process.exitcode}", "lost": True}


def serve(pipe: multiprocessing.connection.Connection, device: str) -> None:
    """Run the cases that arrive by name on the pipe, and send back the result of each."""
    cases = _cases(device)
    pipe.send("ready")
    while True:
        try:
            name = pipe.recv()
        except EOFError:
            return
        pipe.send(run_case(cases[name], device))


def run_case(case: Any, device: str) -> dict[str, Any]:
    """The result of one case: whether it is ok, its figures, and its error.

    After an error that the GPU does not recover from, every later call fails: then the process is `lost`.
    """
    figures: dict[str, Any] = {}
    try:
        case(figures)
        return {"ok": True, **figures}
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or [""]
        problem = f"{type(error).__name__}: {lines[0][:300]}"
    return {"ok": False, "error": problem, "lost": device == "cuda" and _is_lost(), **figures}


def _is_lost() -> bool:
    """Whether this process has lost its GPU."""
    import torch

    try:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
    except Exception:
        return True
    return False


def _cases(device: str) -> dict[str, Any]:
    """All cases by name, each a function that takes a dict for its figures and raises what is wrong."""
    # imported late: before, the project and these files are not on the path
    found: dict[str, Any] = importlib.import_module("gpu_cases").all_cases(device)
    return found


def _name(device: str) -> str:
    import torch

    return torch.cuda.get_device_name() if device == "cuda" else device


def _show(name: str, result: dict[str, Any]) -> None:
    figures = {
        key: f"{value:.4g}" if isinstance(value, float) else value
        for key, value in result.items()
        if key not in ("ok", "seconds", "error")
    }
    said = " ".join(f"{key}={value}" for key, value in figures.items())
    state = "ok  " if result["ok"] else "FAIL"
    print(f"{state} {result['seconds']:6.1f} s  {name:40} {said} {result.get('error', '')}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="run only the cases whose names contain this")
    parser.add_argument("--device", default="", help="cpu: run the cases, made small, without a GPU")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
