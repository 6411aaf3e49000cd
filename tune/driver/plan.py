"""The plan of a checked sweep: its settings, search space, folder, and the capacity of the nodes."""

import dataclasses

from tune.config import SweepConfig
from tune.records.sweep_folder import SweepFolder
from tune.space.space import Space
from tune.worker_groups.capacity import Capacity


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """A checked sweep, ready to start or to resume; the capacity is known once Ray is started."""

    config: SweepConfig
    space: Space
    folder: SweepFolder
    is_resumed: bool = False
    cluster_capacity: Capacity | None = None
