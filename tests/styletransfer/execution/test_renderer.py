"""What a worker does, without Ray: its pictures are those of a single call, and it survives errors."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from styletransfer.config import StyleConfig
from styletransfer.execution import renderer
from styletransfer.execution.output_writer import Finished, OutputWriter
from styletransfer.execution.partial import load_partial, partial_name, save_partial, tidy_partials
from styletransfer.execution.prepare import KINDS, PairInputs
from styletransfer.execution.renderer import Renderer, is_out_of_memory, smaller_tiles
from styletransfer.execution.result_log import BatchError, ResultLog
from styletransfer.execution.too_large import TooLarge, Work
from styletransfer.pictures.reading import read_picture
from styletransfer.pictures.writing import read_settings
from styletransfer.planning.manifest import MANIFEST_NAME, Entry, Manifest, read_manifest
from styletransfer.planning.pairs import Need, Pair
from styletransfer.planning.plan import BatchPlan
from styletransfer.planning.staleness import NetworkKey
from styletransfer.transfer import stylize
from styletransfer.transfer.midway import Midway
from styletransfer.transfer.request import TransferRequest
from styletransfer.transfer.stylize import Stylized
from tests.styletransfer.folders import make_folders, pixels, plan_of, save, stylized_alone

pytestmark = pytest.mark.usefixtures("cache")


def renderer_for(plan: BatchPlan, probe: str = "") -> Renderer:
    """A renderer that writes into the plan's folder."""
    request = plan.request
    writer = OutputWriter(out=request.out.location, probe=probe, quality=request.quality)
    return Renderer(request.variants, request.networks, writer)


def stylized(
    plan: BatchPlan, worker: Renderer, *, is_repeat: bool = False, notes: tuple[str, ...] = ()
) -> list[Finished]:
    """Prepare what the pairs need and stylize them together, each with `notes` on its entry."""
    entries, pictures = [], []
    with Manifest(plan.request.out) as manifest:
        log = ResultLog(plan, manifest)
    for pair in plan.stale:
        entries.append(log.entry(pair, notes=notes))
        needs = {need.kind: need for need in plan.needs(pair)}
        for kind in KINDS:
            picture = None
            if kind in needs:
                data = plan.request.inputs.read(kind, needs[kind].name)
                result, picture = worker.prepare(needs[kind], pair.variant, data)
                assert result.error is None and not result.files
            pictures.append(picture)
    return worker.stylize(entries, is_repeat, *pictures)


def entries_of(*args: Any, **options: Any) -> list[Entry]:
    """The same, where the renderer writes all files itself."""
    found = stylized(*args, **options)
    assert all(files == {} for _, files in found)
    return [entry for entry, _ in found]


def test_prepared_pictures_are_in_the_order_of_the_kinds() -> None:
    assert PairInputs._fields == KINDS


@pytest.mark.parametrize("colours", ["style", "lab", "luminance"])
def test_a_pair_is_stylized_as_by_a_single_call(colours: str, tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1), "--colours", colours, "--scales", "2")
    [entry] = entries_of(plan, renderer_for(plan))
    assert (entry.state, entry.error, entry.size_px) == ("done", None, (32, 24))
    assert entry.seconds is not None and entry.seconds > 0
    assert set(entry.losses) == {"content", "style", "variation", "total"}
    made = pixels(tmp_path / "out" / "c0__s0.png")
    assert np.array_equal(made, stylized_alone(plan, tmp_path, "c0.png", "s0.png"))
    assert (tmp_path / "out" / "thumbs" / "output" / "c0__s0.png.jpg").exists()


def test_pairs_stylized_together_are_as_alone(tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 2, 2))
    entries = entries_of(plan, renderer_for(plan))
    assert [each.pair for each in entries] == plan.stale and all(each.error is None for each in entries)
    for pair in plan.stale:
        alone = stylized_alone(plan, tmp_path, pair.content, pair.style)
        made = pixels(tmp_path / "out" / plan.outputs[pair])
        assert np.abs(made.astype(int) - alone).max() <= 2


def test_the_file_says_how_it_was_made(tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1), "--sweep", "style-weight=3")
    entries_of(plan, renderer_for(plan))
    record = read_settings(tmp_path / "out" / "c0__s0__style-weight=3.png")
    assert (record["content"], record["style"]) == ("c0.png", "s0.png")
    assert StyleConfig.from_dict(record["config"]) == plan.request.variants["style-weight=3"]
    [network] = plan.request.networks.values()
    assert record["weights_hash"] == network.digest


def test_masks_and_starts_and_alpha_have_their_effect(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 0, 1)
    rgba = np.zeros((24, 32, 4), np.uint8)
    rgba[..., :3] = 200
    rgba[:12, :, 3] = 255
    (tmp_path / "photos").mkdir()
    Image.fromarray(rgba).save(tmp_path / "photos" / "c0.png")
    mask = np.zeros((24, 32), np.uint8)
    mask[:, 16:] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    flags = ["--mask", str(tmp_path / "mask.png"), "--start", str(tmp_path / "start.png")]
    save(tmp_path / "start.png", 32, 24)
    plan = plan_of(*places, *flags)
    [entry] = entries_of(plan, renderer_for(plan))
    made = pixels(tmp_path / "out" / "c0__s0.png")
    assert np.array_equal(made[..., 3], rgba[..., 3])
    assert np.abs(made[:12, :14, :3].astype(int) - 200).max() <= 1, "the content where no style goes"
    assert np.abs(made[:12, 18:, :3].astype(int) - 200).max() > 20, "the start where it goes"
    assert entry.notes == ()


def test_a_file_that_is_not_a_picture_is_reported_as_a_result(tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1))
    for kind in ("content", "style", "mask", "start"):
        result, picture = renderer_for(plan).prepare(Need(kind, "odd.jpg", ""), "", b"hello")
        assert picture is None
        assert result.error == (
            "odd.jpg cannot be read: not a picture of a known kind; replace it or move it away"
        )


# --- where the results go


def test_a_worker_that_does_not_see_the_folder_hands_its_files_back(tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".probe").touch()
    far, inputs, pictures = renderer_for(plan, probe=".another-probe"), plan.request.inputs, {}
    for kind, name in (("content", "c0"), ("style", "s0")):
        need = Need(kind, f"{name}.png", "")
        result, pictures[kind] = far.prepare(need, "", inputs.read(kind, need.name))
        assert [file.partition("~")[0] for file in result.files] == [f"thumbs/{kind}/{name}"]
    with Manifest(plan.request.out) as manifest:
        log = ResultLog(plan, manifest)
        [(entry, files)] = far.stylize([log.entry(plan.stale[0])], False, *map(pictures.get, KINDS))
        assert list(files) == ["c0__s0.png", "thumbs/output/c0__s0.png.jpg"]
        assert read_picture(files["c0__s0.png"]).size_px == (32, 24)
        assert {path.name for path in (tmp_path / "out").iterdir()} == {".probe", MANIFEST_NAME}
        log.record(entry, files)
    assert read_settings(tmp_path / "out" / "c0__s0.png")["content"] == "c0.png"
    near = renderer_for(plan, probe=".probe")
    assert near.prepare(need, "", inputs.read("style", "s0.png"))[0].files == {}


def test_a_picture_that_cannot_be_written_is_a_failure_and_five_in_a_row_end_the_batch(
    tmp_path: Path,
) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1))
    (tmp_path / "out" / "c0__s0.png" / "in the way").mkdir(parents=True)
    [(entry, files)] = stylized(plan, renderer_for(plan))
    assert entry.error is None and list(files) == ["c0__s0.png"], "the driver tries too"
    with Manifest(plan.request.out) as manifest:
        log = ResultLog(plan, manifest)
        log.record(entry, files)
        failed = read_manifest(plan.request.out)[entry.pair]
        assert failed.state == "failed" and failed.error is not None and failed.losses == {}
        assert "c0__s0.png cannot be written" in failed.error and "\n" not in failed.error
        assert (log.done, log.failed, log.seconds) == (0, 1, 0) and failed.error in log.first_error
        for _ in range(3):
            log.record(entry, files)
        with pytest.raises(BatchError, match=r"5 pictures in a row: .+cannot be written"):
            log.record(entry, files)


def test_a_thumbnail_that_cannot_be_written_fails_no_pair(tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thumbs").touch()
    worker = renderer_for(plan)
    for need in plan.needs(plan.stale[0]):
        data = plan.request.inputs.read(need.kind, need.name)
        assert len(worker.prepare(need, "", data)[0].files) == 1
    with Manifest(plan.request.out) as manifest:
        log = ResultLog(plan, manifest)
        log.record(log.entry(plan.stale[0]), {"thumbs/output/c0__s0.png.jpg": b"small"})
        assert (log.done, log.failed) == (1, 0)


# --- too little memory


def test_a_lack_of_memory_is_known_from_what_libraries_really_say() -> None:
    errors: list[BaseException] = []
    for attempt in (lambda: torch.empty(2**50), lambda: np.empty(2**50), lambda: bytearray(2**60)):
        with pytest.raises((RuntimeError, MemoryError)) as caught:
            attempt()
        errors.append(caught.value)
    assert all(map(is_out_of_memory, errors))
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_out_of_memory(RuntimeError("sizes do not match")) and not is_out_of_memory(ValueError())


def test_tiles_become_smaller_than_what_was_too_large() -> None:
    assert smaller_tiles(0, 4000) == [1024, 512, 256, 128]
    assert smaller_tiles(512, 4000) == [256, 128]
    assert smaller_tiles(0, 200) == [128] and smaller_tiles(0, 64) == []


@pytest.fixture
def short_of_memory(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Memory is enough for one pair in tiles of 128 pixels; returns what was tried: (pairs, tile)."""
    tried: list[tuple[int, int]] = []
    honest = stylize.stylize_together

    def greedy(jobs: Sequence[TransferRequest], config: StyleConfig, **options: Any) -> list[Stylized]:
        tried.append((len(jobs), config.tile))
        if len(jobs) > 1 or not 0 < config.tile <= 128:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return honest(jobs, config, **options)

    monkeypatch.setattr(renderer, "stylize_together", greedy)
    return tried


def test_a_lack_of_memory_falls_back_to_tiles_with_a_note_and_changes_no_picture(
    short_of_memory: list[tuple[int, int]], tmp_path: Path
) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1), "--size", "300", "--iterations", "1")
    [entry] = entries_of(plan, renderer_for(plan))
    assert short_of_memory == [(1, 0), (1, 256), (1, 128)]
    assert entry.notes == ("out of memory: stylized in tiles of 128 pixels",)
    assert entry.size_px == (300, 225)
    made = pixels(tmp_path / "out" / "c0__s0.png").astype(int)
    assert np.abs(made - stylized_alone(plan, tmp_path, "c0.png", "s0.png")).max() <= 1


def test_a_lack_of_memory_for_a_batch_falls_back_to_single_pairs(
    short_of_memory: list[tuple[int, int]], tmp_path: Path
) -> None:
    plan = plan_of(*make_folders(tmp_path, 2, 1), "--tile", "128")
    entries = entries_of(plan, renderer_for(plan))
    assert short_of_memory == [(2, 128), (1, 128), (1, 128)]
    assert {each.notes for each in entries} == {("out of memory with 2 pairs together: stylized alone",)}
    assert all(each.error is None for each in entries)


def test_what_was_too_large_once_is_not_tried_with_the_next_pair(
    short_of_memory: list[tuple[int, int]], tmp_path: Path
) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1), "--size", "300", "--iterations", "1")
    worker = renderer_for(plan)
    entries_of(plan, worker)
    assert short_of_memory == [(1, 0), (1, 256), (1, 128)]
    [again] = entries_of(plan, worker)
    assert short_of_memory[3:] == [(1, 128)]
    assert again.notes == ("out of memory: stylized in tiles of 128 pixels",)
    small = plan_of(*make_folders(tmp_path, 1, 1), "--size", "140", "--iterations", "1")
    worker = renderer_for(small)
    entries_of(small, worker)
    del short_of_memory[:]
    entries_of(small, worker)
    assert short_of_memory == [(1, 128)]


def test_a_batch_of_pairs_that_was_too_large_is_not_tried_again(
    short_of_memory: list[tuple[int, int]], tmp_path: Path
) -> None:
    plan = plan_of(*make_folders(tmp_path, 2, 1), "--tile", "128")
    worker = renderer_for(plan)
    entries_of(plan, worker)
    del short_of_memory[:]
    entries_of(plan, worker)
    assert short_of_memory == [(1, 128), (1, 128)]


def test_smaller_pictures_are_tried_whole_after_larger_ones_were_too_large() -> None:
    known, key = TooLarge(), NetworkKey("compact", None, None, "relu4_1")
    known.add(Work("pair", key, 1000), 0)
    known.add(Work("pair", key, 800), 512)
    sides = [0, 512, 256, 128]
    assert known.left(Work("pair", key, 1000), sides) == [256, 128]
    assert known.left(Work("pair", key, 900), sides) == [0, 256, 128]
    assert known.left(Work("pair", key, 500), sides) == sides
    assert known.left(Work("content", key, 1000), sides) == sides, "other work needs other memory"
    known.add(Work("pair", key, 10), 128)
    assert known.left(Work("pair", key, 10), [128]) == [128], "the last is always tried"


# --- long pairs


def test_a_pair_that_was_interrupted_goes_on_from_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renderer, "SECONDS_BETWEEN_SAVES", 0.0)
    monkeypatch.setattr(renderer, "SHARE_OF_TIME", 1e9)
    plan = plan_of(*make_folders(tmp_path, 1, 1), "--scales", "2", "--iterations", "40")
    worker, seen = renderer_for(plan), []
    honest = stylize.stylize_together

    def dies_after(evaluations: int | None) -> Any:
        def run(*args: Any, on_step: Any, **options: Any) -> Any:
            def step(progress: Any) -> None:
                on_step(progress)
                seen.append(worker.steps)
                if progress.done == evaluations:
                    raise KeyboardInterrupt  # nothing catches it: as if the process were gone

            return honest(*args, on_step=step, **options)

        return run

    monkeypatch.setattr(renderer, "stylize_together", dies_after(30))
    with pytest.raises(KeyboardInterrupt):
        entries_of(plan, worker)
    [partial] = (tmp_path / "out" / ".partial").iterdir()
    assert partial.stat().st_size < 24 * 32 * 3 * 2 + 500, "half precision, whatever the optimizer remembers"
    assert seen[-1] == (0, 30, 40)

    monkeypatch.setattr(renderer, "stylize_together", dies_after(None))
    del seen[:]
    [entry] = entries_of(plan, worker)
    assert 20 < seen[0].begun <= 30 and seen[-1] == (seen[0].begun, 40, 40)
    assert entry.state == "done" and entry.notes == ("interrupted, and gone on with from where it was",)
    assert worker.steps == (0, 0, 0) and not list((tmp_path / "out" / ".partial").iterdir())
    made = pixels(tmp_path / "out" / "c0__s0.png").astype(int)
    alone = stylized_alone(plan, tmp_path, "c0.png", "s0.png").astype(int)
    start = np.asarray(Image.open(tmp_path / "photos" / "c0.png").resize((32, 24))).astype(int)
    assert np.abs(made - alone).mean() < 0.5 * np.abs(start - alone).mean()
    [undisturbed] = entries_of(plan, worker)
    assert undisturbed.notes == () and undisturbed.losses["total"] == pytest.approx(
        entry.losses["total"], rel=0.2
    )


def test_damaged_or_foreign_partial_pictures_are_passed_over_and_tidied(tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 2, 1))
    out, entries = plan.request.out, [plan.entry(pair) for pair in plan.stale]
    midway = Midway(pictures=torch.rand(1, 3, 24, 32), scale=0, evaluations=1, seconds=2.5)
    assert load_partial(out, entries[0]) is None
    for entry in entries:
        save_partial(out, entry, midway)
    found = load_partial(out, entries[0])
    assert found is not None and found[1:] == (0, 1, 2.5)
    assert (found.pictures - midway.pictures).abs().max() < 1e-3
    changed = dataclasses.replace(entries[0], settings_hash="another")
    assert load_partial(out, changed) is None
    tidy_partials(out, entries[:1])
    assert load_partial(out, entries[0]) is not None and load_partial(out, entries[1]) is None
    for damaged in (b"", b"torn", b"\xff" * 64):
        out.write(partial_name(entries[0]), damaged)
        assert load_partial(out, entries[0]) is None
    save_partial(out, entries[0], midway._replace(pictures=torch.rand(1, 3, 5, 5)))
    assert entries_of(plan, renderer_for(plan))[0].state == "done", "of another size: begun anew"
    tidy_partials(out, [])
    assert not (tmp_path / "out" / ".partial").exists()


# --- blends, threads, sizes of styles


@pytest.mark.parametrize("colours", ["style", "lab"])
def test_a_folder_of_styles_is_one_style_blended_by_its_weights(colours: str, tmp_path: Path) -> None:
    photos, paintings, out = make_folders(tmp_path, 1, 0)
    for index, name in enumerate(("both/a.png", "both/b.png")):
        save(tmp_path / "paintings" / name, 40, 40, seed=100 + index)
    flags = ["--blend-folders", "--style-blend", "1", "3", "--colours", colours]
    plan = plan_of(photos, paintings, out, *flags)
    assert plan.outputs == {Pair("c0.png", "both"): "c0__both.png"}
    [entry] = entries_of(plan, renderer_for(plan))
    assert entry.error is None
    [config], [network] = plan.request.variants.values(), plan.request.networks.values()
    photo = read_picture(tmp_path / "photos" / "c0.png", long_side_px=32, enlarge=True).rgb
    styles = [
        read_picture(tmp_path / "paintings" / "both" / name, long_side_px=32).rgb
        for name in ("a.png", "b.png")
    ]
    alone = stylize.stylize(photo, styles, config, network=network).picture
    assert np.array_equal(pixels(tmp_path / "out" / "c0__both.png"), np.rint(alone * 255).astype(np.uint8))

    before = plan.style_digests["both"]
    save(tmp_path / "paintings" / "both" / "b.png", 40, 40, seed=200)
    assert plan_of(photos, paintings, out, *flags).style_digests["both"] != before


def test_pictures_at_the_top_are_one_style_by_the_name_of_their_folder(tmp_path: Path) -> None:
    places = make_folders(tmp_path, 1, 2)
    save(tmp_path / "paintings" / "late" / "x.png")
    plan = plan_of(*places, "--blend-folders")
    assert [pair.style for pair in plan.stale] == ["late", "paintings"]
    assert plan.request.inputs.pictures_of("paintings") == ("s0.png", "s1.png")


def test_the_manifest_says_with_how_many_threads_a_picture_was_made(tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1))
    [entry] = entries_of(plan, renderer_for(plan))
    assert entry.threads == torch.get_num_threads()


@pytest.mark.parametrize(("size_of", "size_px"), [("shorter", (128, 32)), ("area", (64, 16))])
def test_a_panorama_is_made_as_large_as_its_shorter_side_or_area_says(
    size_of: str, size_px: tuple[int, int], tmp_path: Path
) -> None:
    places = make_folders(tmp_path, 0, 1)
    rgba = np.full((20, 80, 4), 200, np.uint8)
    rgba[:5, :, 3] = 100
    (tmp_path / "photos").mkdir()
    Image.fromarray(rgba).save(tmp_path / "photos" / "wide.png")
    save(tmp_path / "mask.png", 80, 20)
    plan = plan_of(*places, "--size-of", size_of, "--mask", str(tmp_path / "mask.png"))
    [entry] = entries_of(plan, renderer_for(plan))
    assert (entry.error, entry.size_px) == (None, size_px)


def test_a_style_smaller_than_its_strokes_should_be_is_noted(tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1), "--sweep", "style-scale=1,1.25,3")
    notes = {entry.variant: entry.notes for entry in entries_of_each(plan)}
    note = "style: 40 pixels long, and --style-scale asks for 96: taken as large as it is"
    assert notes == {"style-scale=1": (), "style-scale=1.25": (), "style-scale=3": (note,)}


def entries_of_each(plan: BatchPlan) -> list[Entry]:
    """The entries of pairs that are stylized one by one."""
    worker = renderer_for(plan)
    return [
        entry for pair in plan.stale for entry in entries_of(dataclasses.replace(plan, stale=[pair]), worker)
    ]


def test_where_no_tile_is_small_enough_the_pair_fails_with_the_reason(
    short_of_memory: list[tuple[int, int]], tmp_path: Path
) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1))
    [entry] = entries_of(plan, renderer_for(plan))
    assert short_of_memory == [(1, 0)], "32 pixels have no tiles"
    assert entry.state == "failed" and entry.error is not None
    assert entry.error.startswith("out of memory even in tiles (RuntimeError: ")
    assert entry.error.endswith("); lower --size or --workers")


def test_after_a_death_a_large_picture_is_stylized_in_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1), "--size", "160", "--iterations", "1")
    died = ("its worker died: stylized again",)
    [small] = entries_of(plan, renderer_for(plan), is_repeat=True, notes=died)
    assert small.notes == died
    monkeypatch.setattr(renderer, "_REPEAT_TILE_PX", 128)
    [large] = entries_of(plan, renderer_for(plan), is_repeat=True, notes=died)
    assert large.notes == (*died, "its worker died: stylized in tiles of 128 pixels")
    [other] = entries_of(plan, renderer_for(plan), is_repeat=True)
    assert other.notes == ("workers died of others of its size: stylized in tiles of 128 pixels",)


def test_notes_from_before_are_kept_and_a_lost_machine_makes_no_pair_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(*make_folders(tmp_path, 2, 1), "--optimizer", "adam")
    batches: list[int] = []

    def counted(requests: Sequence[TransferRequest], *args: Any, **options: Any) -> list[Stylized]:
        batches.append(len(requests))
        return stylize.stylize_together(requests, *args, **options)

    monkeypatch.setattr(renderer, "stylize_together", counted)
    lost = ("its machine was lost: stylized again",)
    entries = entries_of(plan, renderer_for(plan), notes=lost)
    assert [each.notes for each in entries] == [lost] * 2 and batches == [2]


def test_an_unexpected_error_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("first line\nsecond line")

    plan = plan_of(*make_folders(tmp_path, 2, 1))
    monkeypatch.setattr(renderer, "stylize_together", broken)
    entries = entries_of(plan, renderer_for(plan))
    assert [each.error for each in entries] == ["ZeroDivisionError: second line"] * 2


def test_a_loss_that_did_not_stay_finite_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shaky(*args: Any, **options: Any) -> list[Stylized]:
        made = stylize.stylize_together(*args, **options)
        return [dataclasses.replace(each, stayed_finite=False) for each in made]

    plan = plan_of(*make_folders(tmp_path, 1, 1))
    monkeypatch.setattr(renderer, "stylize_together", shaky)
    [entry] = entries_of(plan, renderer_for(plan))
    assert entry.notes == ("the loss was not finite on the way: the optimizer went back and continued",)
