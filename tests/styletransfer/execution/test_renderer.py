"""What a worker does, without Ray: its pictures are those of a single call, its trouble has a way out."""

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
from styletransfer.execution.messages import Drawn, Order, Setup
from styletransfer.execution.renderer import Studio, is_out_of_memory, smaller_tiles
from styletransfer.pictures.reading import read_picture
from styletransfer.pictures.writing import read_settings
from styletransfer.planning.plan import Plan
from styletransfer.transfer import stylize
from styletransfer.transfer.request import Job
from styletransfer.transfer.stylize import Stylized
from tests.styletransfer.folders import make_folders, pixels, plan_of, save, stylized_alone

pytestmark = pytest.mark.usefixtures("cache")


def studio_for(plan: Plan, probe: str = "") -> Studio:
    """A studio that writes into the plan's folder."""
    request = plan.request
    setup = Setup(
        out=request.out.location,
        probe=probe,
        variants=request.variants,
        weights_hashes=plan.weights_hashes,
        quality=request.quality,
    )
    return Studio(setup, request.networks)


def draw(plan: Plan, worker: Studio, *, count: int | None = None, **marks: bool) -> list[Drawn]:
    """Prepare what the first `count` pairs need and draw them together, each order with `marks`."""
    orders, inputs = [], []
    for pair in plan.todo[:count]:
        needs = plan.needs(pair)
        orders.append(Order(pair, plan.outputs[pair], tuple(need.kind for need in needs), **marks))
        for need in needs:
            data = plan.request.inputs.read(need.kind, need.name)
            prepared, what = worker.prepare(need.kind, need.name, pair.variant, data)
            assert prepared.error is None and not prepared.files
            inputs.append(what)
    return worker.draw(orders, inputs)


@pytest.mark.parametrize("colours", ["style", "lab", "luminance"])
def test_a_pair_is_drawn_as_by_a_single_call(colours: str, tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1), "--colours", colours, "--scales", "2")
    [drawn] = draw(plan, studio_for(plan))
    assert drawn.error is None and drawn.files == {} and drawn.size_px == (32, 24)
    assert drawn.seconds is not None and drawn.seconds > 0
    assert set(drawn.losses) == {"content", "style", "variation", "total"}
    made = pixels(tmp_path / "out" / "c0__s0.png")
    assert np.array_equal(made, stylized_alone(plan, tmp_path, "c0.png", "s0.png"))
    assert (tmp_path / "out" / "thumbs" / "output" / "c0__s0.png.jpg").exists()


def test_pairs_drawn_together_are_as_alone(tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 2, 2))
    drawn = draw(plan, studio_for(plan))
    assert [each.pair for each in drawn] == plan.todo and all(each.error is None for each in drawn)
    for pair in plan.todo:
        alone = stylized_alone(plan, tmp_path, pair.content, pair.style)
        made = pixels(tmp_path / "out" / plan.outputs[pair])
        assert np.abs(made.astype(int) - alone).max() <= 2


def test_the_file_says_how_it_was_made(tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1), "--sweep", "style-weight=3")
    draw(plan, studio_for(plan))
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
    [drawn] = draw(plan, studio_for(plan))
    made = pixels(tmp_path / "out" / "c0__s0.png")
    assert np.array_equal(made[..., 3], rgba[..., 3])
    assert np.abs(made[:12, :14, :3].astype(int) - 200).max() <= 1, "the content where no style goes"
    assert np.abs(made[:12, 18:, :3].astype(int) - 200).max() > 20, "the start where it goes"
    assert drawn.notes == ()


def test_a_file_that_is_no_picture_is_an_answer(tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1))
    for kind in ("content", "style", "mask", "start"):
        prepared, what = studio_for(plan).prepare(kind, "odd.jpg", "", b"hello")
        assert what is None
        assert prepared.error == (
            "odd.jpg cannot be read: not a picture of a known kind; replace it or move it away"
        )


# --- where the results go


def test_a_worker_that_does_not_see_the_folder_hands_its_files_back(tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".probe").touch()
    assert studio_for(plan, probe=".probe").sees_folder
    far = studio_for(plan, probe=".another-probe")
    assert not far.sees_folder
    data = plan.request.inputs.read("content", "c0.png")
    prepared, content = far.prepare("content", "c0.png", "", data)
    assert [name.partition("~")[0] for name in prepared.files] == ["thumbs/content/c0"]
    _, style = far.prepare("style", "s0.png", "", plan.request.inputs.read("style", "s0.png"))
    [drawn] = far.draw([Order(plan.todo[0], "c0__s0.png", ("content", "style"))], [content, style])
    assert list(drawn.files) == ["c0__s0.png", "thumbs/output/c0__s0.png.jpg"]
    assert read_picture(drawn.files["c0__s0.png"]).size_px == (32, 24)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".probe"]


def test_a_picture_that_cannot_be_written_is_an_answer(tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1))
    (tmp_path / "out" / "c0__s0.png" / "in the way").mkdir(parents=True)
    [drawn] = draw(plan, studio_for(plan))
    assert drawn.is_unwritable and drawn.error is not None
    assert "c0__s0.png cannot be written" in drawn.error and "\n" not in drawn.error


# --- too little memory


def test_want_of_memory_is_known_from_what_libraries_really_say() -> None:
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

    def greedy(jobs: Sequence[Job], config: StyleConfig, **options: Any) -> list[Stylized]:
        tried.append((len(jobs), config.tile))
        if len(jobs) > 1 or not 0 < config.tile <= 128:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return honest(jobs, config, **options)

    monkeypatch.setattr(renderer, "stylize_together", greedy)
    return tried


def test_want_of_memory_falls_back_to_tiles_says_so_and_changes_no_picture(
    short_of_memory: list[tuple[int, int]], tmp_path: Path
) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1), "--size", "300", "--iterations", "1")
    [drawn] = draw(plan, studio_for(plan))
    assert short_of_memory == [(1, 0), (1, 256), (1, 128)]
    assert drawn.notes == ("out of memory: drawn in tiles of 128 pixels",) and drawn.size_px == (300, 225)
    made = pixels(tmp_path / "out" / "c0__s0.png").astype(int)
    assert np.abs(made - stylized_alone(plan, tmp_path, "c0.png", "s0.png")).max() <= 1


def test_want_of_memory_for_a_batch_falls_back_to_single_pairs(
    short_of_memory: list[tuple[int, int]], tmp_path: Path
) -> None:
    plan = plan_of(*make_folders(tmp_path, 2, 1), "--tile", "128")
    drawn = draw(plan, studio_for(plan))
    assert short_of_memory == [(2, 128), (1, 128), (1, 128)]
    assert {each.notes for each in drawn} == {("out of memory with 2 pairs together: drawn alone",)}
    assert all(each.error is None for each in drawn)


def test_where_no_tile_is_small_enough_the_pair_fails_with_the_reason(
    short_of_memory: list[tuple[int, int]], tmp_path: Path
) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1))
    [drawn] = draw(plan, studio_for(plan))
    assert short_of_memory == [(1, 0)], "32 pixels have no tiles"
    assert drawn.error is not None and drawn.error.startswith("out of memory even in tiles (RuntimeError: ")
    assert drawn.error.endswith("); lower --size or --workers")


def test_after_a_death_a_large_picture_is_drawn_in_tiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(*make_folders(tmp_path, 1, 1), "--size", "160", "--iterations", "1")
    [small] = draw(plan, studio_for(plan), is_repeat=True)
    assert small.notes == ("its worker died: drawn again",)
    monkeypatch.setattr(renderer, "_REPEAT_TILE_PX", 128)
    [large] = draw(plan, studio_for(plan), is_repeat=True)
    assert large.notes == (
        "its worker died: drawn again",
        "its worker died: drawn in tiles of 128 pixels",
    )


def test_after_the_loss_of_a_machine_a_pair_is_drawn_with_the_others_and_says_so(tmp_path: Path) -> None:
    plan = plan_of(*make_folders(tmp_path, 2, 1), "--size", "160", "--iterations", "1")
    drawn = draw(plan, studio_for(plan), lost_machine=True)
    assert [each.notes for each in drawn] == [("its machine was lost: drawn again",)] * 2


def test_an_error_that_nobody_foresaw_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("first line\nsecond line")

    plan = plan_of(*make_folders(tmp_path, 2, 1))
    monkeypatch.setattr(renderer, "stylize_together", broken)
    drawn = draw(plan, studio_for(plan))
    assert [each.error for each in drawn] == ["ZeroDivisionError: second line"] * 2


def test_a_loss_that_did_not_stay_finite_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shaky(*args: Any, **options: Any) -> list[Stylized]:
        made = stylize.stylize_together(*args, **options)
        return [dataclasses.replace(each, stayed_finite=False) for each in made]

    plan = plan_of(*make_folders(tmp_path, 1, 1))
    monkeypatch.setattr(renderer, "stylize_together", shaky)
    [drawn] = draw(plan, studio_for(plan))
    assert drawn.notes == ("the loss left the finite on the way: the optimizer went back and on",)
