"""RAY: one worker of a batch as an actor: its threads, its device, its networks; the work is `studio`'s."""

from collections.abc import Mapping, Sequence
from typing import Any

import ray
import torch

from common.device import keep_freed_memory
from perceptual.network import FeatureNetwork
from styletransfer.execution.messages import Drawn, Order, Prepared, Setup
from styletransfer.execution.renderer import Studio
from styletransfer.planning.keys import NetworkKey
from styletransfer.planning.pairs import Kind


class Painter:
    """A studio in a process of its own, with its networks warm."""

    def __init__(
        self, setup: Setup, networks: Mapping[NetworkKey, FeatureNetwork], threads: int, device: str
    ) -> None:
        torch.set_num_threads(threads)
        if device == "cpu":
            keep_freed_memory()
        placed = {key: network.to(device) for key, network in networks.items()}
        self._studio = Studio(setup, placed, device=device)

    def hello(self) -> str:
        """Says that it is ready to work, by the id of Ray's node on which it is."""
        node_id: str = ray.get_runtime_context().get_node_id()
        return node_id

    def prepare(self, kind: Kind, name: str, variant: str, data: bytes) -> tuple[Prepared, Any]:
        """As `Studio.prepare`."""
        return self._studio.prepare(kind, name, variant, data)

    def draw(self, orders: Sequence[Order], *inputs: Any) -> list[Drawn]:
        """As `Studio.draw`."""
        return self._studio.draw(orders, inputs)
