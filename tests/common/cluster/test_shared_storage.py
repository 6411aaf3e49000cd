"""Checks that all nodes see one folder: which nodes a message names, and that no file is left behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from common.cluster.session import start_ray
from common.cluster.shared_storage import check_seen_by_all, complaint
from common.errors import ConfigError
from common.storage.folder import Folder


@pytest.fixture(scope="module")
def one_machine() -> Iterator[None]:
    start_ray(None, num_cpus=1)
    yield
    ray.shutdown()


def nodes_as_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the one machine be listed twice, under two addresses."""
    [node] = ray.nodes()
    twice = [node | {"NodeManagerAddress": address} for address in ("10.0.0.1", "10.0.0.2")]
    twice[1]["NodeID"] = "ab" * 28  # no such machine: a task for it cannot be placed
    monkeypatch.setattr(ray, "nodes", lambda: twice)


@pytest.mark.usefixtures("one_machine")
def test_one_machine_is_not_asked(tmp_path: Path) -> None:
    check_seen_by_all(Folder(str(tmp_path / "nothing")))
    assert not (tmp_path / "nothing").exists()


@pytest.mark.usefixtures("one_machine")
def test_a_machine_that_does_not_find_the_file_is_named_and_the_file_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes_as_two(monkeypatch)
    with pytest.raises(ConfigError) as raised:
        check_seen_by_all(Folder(str(tmp_path / "runs")))
    said = str(raised.value)
    assert said.startswith(f"--storage {tmp_path}/runs must be one folder for all 2 machines")
    assert "10.0.0.2" in said and "10.0.0.1" not in said and "\n" not in said
    assert list((tmp_path / "runs").iterdir()) == []


@pytest.mark.usefixtures("one_machine")
def test_what_is_only_in_this_process_is_not_seen_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes_as_two(monkeypatch)
    with pytest.raises(ConfigError, match=r"not found on 10\.0\.0\.1, 10\.0\.0\.2 "):
        check_seen_by_all(Folder("memory://bucket/runs"))


def test_the_complaint_says_place_machines_reasons_and_remedy() -> None:
    blind = {"10.0.0.2": "it is not there", "10.0.0.3": "no answer within 60 s"}
    assert complaint("--storage /root/runs", blind, 3) == (
        "--storage /root/runs must be one folder for all 3 machines, and what is written there is not found "
        "on 10.0.0.2, 10.0.0.3 (no answer within 60 s); "
        "give a folder that they share, such as NFS, or a URL such as s3://bucket/path"
    )
