"""What a batch decides before it begins: inputs, variants, order, what is up to date, estimates."""

import dataclasses
import itertools
import os
import random
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from common.errors import ConfigError
from common.storage.folder import Folder
from styletransfer.pictures.writing import write_picture
from styletransfer.planning.manifest import Entry, Manifest
from styletransfer.planning.pairs import Pair, product
from styletransfer.planning.plan import BatchPlan, in_blocks
from styletransfer.report.plan_lines import plan_lines
from tests.styletransfer.folders import make_folders, plan_of, save

pytestmark = pytest.mark.usefixtures("cache")


def finish(
    plan: BatchPlan, *pairs: Pair, state: Literal["done", "failed"] = "done", seconds: float = 2.0
) -> None:
    """Leave behind what a batch would have left of these pairs, or of all."""
    with Manifest(plan.request.out) as manifest:
        for pair in pairs or plan.outputs:
            plan.request.out.write(plan.outputs[pair], b"a picture")
            manifest.record(
                Entry(
                    content=pair.content,
                    style=pair.style,
                    variant=pair.variant,
                    output=plan.outputs[pair],
                    state=state,
                    seconds=seconds,
                    content_digest=plan.content_digests[pair.content],
                    style_digest=plan.style_digests[pair.style],
                    settings_hash=plan.settings_hashes[pair.variant],
                    weights_hash=plan.weights_hashes[pair.variant],
                    content_source=plan.sources["content"],
                    style_source=plan.sources["style"],
                )
            )


def test_a_new_batch_has_the_whole_product_to_do(tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 3, 2))
    assert plan.stale == product(["c0.png", "c1.png", "c2.png"], ["s0.png", "s1.png"])
    assert set(plan.reasons.values()) == {"new"}
    assert plan.outputs[Pair("c1.png", "s0.png")] == "c1__s0.png"
    assert not (tmp_path / "out").exists(), "a plan writes nothing"


def test_a_rerun_does_only_what_is_missing_changed_or_failed(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 3, 2)
    finish(plan_of(*places))
    assert plan_of(*places).stale == []
    (tmp_path / "out" / "c0__s0.png").unlink()
    save(tmp_path / "photos" / "c1.png", seed=77)
    save(tmp_path / "photos" / "new.png")
    finish(plan_of(*places), Pair("c2.png", "s1.png"), state="failed")
    assert plan_of(*places).reasons == {
        Pair("c0.png", "s0.png"): "file gone",
        Pair("c1.png", "s0.png"): "content changed",
        Pair("c1.png", "s1.png"): "content changed",
        Pair("c2.png", "s1.png"): "failed before",
        Pair("new.png", "s0.png"): "new",
        Pair("new.png", "s1.png"): "new",
    }


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (["--style-weight", "3"], "settings changed"),
        (["--seed", "1"], "settings changed"),
        (["--weights", "random:1"], "weights changed"),
        (["--pooling", "max"], "settings changed"),
        (["--format", "webp"], "settings changed"),
        (["--quality", "50", "--format", "jpeg"], "settings changed"),
        (["--format", "tiff"], "renamed"),
        (["--redo"], "asked for"),
        (["--tile", "64"], None),
        (["--quality", "50"], None),
        (["--workers", "3"], None),
        (["--scales", "1.0"], None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_changes_no_file_is_no_reason_to_stylize_again(
    flags: list[str], reason: str | None, tmp_path: Path
) -> None:
    places = make_folders(tmp_path, 1, 1)
    finish(plan_of(*places))
    assert set(plan_of(*places, *flags).reasons.values()) == ({reason} if reason else set())


def test_a_file_that_was_not_made_here_is_not_overwritten(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 1, 1)
    save(tmp_path / "out" / "c0__s0.png")
    with pytest.raises(ConfigError, match=r"c0__s0.png is in the way of a picture and was not made here"):
        plan_of(*places)
    with pytest.raises(ConfigError, match="move it away or name another folder"):
        plan_of(*places, "--redo")


def test_a_picture_that_a_killed_batch_left_without_its_line_is_stylized_again(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 1, 1)
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    write_picture(Folder(str(tmp_path / "out")), "c0__s0.png", pixels, None, {"size": 8})
    assert list(plan_of(*places).reasons.values()) == ["new"]


def test_a_preview_has_a_folder_of_its_own_that_no_picture_can_be_in(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 1, 1)
    save(tmp_path / "photos" / "_preview" / "c0.png")
    whole, preview = plan_of(*places), plan_of(*places, "--preview")
    assert preview.request.out.location == f"{tmp_path}/out/_preview"
    assert not any(name.startswith("_preview/") for name in whole.outputs.values())


def test_the_manifest_s_pairs_keep_their_names(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 1, 1)
    finish(plan_of(*places))
    save(tmp_path / "photos" / "c0.jpg")
    plan = plan_of(*places)
    assert plan.outputs[Pair("c0.png", "s0.png")] == "c0__s0.png"
    assert plan.stale == [Pair("c0.jpg", "s0.png")]


# --- nothing of the user's is overwritten in silence


def test_finished_pictures_of_other_files_with_the_same_names_are_kept_unless_redo(tmp_path: Path) -> None:
    photos, paintings, out = make_folders(tmp_path, 1, 1)
    finish(plan_of(photos, paintings, out))
    save(tmp_path / "other" / "c0.png", seed=40)
    other = str(tmp_path / "other")
    with pytest.raises(
        ConfigError, match=r"1 finished picture of other files with the same names, such as c0__s0\.png"
    ):
        plan_of(other, paintings, out)
    with pytest.raises(ConfigError, match="name another folder for the results, or give --redo"):
        plan_of(photos, other_style(tmp_path), out)
    assert plan_of(other, paintings, out, "--redo").replaced == ["c0__s0.png"]
    save(tmp_path / "photos" / "c0.png", seed=41)
    assert set(plan_of(photos, paintings, out).reasons.values()) == {"content changed"}, "edited in its place"


def other_style(root: Path) -> str:
    save(root / "styles2" / "s0.png", seed=42)
    return str(root / "styles2")


def test_a_project_that_was_moved_as_a_whole_knows_its_photos(tmp_path: Path) -> None:
    finish(plan_of(*make_folders(tmp_path / "here", 1, 1)))
    (tmp_path / "here").rename(tmp_path / "there")
    save(tmp_path / "there" / "photos" / "c0.png", seed=41)
    places = [str(tmp_path / "there" / name) for name in ("photos", "paintings", "out")]
    assert set(plan_of(*places).reasons.values()) == {"content changed"}


def test_a_manifest_of_an_earlier_version_does_not_say_where_photos_were(tmp_path: Path) -> None:
    photos, paintings, out = make_folders(tmp_path, 1, 1)
    plan = plan_of(photos, paintings, out)
    finish(dataclasses.replace(plan, sources={"content": "", "style": ""}))
    save(tmp_path / "other" / "c0.png", seed=40)
    assert plan_of(photos, paintings, out).stale == []
    assert set(plan_of(str(tmp_path / "other"), paintings, out).reasons.values()) == {"content changed"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("index.html", "<html>my homepage</html>"),
        ("thumbs/mine.jpg", "my thumbnail"),
        ("manifest.jsonl", "a manifest of something else"),
    ],
)
def test_a_foreign_page_thumbnail_or_manifest_is_refused(name: str, content: str, tmp_path: Path) -> None:
    places = make_folders(tmp_path, 1, 1)
    (tmp_path / "out" / name).parent.mkdir(parents=True)
    (tmp_path / "out" / name).write_text(content)
    for flags in ((), ("--redo",)):
        with pytest.raises(
            ConfigError, match=r"not made here.*move it away|no \w+( \w+)? that was made here"
        ):
            plan_of(*places, *flags)
    assert (tmp_path / "out" / name).read_text() == content


def test_own_pages_and_torn_manifests_are_no_foreign_files(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 1, 1)
    (tmp_path / "out" / "thumbs" / "output").mkdir(parents=True)
    (tmp_path / "out" / "manifest.jsonl").write_text('{"content":"c0.p')
    for page in (
        "<style>:root { color-scheme: light dark;\n  --side: 168px;",  # of version 0.1.0
        '<meta name="generator" content="styletransfer">',
        "",
    ):
        (tmp_path / "out" / "index.html").write_text(page)
        assert len(plan_of(*places).stale) == 1


def test_a_picture_made_here_of_other_pictures_is_not_overwritten(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 1, 1)
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    write_picture(
        Folder(str(tmp_path / "out")), "c0__s0.png", pixels, None, {"content": "c0.png", "style": "z.png"}
    )
    with pytest.raises(
        ConfigError, match=r"c0__s0\.png is in the way .+ was made of c0\.png and z\.png; move"
    ):
        plan_of(*places)


def test_what_is_replaced_is_said_with_the_settings_that_changed(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 2, 1)
    plan = plan_of(*places)
    assert list(plan_lines(plan)) == []
    finish(plan)
    [config] = plan.request.variants.values()
    pixels = np.zeros((8, 8, 3), dtype=np.uint8)
    write_picture(plan.request.out, "c0__s0.png", pixels, None, {"config": config.to_dict()})
    again = plan_of(*places, "--size", "64", "--style-weight", "5")
    assert again.why() == "2 settings changed"
    assert list(plan_lines(again)) == [
        "2 pictures will be replaced, such as c0__s0.png "
        "(--size 32 is now 64, --style-weight 20.0 is now 5.0)"
    ]


# --- pairs, masks, a start


def write_pairs(root: Path, text: str) -> str:
    (root / "pairs.csv").write_text(text)
    return str(root / "pairs.csv")


def test_a_table_of_pairs_replaces_the_product_and_needs_no_folders(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 2, 2)
    table = write_pairs(tmp_path, "content,style,output\nc1.png,s0.png,mine/a.jpg\nc0.png,s1.png,\n")
    plan = plan_of(*places, "--pairs", table)
    assert plan.outputs == {
        Pair("c1.png", "s0.png"): "mine/a.jpg",
        Pair("c0.png", "s1.png"): "c0__s1.png",
    }
    table = write_pairs(tmp_path, "content,style\nphotos/c1.png,paintings/s0.png\n")
    plan = plan_of(places[2], "--pairs", table)
    assert plan.stale == [Pair("photos/c1.png", "paintings/s0.png")]


def test_a_single_content_or_style_that_cannot_be_read_is_refused_before_anything_is_stylized(
    tmp_path: Path,
) -> None:
    photos, paintings, out = make_folders(tmp_path, 1, 1)
    whole = (tmp_path / "photos" / "c0.png").read_bytes()
    (tmp_path / "torn.png").write_bytes(whole[: len(whole) // 2])
    for places, name in (
        ([str(tmp_path / "torn.png"), paintings, out], "CONTENTS"),
        ([photos, str(tmp_path / "torn.png"), out], "STYLES"),
    ):
        with pytest.raises(ConfigError, match=f"^{name} torn.png cannot be read: "):
            plan_of(*places)
    Image.new("RGBA", (9, 9)).save(tmp_path / "ghost.png")
    with pytest.raises(ConfigError, match=r"^STYLES ghost\.png cannot be read: transparent everywhere"):
        plan_of(photos, str(tmp_path / "ghost.png"), out)
    (tmp_path / "photos" / "torn.png").write_bytes(whole[: len(whole) // 2])
    assert len(plan_of(photos, paintings, out).stale) == 2, "in a folder it fails alone"


@pytest.mark.parametrize("flag", ["--mask", "--start"])
def test_a_mask_or_start_for_all_that_is_no_picture_is_seen_before_anything_is_stylized(
    tmp_path: Path, flag: str
) -> None:
    places = make_folders(tmp_path, 1, 1)
    (tmp_path / "words.jpg").write_text("no picture")
    with pytest.raises(ConfigError, match=f"^{flag} words.jpg cannot be read: not a picture"):
        plan_of(*places, flag, str(tmp_path / "words.jpg"))


def test_masks_are_found_by_name_or_are_one_for_all(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 3, 1)
    save(tmp_path / "masks" / "c1.jpg")
    plan = plan_of(*places, "--mask", str(tmp_path / "masks"))
    kinds = {pair.content: [need.kind for need in plan.needs(pair)] for pair in plan.stale}
    plain, masked = ["content", "style"], ["content", "style", "mask"]
    assert kinds == {"c0.png": plain, "c1.png": masked, "c2.png": plain}
    one = plan_of(*places, "--mask", str(tmp_path / "masks" / "c1.jpg"))
    assert {need.name for pair in one.stale for need in one.needs(pair) if need.kind == "mask"} == {"c1.jpg"}

    finish(plan)
    save(tmp_path / "masks" / "c1.jpg", seed=5)
    again = plan_of(*places, "--mask", str(tmp_path / "masks"))
    assert again.reasons == {Pair("c1.png", "s0.png"): "content changed"}


def test_a_start_from_a_file_is_read_once_for_all_and_its_change_is_seen(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 2, 1)
    save(tmp_path / "start.png")
    plan = plan_of(*places, "--start", str(tmp_path / "start.png"))
    assert {need for pair in plan.stale for need in plan.needs(pair) if need.kind == "start"} == {
        plan.needs(plan.stale[0])[2]
    }
    finish(plan)
    assert plan_of(*places, "--start", str(tmp_path / "start.png")).stale == []
    save(tmp_path / "start.png", seed=9)
    again = plan_of(*places, "--start", str(tmp_path / "start.png"))
    assert set(again.reasons.values()) == {"settings changed"}


def test_a_file_that_went_away_since_is_one_line(tmp_path: Path) -> None:
    inputs = plan_of(*make_folders(tmp_path, 1, 1)).request.inputs
    assert inputs.read("content", "c0.png") == (tmp_path / "photos" / "c0.png").read_bytes()
    (tmp_path / "photos" / "c0.png").unlink()
    with pytest.raises(ConfigError, match=r"c0\.png cannot be read: no such file"):
        inputs.read("content", "c0.png")
    os.mkfifo(tmp_path / "photos" / "c0.png")
    with pytest.raises(ConfigError, match=r"c0\.png cannot be read"):
        inputs.read("content", "c0.png")


# --- the order


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    at_once=st.integers(1, 10),
    share=st.floats(0.1, 1),
    lot=st.randoms(use_true_random=False),
)
def test_the_order_needs_few_styles_at_a_time_and_loses_nothing(
    shape: tuple[int, int], at_once: int, share: float, lot: random.Random
) -> None:
    pairs = product([f"c{i}" for i in range(shape[0])], [f"s{i}" for i in range(shape[1])], ["", "v"])
    pairs = lot.sample(pairs, max(1, round(share * len(pairs))))
    order = in_blocks(pairs, at_once)
    assert sorted(order) == sorted(pairs)
    places = {style: [i for i, pair in enumerate(order) if pair.style == style] for _, style, _ in order}
    for place in range(len(order)):
        open_styles = [s for s, used in places.items() if used[0] <= place <= used[-1]]
        assert len(open_styles) <= at_once
    runs = [content for content, _ in itertools.groupby(order, key=lambda pair: pair.content)]
    assert max(map(runs.count, runs)) <= -(-shape[1] // at_once)


def test_earlier_seconds_count_only_for_the_same_settings(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 2, 1)
    finish(plan_of(*places), Pair("c0.png", "s0.png"), seconds=3.0)
    assert plan_of(*places).seconds_before == {"": 3.0}
    assert plan_of(*places, "--style-weight", "3").seconds_before == {}
