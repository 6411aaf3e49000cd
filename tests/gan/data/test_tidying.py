"""The cache's size: what was unused for longest goes first, and what is in use stays."""

import os
import time
from pathlib import Path

from gan.config import DataConfig
from gan.data.loading import load_images
from gan.data.tidying import KEPT_S, LEFT_OVER_S, note_use, tidy

NOW_S = time.time()


def _store(cache: Path, name: str, num_bytes: int, age_s: float) -> Path:
    folder = cache / name
    folder.mkdir(parents=True)
    (folder / "train.npy").write_bytes(bytes(num_bytes - 2))
    (folder / "store.json").write_bytes(b"{}")
    os.utime(folder / "store.json", (NOW_S - age_s, NOW_S - age_s))
    return folder


def test_what_was_unused_for_longest_is_removed_until_the_rest_fits(tmp_path: Path) -> None:
    ages = {"a": 5, "b": 9, "c": 7, "d": 8}
    stores = {name: _store(tmp_path, name, 1000, days * KEPT_S) for name, days in ages.items()}
    features = tmp_path / "references" / "x.npy"
    features.parent.mkdir()
    features.write_bytes(bytes(1000))
    os.utime(features, (NOW_S - 8.5 * KEPT_S, NOW_S - 8.5 * KEPT_S))
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "own.bin").write_bytes(bytes(9000))
    removed = tidy(tmp_path, max_bytes=2000, now_s=NOW_S)
    assert removed == [stores["b"], features, stores["d"]]
    assert {path.name for path in tmp_path.iterdir()} == {"a", "c", "references", "torchvision"}
    assert tidy(tmp_path, max_bytes=2000, now_s=NOW_S) == []


def test_what_was_used_within_a_day_stays_whatever_its_size(tmp_path: Path) -> None:
    _store(tmp_path, "new", 5000, KEPT_S / 2)
    old = _store(tmp_path, "old", 10, 2 * KEPT_S)
    used = _store(tmp_path, "used", 10, 3 * KEPT_S)
    note_use(used)
    assert tidy(tmp_path, max_bytes=100, now_s=NOW_S) == [old]


def test_what_a_killed_process_left_half_written_goes_after_a_week(tmp_path: Path) -> None:
    for name, age_s in (("dead.partial", LEFT_OVER_S + 60), ("alive.partial", 60)):
        folder = _store(tmp_path, name, 10, 0)
        os.utime(folder, (NOW_S - age_s, NOW_S - age_s))
    assert tidy(tmp_path, now_s=NOW_S) == [tmp_path / "dead.partial"]


def test_loading_notes_that_a_store_is_used(tmp_path: Path) -> None:
    config = DataConfig(max_images=40, resolution=16, cache=str(tmp_path))
    facts = tmp_path / load_images(config).fingerprint / "store.json"
    os.utime(facts, (1, 1))
    load_images(config)
    assert facts.stat().st_mtime > time.time() - 60
