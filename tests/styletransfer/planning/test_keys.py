"""Which settings decide what is prepared, and what a rerun compares."""

import dataclasses

from styletransfer.config import StyleConfig
from styletransfer.planning.staleness import prepared_key, settings_hash


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
        "size": 64, "iterations": 9, "scales": 1, "coarser_iterations": 2.0, "start": "noise", "lr": 0.1,
        "optimizer": "adam", "averaging": 0.5, "content_weight": 2.0, "style_weight": 2.0, "tv_weight": 2.0,
        "tv": "l1", "statistics": "wasserstein", "content_layers": ["relu3_1"], "style_layers": ["relu3_1"],
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
