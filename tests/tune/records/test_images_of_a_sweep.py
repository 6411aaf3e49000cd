"""A sweep remembers its images, so that it is not resumed in silence with other ones."""

import json
from pathlib import Path

import pytest

from common.errors import ConfigError
from gan.data.images import check_same, remember
from gan.data.loading import load_images
from tune.cli.flags import Resume, parse_command
from tune.config import SweepConfig
from tune.records.sweep_folder import SWEEP_FILE, SweepFolder
from tune.space.default import default_space


def test_a_resumed_sweep_compares_its_images_with_those_it_began_with(tmp_path: Path) -> None:
    values = {"data.max_images": 100, "data.cache": str(tmp_path / "cache"), "data.resolution": 16}
    config = SweepConfig().gan.with_values(values)
    first = load_images(config.data)
    other = load_images(config.with_values({"data.max_images": 120}).data)
    folder = SweepFolder(str(tmp_path), "sweep")
    folder.begin(SweepConfig(gan=config), default_space(), is_resumed=False, images=remember(first))
    check_same(folder.images(), first, source="shapes", accepts_change=False)
    with pytest.raises(ConfigError, match=r"96 to train on instead of 80.*--changed-data"):
        check_same(folder.images(), other, source="shapes", accepts_change=False)
    command = parse_command(["resume", folder.location, "--changed-data"])
    assert isinstance(command, Resume)
    check_same(folder.images(), other, source="shapes", accepts_change=command.changed_data)


def test_a_sweep_of_an_earlier_version_remembers_none(tmp_path: Path) -> None:
    folder = SweepFolder(str(tmp_path), "sweep")
    folder.begin(SweepConfig(), default_space(), is_resumed=False)
    path = tmp_path / "sweep" / SWEEP_FILE
    record = json.loads(path.read_text())
    del record["images"]
    path.write_text(json.dumps(record))
    assert folder.images() == {}
