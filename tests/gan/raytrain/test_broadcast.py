"""Which nodes are sent the driver's images; the cluster is replaced by its answers."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray

from common.cluster.nodes import Answer
from common.errors import ConfigError
from gan.config import DataConfig
from gan.data.images import Images
from gan.data.loading import load_images
from gan.raytrain import broadcast
from gan.raytrain.broadcast import ImageBroadcast, broadcast_images


@pytest.fixture
def config(tmp_path: Path) -> DataConfig:
    return DataConfig(source="shapes", resolution=16, max_images=40, held_out=8, cache=str(tmp_path))


@pytest.fixture
def images(config: DataConfig) -> Images:
    return load_images(config)


def nodes(monkeypatch: pytest.MonkeyPatch, **has_source: bool) -> list[Any]:
    """Replace the cluster by nodes that have the source or not; returns what is put into the object store."""
    answers = {name: Answer(value) for name, value in has_source.items()}
    kept: list[Any] = []
    monkeypatch.setattr(broadcast, "count_nodes", lambda: len(answers))
    monkeypatch.setattr(broadcast, "ask_every_node", lambda *_: answers)
    monkeypatch.setattr(ray, "put", lambda value: kept.append(value) or "reference")
    return kept


def test_on_one_node_nothing_is_asked_sent_or_printed(
    config: DataConfig, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nodes(monkeypatch, head=False) == []
    assert broadcast_images(config, images) == (ImageBroadcast(images.fingerprint), None)


def test_if_all_nodes_have_the_source_each_decodes_for_itself(
    config: DataConfig, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = nodes(monkeypatch, head=True, worker=True)
    sent, message = broadcast_images(config, images)
    assert (sent.transfer, kept) == (None, [])
    assert message == "images: each of the 2 nodes decodes shapes once, for its own cache"


def test_nodes_without_the_source_are_named_and_sent_the_decoded_images(
    config: DataConfig, images: Images, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    kept = nodes(monkeypatch, head=True, one=False, two=False)
    sent, message = broadcast_images(config, images)
    assert message is not None  # 40 pictures of 768 bytes, their labels, names and headers
    assert re.fullmatch(
        r"images: decoded here and sent once to each that lacks shapes: one, two \(3\d\.\d kB\)", message
    )
    monkeypatch.setattr(ray, "get", lambda reference: kept[0])
    elsewhere = DataConfig(source="/nowhere", resolution=16, max_images=40, cache=str(tmp_path / "other"))
    assert np.array_equal(sent.load(elsewhere).train, images.train)
    monkeypatch.delattr(ray, "get")
    assert np.array_equal(sent.load(elsewhere).train, images.train), "the cache has them now"


def test_too_many_images_are_not_sent(
    config: DataConfig, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes(monkeypatch, head=True, one=False)
    monkeypatch.setattr(broadcast, "MAX_BYTES", 1000)
    with pytest.raises(ConfigError, match=r"is not found on one, and .* \(3\d\.\d kB, at most 1\.0 kB\)"):
        broadcast_images(config, images)


def test_a_node_that_cannot_obtain_them_is_named(config: DataConfig, tmp_path: Path) -> None:
    nowhere = DataConfig(source="/nowhere", cache=str(tmp_path / "other"))
    with pytest.raises(ConfigError, match=r"^on \S+: --data must be"):
        ImageBroadcast("0" * 32).load(nowhere)
