"""Images sent from node to node: they arrive unchanged, and are written once."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import ConfigError
from gan.config import DataConfig
from gan.data.cache import cache_folder
from gan.data.loading import load_images
from gan.data.transfer import ImageTransfer, find_kept, has_source, load_same, pack, unpack


@pytest.fixture
def here(tmp_path: Path) -> DataConfig:
    """A folder of two classes on the driver's node."""
    random = np.random.default_rng(0)
    for index in range(12):
        path = tmp_path / "pictures" / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(path)
    return DataConfig(
        source=str(tmp_path / "pictures"), resolution=16, held_out=2, cache=str(tmp_path / "here")
    )


@pytest.fixture
def there(here: DataConfig, tmp_path: Path) -> DataConfig:
    """The same on a node that lacks the folder and has a cache of its own."""
    return dataclasses.replace(here, source=str(tmp_path / "absent"), cache=str(tmp_path / "there"))


def test_received_images_equal_the_sent_ones(here: DataConfig, there: DataConfig) -> None:
    sent = load_images(here)
    came = unpack(there, pack(here, sent))
    for name in ("train", "held_out", "train_labels", "held_out_labels"):
        assert np.array_equal(getattr(sent, name), getattr(came, name))
    assert (came.class_names, came.skipped, came.fingerprint) == (("a", "b"), (), sent.fingerprint)


def test_a_transfer_is_as_large_as_its_files(here: DataConfig) -> None:
    sent = load_images(here)
    files = [*(cache_folder(here) / sent.fingerprint).iterdir()]
    transfer = pack(here, sent)
    assert transfer.num_bytes == sum(path.stat().st_size for path in files)
    assert set(transfer.files) == {path.name for path in files}


def test_a_transfer_is_written_once_and_then_found(here: DataConfig, there: DataConfig) -> None:
    transfer = pack(here, load_images(here))
    assert find_kept(there, transfer.fingerprint) is None
    unpack(there, transfer)
    store = cache_folder(there) / transfer.fingerprint / "train.npy"
    written = store.stat().st_mtime_ns
    found = find_kept(there, transfer.fingerprint)
    assert found is not None and np.array_equal(found.train, load_images(here).train)
    unpack(there, dataclasses.replace(transfer, files={}))
    assert store.stat().st_mtime_ns == written


def test_a_damaged_store_is_replaced(here: DataConfig, there: DataConfig) -> None:
    transfer = pack(here, load_images(here))
    unpack(there, transfer)
    store = cache_folder(there) / transfer.fingerprint / "train.npy"
    store.write_bytes(store.read_bytes()[:-1])
    assert find_kept(there, transfer.fingerprint) is None
    assert np.array_equal(unpack(there, transfer).train, load_images(here).train)


@pytest.mark.parametrize("name", ["../train.npy", "/etc/x", ""])
def test_a_transfer_writes_only_into_its_store(
    here: DataConfig, there: DataConfig, name: str, tmp_path: Path
) -> None:
    good = pack(here, load_images(here))
    with pytest.raises(ConfigError):
        unpack(there, dataclasses.replace(good, files={name: np.zeros(4, np.uint8)}))
    with pytest.raises(ConfigError):
        unpack(there, ImageTransfer(name, good.files))
    assert find_kept(there, name) is None
    assert not (tmp_path / "train.npy").exists() and not (tmp_path / "there" / "train.npy").exists()


def test_other_pictures_under_the_same_name_are_refused(here: DataConfig) -> None:
    fingerprint = load_images(here).fingerprint
    assert load_same(here, fingerprint).fingerprint == fingerprint
    next(Path(here.source).rglob("*.png")).unlink()
    with pytest.raises(ConfigError, match="other pictures on this node"):
        load_same(here, fingerprint)


@pytest.mark.parametrize(
    "settings, has_it",
    [
        ({"source": "shapes"}, True),
        ({"source": "mnist"}, False),
        ({"source": "mnist", "download": True}, True),
        ({"source": "/nowhere/at/all"}, False),
    ],
)
def test_a_node_has_a_source_that_is_built_in_found_or_may_be_downloaded(
    settings: dict[str, object], has_it: bool, tmp_path: Path
) -> None:
    assert has_source(DataConfig(**settings, cache=str(tmp_path))) is has_it  # type: ignore[arg-type]
    assert has_source(DataConfig(source=str(tmp_path)))
