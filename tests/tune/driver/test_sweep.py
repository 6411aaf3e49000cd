"""Complete sweeps on a real Ray: how trials end, which files are left, and what a resumed sweep continues."""

import functools
import json
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
import pytest
import ray._private.state
import torch

from common.storage.folder import Folder
from gan.data.loading import load_images
from gan.training.run import GanRun
from tests.tune.sweeps import CRASH, POISON, RATE, rates, sabotaged_work, sweep, tiny_gan
from tune.records.grids import read_grids
from tune.records.trial_records import Trial, states_best_first
from tune.space.space import Choice, Float, Space
from tune.worker_groups import launcher

pytestmark = [pytest.mark.usefixtures("shared_ray", "cache")]


def swd_by_images(trial: Trial) -> list[tuple[int, float]]:
    return [(tick.images_seen, tick.metrics["swd"]) for tick in trial.valid_ticks()]


def study_of(tmp_path: Path) -> optuna.Study:
    """The sweep's study as another program reads it."""
    journal = optuna.storages.journal.JournalFileBackend(str(tmp_path / "sweep" / "study.journal"))
    return optuna.load_study(study_name="sweep", storage=optuna.storages.JournalStorage(journal))


def alone(**settings: float) -> list[tuple[int, float]]:
    """The same run in this process, without Ray, on as many threads as a worker has."""
    config = tiny_gan().with_values({key.replace("__", "."): value for key, value in settings.items()})
    run, rows, threads = GanRun(config, load_images(config.data)), [], torch.get_num_threads()
    torch.set_num_threads(1)
    while not run.is_finished:
        row = run.tick()
        rows.append((int(row["images_seen"]), row["swd"]))
    torch.set_num_threads(threads)
    return rows


def check_grids(folder: Path, trials: dict[int, Trial], most: int) -> None:
    """Each tick of the best trials and of the winner has left its grid, and no other file has any in it."""
    best = sorted(trials, key=lambda number: min(value for _, value in swd_by_images(trials[number])))
    grids = read_grids(Folder(str(folder)), trials)
    assert set(grids) == {*best[:most], states_best_first(trials)[0][0].number, 0}
    for number, by_images in grids.items():
        assert list(by_images) == sorted({tick.images_seen for _, tick in trials[number].ticks})
        assert all(grid[8:12] == b"WEBP" for grid in by_images.values())
    elsewhere = [path for path in folder.rglob("*") if path.is_file() and "grids" not in path.parts]
    assert any(path.name.startswith("experiment_state") for path in elsewhere)
    for path in elsewhere:  # Tune pickles results, and writes some of that as hexadecimal numbers
        content = path.read_bytes()
        assert b"WEBPVP8" not in content and b"WEBPVP8".hex().encode() not in content, path


@pytest.fixture(scope="module")
def mixed(shared_ray: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, Trial]]:
    """A sweep whose trials train, diverge or crash, one after the other in one worker group; read-only."""
    root = tmp_path_factory.mktemp("mixed")
    work = functools.partial(sabotaged_work, scene=str(root))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        patch.setattr(launcher, "work", work)
        trials = sweep(
            root,
            rates(2e-4, 1e-3, POISON, CRASH),
            trials=12,
            concurrent=1,
            cpus_per_worker=1,
            scheduler="none",
            search="random",
        )
    return root, trials


def test_a_trial_has_the_same_numbers_first_or_last_in_a_worker_group_and_alone(
    mixed: tuple[Path, dict[int, Trial]],
) -> None:
    trials = [trial for trial in mixed[1].values() if trial.values[RATE] in (2e-4, 1e-3)]
    assert len(trials) >= 5
    assert {trial.state for trial in trials} == {"completed"}
    assert {trial.values[RATE] for trial in trials} == {2e-4, 1e-3}
    settings = {(trial.values[RATE], trial.values.get("seed", 0)) for trial in trials}
    assert len(settings) == len(trials), "trials of the same rate have seeds of their own"
    for trial in trials:
        rate, seed = trial.values[RATE], trial.values.get("seed", 0)
        assert swd_by_images(trial) == alone(optimizer__generator_lr=rate, seed=seed)


def test_failures_end_their_trial_with_the_reason_and_the_sweep_goes_on(
    mixed: tuple[Path, dict[int, Trial]],
) -> None:
    root, trials = mixed
    by_rate = {rate: [t for t in trials.values() if t.values[RATE] == rate] for rate in (2e-4, POISON, CRASH)}
    assert all(by_rate.values()), "the search proposed every rate"

    assert {trial.state for trial in by_rate[2e-4]} == {"completed"}
    for trial in by_rate[POISON]:
        assert trial.state == "failed"
        assert trial.reason is not None and "is nan" in trial.reason
        assert [tick.images_seen for tick in trial.valid_ticks()] == [64]
        kept = trial.last_checkpoint()
        assert kept is not None and (root / "sweep" / kept.path / "state.safetensors").exists()
    for trial in by_rate[CRASH]:
        assert trial.state == "failed" and trial.reason == "RuntimeError: the device is on fire"
        assert trial.valid_ticks() == []

    table = pd.read_csv(root / "sweep" / "trials.csv")
    assert sorted(table["number"]) == list(range(12))
    assert set(table.loc[table["state"] == "failed", RATE]) == {POISON, CRASH}
    assert [trial.state.name for trial in study_of(root).trials] == [
        # not FAIL, which the sampler would ignore
        {"completed": "COMPLETE", "failed": "PRUNED"}[trials[number].state]
        for number in range(12)
    ]


def test_asha_stops_the_worse_and_the_best_of_those_measured_again_is_exported(
    tmp_path: Path,
) -> None:
    trials = sweep(
        tmp_path,
        rates(),
        trials=9,
        grace_ticks=1,
        reduction=3,
        gan=tiny_gan(images=576),
        search="random",
        grid_trials=3,
    )
    states = [trial.state for trial in trials.values()]
    assert set(states) == {"completed", "pruned"}
    folder = tmp_path / "sweep"
    table = pd.read_parquet(folder / "trials.parquet")
    assert table["state"].tolist() == states
    assert (table.loc[table["state"] == "pruned", "images_seen"] < 576).all()

    # the baseline's, and the five best by the search
    again = table.set_index("number")["confirmed"].dropna()
    assert 2 <= len(again) <= 6 and 0 in again.index
    assert set(table["best"].nsmallest(3).index) <= set(again.index)
    origin = json.loads((folder / "best" / "trial.json").read_text())
    assert origin["trial"] == again.idxmin() and origin["confirmed"] == pytest.approx(again.min(), rel=1e-12)
    history = pd.read_parquet(folder / "history.parquet")
    tick = history[(history["number"] == origin["trial"]) & (history["images_seen"] == origin["images_seen"])]
    assert origin["value"] == pytest.approx(tick["swd"].item(), rel=1e-12)
    assert (again != table.set_index("number")["best"][again.index]).all(), "measured on other latents"
    assert (folder / "best" / "grid.png").stat().st_size > 1000

    # another network measured the same states, on as many samples as the metric takes
    by_second = table.set_index("number").loc[again.index, ["second", "second_noise"]]
    assert by_second.notna().all(axis=None) and (by_second > 0).all(axis=None)
    assert set(table["second_metric"].dropna()) == {"fd_lite0_60"}
    winner = by_second.loc[origin["trial"]]
    assert (origin["second"], origin["second_metric"]) == (pytest.approx(winner["second"]), "fd_lite0_60")
    csv = pd.read_csv(folder / "trials.csv").set_index("number")
    for name in ("checkerboard", "burnt"):
        assert history[[name, f"{name}_noise"]].notna().all(axis=None)
        assert csv[name].notna().all() and csv[name].tolist() == pytest.approx(table[name].tolist())
    attributes = [trial.user_attrs for trial in study_of(tmp_path).trials]
    last = history.groupby("number")[["checkerboard", "burnt"]].last()
    assert [[each["checkerboard"], each["burnt"]] for each in attributes] == last.values.tolist()
    for trial in trials.values():
        for saved in (trial.last_checkpoint(), trial.best_checkpoint()):
            assert saved is not None and (folder / saved.path / "state.safetensors").exists()
    check_grids(folder, trials, most=3)


def trial_actors() -> int:
    """How many processes of trials this Ray has started so far."""
    started = [actor["ActorClassName"] for actor in ray._private.state.actors().values()]
    return sum(name.endswith("ResourceTrainable") for name in started)


def test_a_population_larger_than_its_worker_groups_trains_on_and_exploits(tmp_path: Path) -> None:
    before = trial_actors()
    trials = sweep(
        tmp_path,
        # an exploit copies the batch too, and with it the number of images of the whole run
        Space({RATE: Float(low=1e-5, high=1e-2, log=True), "batch": Choice((16, 24, 40))}),
        trials=4,
        concurrent=2,
        scheduler="pbt",
        perturb_ticks=1,
        gan=tiny_gan(images=512),
        grid_trials=2,
    )
    assert [trial.state for trial in trials.values()] == ["completed"] * 4
    assert all(512 <= trial.valid_ticks()[-1].images_seen < 512 + 40 for trial in trials.values())
    assert [trial.state.name for trial in study_of(tmp_path).trials] == ["COMPLETE"] * 4
    history = pd.read_parquet(tmp_path / "sweep" / "history.parquet")
    changed = history.groupby("number")[RATE].nunique()
    assert changed.max() > 1, "some trial took over another's settings"
    assert trial_actors() - before == 4, "in the process that it had"
    assert history[RATE].between(1e-5, 1e-2).all()
    check_grids(tmp_path / "sweep", trials, most=2)


def test_of_trials_that_wait_for_two_workers_only_the_one_that_diverges_fails(
    tmp_path: Path, sabotage: None
) -> None:
    trials = sweep(
        tmp_path,
        rates(2e-4, POISON),
        trials=6,
        workers_per_trial=2,
        scheduler="pbt",
        perturb_ticks=9,  # after their end, so that none takes over another's rate
        gan=tiny_gan(images=128),
    )
    ends = {(trial.values[RATE], trial.state) for trial in trials.values()}
    assert ends == {(2e-4, "completed"), (POISON, "failed")}


def test_two_workers_share_a_trial_and_agree_with_two_ranks_elsewhere(tmp_path: Path) -> None:
    space = Space({RATE: Choice((2e-4,)), "seed": Choice((0,))})
    trials = sweep(tmp_path, space, trials=2, workers_per_trial=2, scheduler="none")
    first, second = (np.array([swd for _, swd in swd_by_images(trial)]) for trial in trials.values())
    assert np.array_equal(first, second)
    assert len(first) == 4
    check_grids(tmp_path / "sweep", trials, most=8)
