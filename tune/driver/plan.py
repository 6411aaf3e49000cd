"""The plan of a checked sweep: its settings, search space, folder, and the capacity of the nodes."""

import dataclasses

from common.errors import ConfigError
from tune.config import SweepConfig
from tune.records.sweep_folder import SweepFolder
from tune.search.journal import StudyStorage
from tune.search.study_url import check_study_url, sqlite_file
from tune.space.space import Space, to_mutations
from tune.worker_groups.capacity import Capacity


@dataclasses.dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """A checked sweep, ready to start or to resume; the capacity is known once Ray is started."""

    config: SweepConfig
    space: Space
    folder: SweepFolder
    is_resumed: bool = False
    accepts_changed_data: bool = False
    """Whether it may be resumed with other pictures than it began with."""
    cluster_capacity: Capacity | None = None

    def check(self) -> None:
        """Check what needs neither the data nor Ray: population's space, trackers, the study's database.

        Raises: ConfigError when the sweep cannot run.
        """
        self.config.tracking.trackers(self.folder.files)
        if self.config.scheduler == "pbt":
            to_mutations(self.space)
        url = self.config.study
        if url is None:
            return
        check_study_url(url, must_exist=self.is_resumed)
        path = sqlite_file(url)
        if self.is_resumed or (path is not None and not path.exists()):
            return
        if self.folder.name in StudyStorage(self.folder.location, url).names():
            raise ConfigError(
                f"--study {url} has a study named {self.folder.name} already; choose another --name"
            )
