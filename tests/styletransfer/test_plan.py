"""What a batch decides before it begins: inputs, variants, order, what is up to date, crews, estimates."""

import dataclasses
import itertools
import os
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.errors import ConfigError
from perceptual.network import CompactNetwork
from styletransfer.config import StyleConfig
from styletransfer.crew import Crew, choose_crew, free_memory_bytes
from styletransfer.estimate import measured_seconds, pixel_steps, style_bytes, worker_bytes
from styletransfer.keys import prepared_key, settings_hash
from styletransfer.manifest import Entry, Manifest
from styletransfer.pairs import Pair, product
from styletransfer.plan import Plan, in_blocks
from styletransfer.variants import preview_of, variants_of
from tests.styletransfer.folders import make_folders, plan_of, save
from tests.styletransfer.tiny import tiny_config, tiny_network

pytestmark = pytest.mark.usefixtures("cache")


def finish(plan: Plan, *pairs: Pair, state: str = "done", seconds: float = 2.0) -> None:
    """Leave behind what a batch would have left of these pairs, or of all."""
    with Manifest(plan.request.out) as manifest:
        for pair in pairs or plan.outputs:
            plan.request.out.write(plan.outputs[pair], b"a picture")
            manifest.append(
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
                )
            )


def test_a_new_batch_has_the_whole_product_to_do(tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 3, 2))
    assert plan.todo == product(["c0.png", "c1.png", "c2.png"], ["s0.png", "s1.png"])
    assert set(plan.reasons.values()) == {"new"}
    assert plan.outputs[Pair("c1.png", "s0.png")] == "c1__s0.png"
    assert not (tmp_path / "out").exists(), "a plan writes nothing"


def test_a_rerun_does_only_what_is_missing_changed_or_failed(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 3, 2)
    finish(plan_of(*places))
    assert plan_of(*places).todo == []
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
        (["--batch", "3"], None),
        (["--scales", "1.0"], None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_changes_no_file_is_no_reason_to_draw_again(
    flags: list[str], reason: str | None, tmp_path: Path
) -> None:
    places = make_folders(tmp_path, 1, 1)
    finish(plan_of(*places))
    assert set(plan_of(*places, *flags).reasons.values()) == ({reason} if reason else set())


def test_a_preview_has_a_folder_of_its_own_that_no_picture_can_be_in(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 1, 1)
    save(tmp_path / "photos" / "_preview" / "c0.png")
    whole, preview = plan_of(*places), plan_of(*places, "--preview")
    assert preview.request.out.location == f"{tmp_path}/out/_preview"
    assert not any(name.startswith("_preview/") for name in whole.outputs.values())


def test_a_preview_is_small_whatever_is_asked_for() -> None:
    quick = preview_of(StyleConfig(size=4000, iterations=2000, scales=7, tile=512))
    assert (quick.size, quick.iterations, quick.tile) == (192, 60, 0)
    assert pixel_steps(quick) < 0.1 * pixel_steps(StyleConfig())
    assert preview_of(StyleConfig(size=100, iterations=5)).size == 100


def test_the_manifest_s_pairs_keep_their_names(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 1, 1)
    finish(plan_of(*places))
    save(tmp_path / "photos" / "c0.jpg")
    plan = plan_of(*places)
    assert plan.outputs[Pair("c0.png", "s0.png")] == "c0__s0.png"
    assert plan.todo == [Pair("c0.jpg", "s0.png")]


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
    assert plan.todo == [Pair("photos/c1.png", "paintings/s0.png")]


def test_masks_are_found_by_name_or_are_one_for_all(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 3, 1)
    save(tmp_path / "masks" / "c1.jpg")
    plan = plan_of(*places, "--mask", str(tmp_path / "masks"))
    kinds = {pair.content: [need.kind for need in plan.needs(pair)] for pair in plan.todo}
    plain, masked = ["content", "style"], ["content", "style", "mask"]
    assert kinds == {"c0.png": plain, "c1.png": masked, "c2.png": plain}
    one = plan_of(*places, "--mask", str(tmp_path / "masks" / "c1.jpg"))
    assert {need.name for pair in one.todo for need in one.needs(pair) if need.kind == "mask"} == {"c1.jpg"}

    finish(plan)
    save(tmp_path / "masks" / "c1.jpg", seed=5)
    again = plan_of(*places, "--mask", str(tmp_path / "masks"))
    assert again.reasons == {Pair("c1.png", "s0.png"): "content changed"}


def test_a_start_from_a_file_is_read_once_for_all_and_its_change_is_seen(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 2, 1)
    save(tmp_path / "start.png")
    plan = plan_of(*places, "--start", str(tmp_path / "start.png"))
    assert {need for pair in plan.todo for need in plan.needs(pair) if need.kind == "start"} == {
        plan.needs(plan.todo[0])[2]
    }
    finish(plan)
    assert plan_of(*places, "--start", str(tmp_path / "start.png")).todo == []
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


# --- sweeps


def test_a_sweep_is_every_combination_in_order_with_names_that_say_so(tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1), "--sweep", "style-weight=10,1", "--sweep", "tv=l1,l2")
    variants = ["style-weight=10, tv=l1", "style-weight=10, tv=l2", "style-weight=1, tv=l1"]
    variants.append("style-weight=1, tv=l2")
    assert list(plan.outputs) == plan.todo == product(["c0.png"], ["s0.png"], variants)
    assert plan.outputs[plan.todo[0]] == "c0__s0__style-weight=10-tv=l1.png"
    configs = plan.request.variants
    assert [(c.style_weight, c.tv) for c in configs.values()] == [
        (10, "l1"),
        (10, "l2"),
        (1, "l1"),
        (1, "l2"),
    ]
    assert len(set(plan.settings_hashes.values())) == 4
    assert len({need for pair in plan.todo for need in plan.needs(pair)}) == 2, "they share what is prepared"


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ("style-weight", "must be a setting and its values"),
        ("style-weight=", "must be a setting and its values"),
        ("=1,2", "--sweep  is no setting with one value"),
        ("style-weight=1,,2", "must be a setting and its values"),
        ("style-wieght=1,2", "style-wieght is no setting with one value; choose among size, "),
        ("style-layers=relu1_1,relu2_1", "style-layers is no setting with one value"),
        ("style-weight=1,1.0", "has the value 1 twice"),
        ("style-weight=1,many", "--style-weight is wrong"),
        ("style-weight=-1", "--style-weight must lie between"),
        ("tv=l3", "--tv is wrong"),
        ("seed=" + ",".join(map(str, range(1001))), "more than 1000 variants"),
    ],
    ids=lambda text: text[:30],
)
def test_a_sweep_that_is_none_is_one_line(sweep: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        variants_of(StyleConfig(), [sweep])
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_setting_is_swept_once() -> None:
    with pytest.raises(ConfigError, match="names lr twice"):
        variants_of(StyleConfig(), ["lr=0.1", "lr=0.2"])


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


# --- what follows from which settings


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
        "optimizer": "lbfgs", "averaging": 0.5, "content_weight": 2.0, "style_weight": 2.0, "tv_weight": 2.0,
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


# --- crews


GIB = 2**30


def crew(nodes: list[dict[str, float]], **options: object) -> Crew:
    defaults: dict[str, object] = {"wanted": None, "gpu": None, "most": 1000, "bytes_each": GIB}
    return choose_crew(nodes, **defaults | options)


@pytest.mark.parametrize(
    ("nodes", "options", "workers", "cpus", "gpu"),
    [
        ([{"CPU": 2}], {}, 2, 1, False),
        ([{"CPU": 8}], {"most": 3}, 3, 2, False),
        ([{"CPU": 8}], {"most": 1}, 1, 8, False),
        ([{"CPU": 8}], {"wanted": 2}, 2, 4, False),
        ([{"CPU": 8, "memory": 3.4 * GIB}], {}, 3, 2, False),
        ([{"CPU": 8, "memory": 0.5 * GIB}], {}, 1, 8, False),
        ([{"CPU": 4}, {"CPU": 2}, {}], {}, 6, 1, False),
        ([{"CPU": 4}, {"CPU": 2}], {"wanted": 2}, 2, 2, False),
        ([{"CPU": 8, "GPU": 2}], {}, 2, 4, True),
        ([{"CPU": 8, "GPU": 2}], {"gpu": False}, 8, 1, False),
        ([{"CPU": 8, "GPU": 2, "memory": 0.1 * GIB}], {}, 2, 4, True),
        ([{"CPU": 8, "GPU": 2}], {"wanted": 3}, 3, 2, False),
        ([{"CPU": 8, "GPU": 1}, {"CPU": 8}], {"gpu": True}, 1, 8, True),
    ],
)
def test_a_crew_fits_what_there_is(
    nodes: list[dict[str, float]], options: dict[str, object], workers: int, cpus: int, gpu: bool
) -> None:
    found = crew(nodes, **options)
    assert (found.workers, found.cpus, found.gpu) == (workers, cpus, gpu)


@pytest.mark.parametrize(
    ("nodes", "options", "message"),
    [
        ([{"CPU": 2}], {"wanted": 3}, "--workers 3 needs a CPU each, and there are 2; try --workers 2"),
        ([{"CPU": 2}], {"gpu": True}, "--gpu needs a GPU and there is none here"),
        ([{"CPU": 2, "GPU": 1}], {"gpu": True, "wanted": 2}, "--workers 2 needs a GPU each, and there are 1"),
        ([{"CPU": 0}], {}, "1 workers need a CPU each, and there are 0"),
    ],
)
def test_a_crew_that_has_no_place_is_refused(
    nodes: list[dict[str, float]], options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        crew(nodes, **options)


def test_want_of_memory_is_told() -> None:
    assert crew([{"CPU": 4, "memory": 2.5 * GIB}]).is_short_of_memory
    assert crew([{"CPU": 4, "memory": 2.5 * GIB}], wanted=4).is_short_of_memory
    assert not crew([{"CPU": 4, "memory": 9 * GIB}]).is_short_of_memory
    assert 2**26 < free_memory_bytes() < 2**50


# --- estimates


def test_pixel_steps_are_the_sum_over_the_scales() -> None:
    config = StyleConfig(size=400, iterations=30, scales=(0.25, 0.5, 1.0))
    by_hand = (100 * 75 + 200 * 150 + 400 * 300) * 10
    assert pixel_steps(config) == pytest.approx(by_hand)


def test_memory_grows_with_the_picture_and_shrinks_with_tiles() -> None:
    network = CompactNetwork(last_tap="relu4_1")
    sizes = [worker_bytes(StyleConfig(size=size), network) for size in (256, 512, 1024, 2048)]
    grown = [after - before for before, after in itertools.pairwise(sizes)]
    assert grown[1] == pytest.approx(4 * grown[0], rel=0.01)
    assert grown[2] == pytest.approx(4 * grown[1], rel=0.01)
    assert worker_bytes(StyleConfig(size=2048, tile=512), network) < sizes[2]
    assert worker_bytes(StyleConfig(size=512), network, batch=4) == pytest.approx(sizes[2], rel=0.01)


def test_a_prepared_style_is_as_large_as_its_moments() -> None:
    config = tiny_config(scales=2)
    expected = sum(4 * (channels + channels**2) for channels in (6, 8, 10)) * 2
    assert style_bytes(config, tiny_network()) == expected
    assert style_bytes(tiny_config(scales=2, colours="lab"), tiny_network()) == expected + 3 * 32**2


def test_the_calibration_measures_and_leaves_the_threads_alone() -> None:
    import torch

    before = torch.get_num_threads()
    seconds = measured_seconds(tiny_config(size=64, iterations=10), tiny_network(), threads=1)
    assert 0 < seconds < 60 and torch.get_num_threads() == before


def test_earlier_seconds_count_only_for_the_same_settings(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 2, 1)
    finish(plan_of(*places), Pair("c0.png", "s0.png"), seconds=3.0)
    assert plan_of(*places).seconds_before == {"": 3.0}
    assert plan_of(*places, "--style-weight", "3").seconds_before == {}
