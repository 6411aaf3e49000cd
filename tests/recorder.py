"""A tracker that notes what it is told, for tests of what reaches trackers."""

from typing import Any

from gan.tracking.named import RunInfo


class Recorder:
    """A tracker that notes what it is told."""

    def __init__(self) -> None:
        self.begun: list[RunInfo] = []
        self.told: list[Any] = []

    def begin(self, info: RunInfo) -> "Recorder":
        self.begun.append(info)
        return self

    def tick(self, images_seen: int, row: Any, *, grid: Any, verdict: Any) -> None:
        self.told.append((images_seen, row, grid, verdict and verdict.name))

    def end(self, state: str, reason: str, best: float | None) -> None:
        self.told.append((state, reason, best))
