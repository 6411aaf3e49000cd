"""Workers that die, raise errors or do not see the output folder, some only at pictures of certain names."""

import dataclasses
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perceptual.network import FeatureNetwork
from styletransfer.config import StyleConfig
from styletransfer.execution.output_writer import Finished, OutputWriter
from styletransfer.execution.renderer import PreparationResult
from styletransfer.execution.worker_pool import StyleWorker
from styletransfer.planning.inputs import PictureData
from styletransfer.planning.manifest import Entry
from styletransfer.planning.pairs import Need
from styletransfer.planning.staleness import NetworkKey

Variants = Mapping[str, StyleConfig]
Networks = Mapping[NetworkKey, FeatureNetwork]


class Sabotaged(StyleWorker):
    """A worker that kills itself over a picture with `deadly` in its name, and once over one with `once`.

    `read` in the name: while the picture is read, else while it is stylized. `crash`: raises an unexpected
    error. The worker writes a line to `log` for everything that it does.
    """

    log = "log.txt"

    def __init__(
        self, variants: Variants, networks: Networks, writer: OutputWriter, device: str, threads: int
    ) -> None:
        super().__init__(variants, networks, writer, device, threads)
        self._root = Path(writer.out).parent

    def prepare(self, need: Need, variant: str, data: PictureData) -> tuple[PreparationResult, Any]:
        self._note(f"prepare {need.kind} {need.name}")
        if "read" in need.name:
            self._die_of(need.name)
        return super().prepare(need, variant, data)

    def stylize(self, entries: Sequence[Entry], is_repeat: bool, *pictures: Any) -> list[Finished]:
        for entry in entries:
            self._note(f"stylize {entry.content} {entry.style}")
            if "read" not in entry.content:
                self._die_of(entry.content)
        return super().stylize(entries, is_repeat, *pictures)

    def _die_of(self, name: str) -> None:
        if "crash" in name:
            raise ZeroDivisionError("nobody foresaw this")
        mark = self._root / f"{name}.died"
        if "deadly" in name or ("once" in name and not mark.exists()):
            mark.touch()
            time.sleep(0.5)  # else an answer on its way would be lost too, and its pair stylized again
            os.kill(os.getpid(), signal.SIGKILL)

    def _note(self, what: str) -> None:
        with (self._root / self.log).open("a") as file:
            file.write(f"{os.getpid()} {what}\n")


class Blind(StyleWorker):
    """A worker on a machine that does not see the output folder."""

    def __init__(
        self, variants: Variants, networks: Networks, writer: OutputWriter, device: str, threads: int
    ) -> None:
        elsewhere = dataclasses.replace(writer, probe=f"{writer.probe}-elsewhere")
        super().__init__(variants, networks, elsewhere, device, threads)


class Stillborn(StyleWorker):
    """A worker that cannot start."""

    def __init__(self, *_: object) -> None:
        raise RuntimeError("the device is not there")
