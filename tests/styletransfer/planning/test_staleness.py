"""Which pairs are stale, and which settings that depends on."""

import dataclasses
import hashlib
from pathlib import Path

import pytest

from styletransfer.config import StyleConfig
from styletransfer.planning.manifest import Entry
from styletransfer.planning.pairs import Pair
from styletransfer.planning.staleness import hash_settings, prepared_key, settings_hash, stale_pairs


def entry(content: str = "cat.jpg", **changes: object) -> Entry:
    fields: dict[str, object] = {
        "content": content,
        "style": "s.jpg",
        "output": f"{content}__s.png",
        "state": "done",
        "content_digest": "c1",
        "style_digest": "s1",
        "settings_hash": "h1",
        "weights_hash": "w1",
    }
    return Entry(**fields | changes)  # type: ignore[arg-type]


PAIR = Pair("cat.jpg", "s.jpg")


@pytest.mark.parametrize(
    ("entries", "changes", "reason"),
    [
        ([], {}, "new"),
        ([entry("dog.jpg")], {}, "new"),
        ([entry(variant="style-weight=3")], {}, "new"),
        ([entry()], {}, None),
        ([entry(state="failed", error="x")], {}, "failed before"),
        ([entry(state="failed", error="x"), entry()], {}, None),
        ([entry(), entry(state="failed", error="x")], {}, "failed before"),
        ([entry()], {"content_digests": {"cat.jpg": "c2"}}, "content changed"),
        ([entry()], {"style_digests": {"s.jpg": "s2"}}, "style changed"),
        ([entry()], {"settings_hashes": {"": "h2"}}, "settings changed"),
        ([entry()], {"weights_hashes": {"": "w2"}}, "weights changed"),
        ([entry()], {"present": set()}, "file gone"),
        ([entry()], {"outputs": {PAIR: "other.png"}, "present": {"other.png"}}, "renamed"),
    ],
)
def test_which_pairs_are_stale_follows_from_what_is_known(
    entries: list[Entry], changes: dict[str, object], reason: str | None
) -> None:
    known: dict[str, object] = {
        "outputs": {PAIR: "cat.jpg__s.png"},
        "entries": {each.pair: each for each in entries},
        "content_digests": {"cat.jpg": "c1"},
        "style_digests": {"s.jpg": "s1"},
        "settings_hashes": {"": "h1"},
        "weights_hashes": {"": "w1"},
        "present": {"cat.jpg__s.png"},
    }
    assert stale_pairs(**known | changes) == ({PAIR: reason} if reason else {})  # type: ignore[arg-type]


def test_each_variant_has_settings_of_its_own() -> None:
    pairs = [PAIR._replace(variant=variant) for variant in ("w=1", "w=3")]
    entries = {pair: entry(variant=pair.variant, output=pair.variant, settings_hash="h1") for pair in pairs}
    found = stale_pairs(
        {pair: pair.variant for pair in pairs},
        entries,
        content_digests={"cat.jpg": "c1"},
        style_digests={"s.jpg": "s1"},
        settings_hashes={"w=1": "h1", "w=3": "h3"},
        weights_hashes={"w=1": "w1", "w=3": "w1"},
        present={"w=1", "w=3"},
    )
    assert found == {pairs[1]: "settings changed"}


def test_equal_settings_have_equal_hashes_in_any_process() -> None:
    one = hash_settings({"b": [1, 2.5], "a": {"x": None}, "path": Path("a/b")})
    assert one == hash_settings({"path": "a/b", "a": {"x": None}, "b": (1, 2.5)})
    assert one != hash_settings({"path": "a/b", "a": {"x": None}, "b": (1, 2.6)})
    assert hash_settings({}) == hashlib.blake2b(b"{}", digest_size=16).hexdigest()


def test_what_is_prepared_is_shared_exactly_where_it_is_the_same() -> None:
    base = StyleConfig()
    same = {"iterations": 50, "style_weight": 2.0, "start": "noise", "tv": "l1", "seed": 4, "tile": 256}
    for kind in ("content", "style"):
        assert prepared_key(base.with_values(same), kind) == prepared_key(base, kind)
        for name, value in {"size": 256, "colours": "lab", "pooling": "max", "scales": 2}.items():
            assert prepared_key(base.with_values({name: value}), kind) != prepared_key(base, kind)
    other_scale = base.with_values({"style_scale": 2.0})
    assert prepared_key(other_scale, "content") == prepared_key(base, "content")
    assert prepared_key(other_scale, "style") != prepared_key(base, "style")


def test_every_setting_counts_for_a_rerun_but_those_without_effect() -> None:
    base = StyleConfig()
    changes = {
        "size": 64, "size_of": "area", "iterations": 9, "scales": 1, "coarser_iterations": 2.0,
        "start": "noise", "lr": 0.1, "optimizer": "adam", "averaging": 0.5, "content_weight": 2.0,
        "style_weight": 2.0, "tv_weight": 2.0,
        "tv": "l1", "statistics": "gram", "content_layers": ["relu3_1"], "style_layers": ["relu3_1"],
        "content_layer_weights": [1.0], "style_layer_weights": [1, 2, 3, 4], "style_blend": [1.0],
        "style_scale": 2.0, "colours": "lab", "features": "vgg19", "pooling": "max", "precision": "fp32",
        "seed": 3,
    }  # fmt: skip
    without_effect = {"tile": 128, "weights": "elsewhere.safetensors"}
    fields = {field.name for field in dataclasses.fields(StyleConfig)}
    assert set(changes) | set(without_effect) == fields, "a new setting must be sorted in here"
    hashes = {
        name: settings_hash(base.with_values({name: value}), start_digest="", quality=None)
        for name, value in changes.items()
    }
    own = settings_hash(base, start_digest="", quality=None)
    assert len({own, *hashes.values()}) == len(changes) + 1
    for name, value in without_effect.items():
        assert settings_hash(base.with_values({name: value}), start_digest="", quality=None) == own
    assert settings_hash(base, start_digest="d", quality=None) != own
    assert settings_hash(base, start_digest="", quality=80) != own


def test_pictures_of_version_0_1_0_stay_up_to_date() -> None:
    config = StyleConfig(size=300, statistics="gram")
    as_then = {
        "size": 300, "iterations": 200, "scales": (0.25, 0.5, 1.0), "coarser_iterations": 0.5,
        "start": "content", "optimizer": "lbfgs", "lr": 0.01, "averaging": 0.1, "content_weight": 1.0,
        "style_weight": 20.0, "tv_weight": 1.0, "tv": "l2", "statistics": "gram",
        "content_layers": ("relu4_1",), "content_layer_weights": (),
        "style_layers": ("relu1_1", "relu2_1", "relu3_1", "relu4_1"), "style_layer_weights": (),
        "style_blend": (), "style_scale": 1.0, "colours": "style", "features": "compact", "pooling": None,
        "precision": "auto", "seed": 0, "quality": None,
    }  # fmt: skip
    assert settings_hash(config, start_digest="", quality=None) == hash_settings(as_then)
