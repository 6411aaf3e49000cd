"""RAY: calls a function on every node of the cluster and collects the answers."""

import dataclasses
from collections.abc import Callable
from typing import Any

import ray
import ray.exceptions
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from common.text import last_line

TIMEOUT_S = 60.0


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a node returned, or in one line why it returned nothing."""

    value: Any = None
    failure: str | None = None


def count_nodes() -> int:
    """Number of living nodes of the cluster, this process's own included."""
    return sum(bool(node["Alive"]) for node in ray.nodes())


def ask_every_node(function: Callable[..., Any], *arguments: Any) -> dict[str, Answer]:
    """Call the function on all living nodes at the same time; address -> answer, sorted by address."""
    address_of = {node["NodeID"]: node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]}
    calls = {_call_on(node, function, arguments): address for node, address in address_of.items()}
    answered, silent = ray.wait(list(calls), num_returns=len(calls), timeout=TIMEOUT_S)
    answers = {calls[call]: _answer(call) for call in answered}
    answers |= {calls[call]: Answer(failure=f"no answer within {TIMEOUT_S:.0f} s") for call in silent}
    return dict(sorted(answers.items()))


def _call_on(node_id: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> ray.ObjectRef:
    task = ray.remote(function).options(
        num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node_id, soft=False)
    )
    return task.remote(*arguments)


def _answer(call: ray.ObjectRef) -> Answer:
    try:
        return Answer(ray.get(call))
    except ray.exceptions.RayError as error:  # the node has just died, or lacks this code
        return Answer(failure=last_line(error))
