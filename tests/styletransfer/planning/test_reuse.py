"""Finished pictures under other names and formats: found by digest, copied with the same pixels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from styletransfer.pictures.writing import read_settings, write_picture
from styletransfer.planning.manifest import Manifest, read_manifest
from styletransfer.planning.plan import BatchPlan, make_plan
from styletransfer.planning.reuse import reuse
from tests.styletransfer.folders import make_folders, pixels, plan_of

pytestmark = pytest.mark.usefixtures("cache")

ALPHA = np.tile(np.array([0, 90, 255, 255], np.uint8), (6, 2))


def finish(plan: BatchPlan) -> None:
    """Leave behind what a batch would have left: a picture of random pixels for each pair."""
    with Manifest(plan.request.out) as manifest:
        for number, (pair, output) in enumerate(plan.outputs.items()):
            rgb = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
            settings = {"content": pair.content, "style": pair.style, "config": {"size": 8}}
            write_picture(plan.request.out, output, rgb, ALPHA, settings)
            plan.request.out.write(f"thumbs/output/{output}.jpg", b"small")
            manifest.record(plan.entry(pair))


def copied(plan: BatchPlan) -> int:
    entries = {pair: plan.entry(pair) for pair in plan.reusable}
    return reuse(plan.request.out, plan.reusable, entries, quality=plan.request.quality)


def test_a_renamed_style_is_recognized_and_nothing_is_lost(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 2, 1)
    finish(plan_of(*places))
    before = {name: pixels(tmp_path / "out" / name) for name in ("c0__s0.png", "c1__s0.png")}
    (tmp_path / "paintings" / "s0.png").rename(tmp_path / "paintings" / "starry.png")
    plan = plan_of(*places)
    assert plan.why() == "2 new" and len(plan.reusable) == 2 and plan.replaced == []
    assert copied(plan) == 2
    after = make_plan(plan.request)
    assert after.stale == [] and set(after.kept.values()) == set(before), "the sheet goes on showing both"
    for name, made in before.items():
        assert np.array_equal(pixels(tmp_path / "out" / name), made)
        new = tmp_path / "out" / name.replace("s0", "starry")
        assert np.array_equal(pixels(new), made)
        assert read_settings(new)["style"] == "starry.png" and read_settings(new)["config"] == {"size": 8}
        assert (tmp_path / "out" / "thumbs" / "output" / f"{new.name}.jpg").read_bytes() == b"small"
    entry = read_manifest(plan.request.out)[next(iter(plan.reusable))]
    assert entry.notes == ("the same as c0__s0.png: copied",)


@pytest.mark.parametrize(("format", "suffix"), [("jpeg", "jpg"), ("tiff", "tif"), ("webp", "webp")])
def test_another_format_is_converted_from_one_without_loss(tmp_path: Path, format: str, suffix: str) -> None:
    places = make_folders(tmp_path, 1, 1)
    finish(plan_of(*places))
    plan = plan_of(*places, "--format", format, "--quality", "90")
    assert copied(plan) == 1 and make_plan(plan.request).stale == []
    png = pixels(tmp_path / "out" / "c0__s0.png")
    with Image.open(tmp_path / "out" / f"c0__s0.{suffix}") as made:
        assert made.size == (8, 6) and made.mode == ("RGB" if format == "jpeg" else "RGBA")
        assert format != "tiff" or np.array_equal(np.asarray(made), png)


def test_a_lossy_picture_becomes_no_other_format_but_may_be_renamed(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 1, 1)
    finish(plan_of(*places, "--format", "jpeg"))
    assert plan_of(*places).reusable == {} and plan_of(*places, "--format", "webp").reusable == {}
    assert plan_of(*places, "--format", "jpeg", "--quality", "50").reusable == {}
    (tmp_path / "photos" / "c0.png").rename(tmp_path / "photos" / "me.png")
    assert copied(plan_of(*places, "--format", "jpeg")) == 1
    out = tmp_path / "out"
    assert (out / "me__s0.jpg").read_bytes() == (out / "c0__s0.jpg").read_bytes()


def test_other_settings_and_redo_reuse_nothing_and_no_file_is_overwritten(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 1, 2)
    finish(plan_of(*places))
    assert plan_of(*places, "--style-weight", "3").reusable == {}
    assert plan_of(*places, "--redo").reusable == {}
    first, second = (tmp_path / "paintings" / name for name in ("s0.png", "s1.png"))
    first.rename(tmp_path / "aside.png")
    second.rename(first)
    (tmp_path / "aside.png").rename(second)
    swapped = plan_of(*places)
    assert swapped.why() == "2 style changed" and swapped.reusable == {}


def test_a_picture_that_cannot_be_read_is_stylized_again(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 1, 1)
    finish(plan_of(*places))
    (tmp_path / "out" / "c0__s0.png").write_text("torn")
    plan = plan_of(*places, "--format", "tiff")
    assert len(plan.reusable) == 1 and copied(plan) == 0
    assert make_plan(plan.request).why() == "1 renamed"
