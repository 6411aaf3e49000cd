"""A sweep that was checked and may start: its settings, space and folder, and what the machines hold."""

import dataclasses

from tune.config import SweepConfig
from tune.records.sweep_folder import SweepFolder
from tune.space.space import Space
from tune.worker_groups.capacity import Capacity


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """A checked sweep, ready to start or to go on."""

    config: SweepConfig
    space: Space
    folder: SweepFolder
    is_resumed: bool = False
    cluster_capacity: Capacity | None = None
