"""A sweep's folder with a study, as a driver writes it."""

import io
import uuid
from pathlib import Path

import pytest
from PIL import Image

from common.storage.folder import Folder
from tune.config import SweepConfig
from tune.records.grids import grid_name
from tune.records.sweep_folder import SweepFolder
from tune.records.trial_records import Ending
from tune.search.study import SweepStudy, study_outcome
from tune.space.default import default_space

SPACE = default_space()


class WrittenSweep:
    """A sweep that is being written: its trials are added one after the other."""

    def __init__(self, storage: str, study_url: str | None = None) -> None:
        self.config = SweepConfig(name="sweep", storage=storage, study=study_url)
        self.folder = SweepFolder(storage, "sweep")
        self.folder.begin(self.config, SPACE, is_resumed=False)
        self.study = SweepStudy(
            SPACE,
            metric="fd",
            name="sweep",
            location=self.folder.location,
            num_trials=10,
            search="random",
            storage_url=study_url,
        )

    @property
    def location(self) -> str:
        return self.folder.location

    def add_trial(self, value: float) -> int:
        """A completed trial with two grids."""
        asked = self.study.ask()
        assert asked is not None
        number = asked[0]
        self.study.report(number, 1000, value + 1)
        for images_seen, level in ((1000, 10), (2000, 200)):
            self.folder.files.write(grid_name(number, images_seen), webp(level))
        self.study.tell(number, study_outcome(Ending("completed"), value))
        self.study.flush()
        return number


def webp(level: int) -> bytes:
    """A picture of one level of grey, and no more."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (level, level, level)).save(buffer, format="WEBP", lossless=True)
    return buffer.getvalue()


@pytest.fixture(params=["disk", "object store", "database"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> WrittenSweep:
    """A sweep on a disk, at a URL, and with its study in a database; one trial has ended."""
    storage = f"memory://{uuid.uuid4().hex}" if request.param == "object store" else str(tmp_path)
    url = f"sqlite:///{tmp_path}/studies.db" if request.param == "database" else None
    sweep = WrittenSweep(storage, url)
    sweep.add_trial(3.0)
    return sweep


def contents(folder: Folder) -> dict[str, bytes | None]:
    """Every file of a folder."""
    return {file.name: folder.read(file.name) for file in folder.list_files()}
