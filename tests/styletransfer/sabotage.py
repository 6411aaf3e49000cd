"""Workers that die, or cannot see the folder, or find no memory, when the names of pictures say so."""

import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perceptual.network import FeatureNetwork
from styletransfer.execution.messages import Drawn, Order, Prepared, Setup
from styletransfer.execution.painter import Painter
from styletransfer.planning.keys import NetworkKey
from styletransfer.planning.pairs import Kind


class Sabotaged(Painter):
    """A painter that kills itself over a picture named `deadly`, and once over one named `once`.

    Names count whatever surrounds the word; `read` in it: while the picture is read, else while it is drawn.
    `crash`: raises an error that nobody foresees. It leaves a line in `log` for all that it does.
    """

    log = "log.txt"

    def __init__(
        self, setup: Setup, networks: Mapping[NetworkKey, FeatureNetwork], threads: int, device: str
    ) -> None:
        super().__init__(setup, networks, threads, device)
        self._root = Path(setup.out).parent

    def prepare(self, kind: Kind, name: str, variant: str, data: bytes) -> tuple[Prepared, Any]:
        self._note(f"prepare {kind} {name}")
        if "read" in name:
            self._die_of(name)
        return super().prepare(kind, name, variant, data)

    def draw(self, orders: Sequence[Order], *inputs: Any) -> list[Drawn]:
        for order in orders:
            self._note(f"draw {order.pair.content} {order.pair.style}")
            if "read" not in order.pair.content:
                self._die_of(order.pair.content)
        return super().draw(orders, *inputs)

    def _die_of(self, name: str) -> None:
        if "crash" in name:
            raise ZeroDivisionError("nobody foresaw this")
        mark = self._root / f"{name}.died"
        if "deadly" in name or ("once" in name and not mark.exists()):
            mark.touch()
            time.sleep(0.5)  # an answer that is just on its way would die too, and its pair be drawn again
            os.kill(os.getpid(), signal.SIGKILL)

    def _note(self, what: str) -> None:
        with (self._root / self.log).open("a") as file:
            file.write(f"{os.getpid()} {what}\n")


class Blind(Painter):
    """A painter on a machine that does not see the output's folder."""

    def __init__(
        self, setup: Setup, networks: Mapping[NetworkKey, FeatureNetwork], threads: int, device: str
    ) -> None:
        super().__init__(setup, networks, threads, device)
        self._studio._delivery.sees_folder = False


class Stillborn(Painter):
    """A painter that cannot begin."""

    def __init__(
        self, setup: Setup, networks: Mapping[NetworkKey, FeatureNetwork], threads: int, device: str
    ) -> None:
        raise RuntimeError("the device is not there")
