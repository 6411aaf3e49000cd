"""Runs `python -m tune sweep` and `python -m tune resume`, from their checks to their exit code."""

import contextlib
import dataclasses
import re
import shlex
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from common.cli.parsing import address_flag
from common.cli.progress import say
from common.cli.signals import Interrupted
from common.cli.terminal import complain
from common.cluster.address import check_address
from common.errors import require
from common.storage.atomic import WriteError
from common.storage.reach import check_reachable
from common.text import counted
from gan.config_file import with_absolute_paths
from gan.data.sources import check_there
from gan.networks import family_of
from tune.cli.flags import PROG, Resume, Sweep
from tune.config import SweepConfig
from tune.search.study_url import absolute_study_url

if TYPE_CHECKING:
    from tune.driver.plan import SweepPlan
    from tune.records.sweep_folder import SweepFolder
    from tune.records.trial_records import Trial
    from tune.space.space import Space


def run_new_sweep(command: Sweep, console: Console) -> int:
    """Start a sweep and run it to its end; returns the exit code.

    0 done, 1 it could not continue, 130 and 143 stopped by Ctrl-C and SIGTERM.

    Raises: ConfigError when the command cannot be run.
    """
    if command.print_space:
        from tune.space.toml import to_toml

        console.print(to_toml(space_of(command.sweep)), markup=False, highlight=False, soft_wrap=True)
        return 0
    return _run(plan_new_sweep(command.sweep, console), console)


def space_of(config: SweepConfig) -> "Space":
    """The search space of the file that the settings name, else the default one.

    Raises: ConfigError when the file is wrong.
    """
    from tune.space.default import default_space
    from tune.space.toml import load_space

    return load_space(config.space, config.gan) if config.space else default_space(config.gan)


def plan_new_sweep(config: SweepConfig, console: Console, space: "Space | None" = None) -> "SweepPlan":
    """Check all of a new sweep that needs neither its data nor Ray, and name its folder.

    space: default: `space_of` the settings.

    Raises: ConfigError when the sweep cannot be run.
    """
    config = dataclasses.replace(
        config,
        gan=with_absolute_paths(config.gan),
        study=config.study and absolute_study_url(config.study),
    )
    family_of(config.gan.network, config.gan.data.resolution)
    check_there(config.gan.data)
    check_address(config.address)
    # imported here and below: torch and Ray take seconds, and what is wrong without them is reported before
    from tune.space.acceptance import check_accepts
    from tune.space.space import moved_settings

    space = space or space_of(config)
    check_accepts(space, config.gan, config.worker_counts())
    moved = moved_settings(space, config.gan)
    if moved:
        say(
            console, f"the first trial has the base settings, moved into the search space: {', '.join(moved)}"
        )
    check_reachable(config.storage)

    from tune.driver.plan import SweepPlan
    from tune.records.sweep_folder import SweepFolder

    folder = SweepFolder(config.storage, config.name or _default_name(config.gan.data.source))
    resume = resume_command(folder, config)
    require(
        not folder.exists(),
        f"{folder.location} already holds a sweep; choose another --name, or run {resume}",
    )
    plan = SweepPlan(config=config, space=space, folder=folder)
    plan.check()
    return plan


def run_resume(command: Resume, console: Console) -> int:
    from tune.driver.plan import SweepPlan
    from tune.records.event_reading import damage, read_events
    from tune.records.sweep_folder import SweepFolder
    from tune.records.trial_records import collect, has_confirmed, states_best_first
    from tune.space.acceptance import check_accepts

    check_address(command.address)
    check_reachable(command.directory, flag="the sweep's folder")
    folder = SweepFolder.at(command.directory)
    config = dataclasses.replace(command.changed(folder.config()), storage=folder.storage_path)
    space = folder.space(config)
    check_accepts(space, config.gan, config.worker_counts(), is_new=False)
    known = collect(read_events(folder.location))
    if (damaged := damage(folder.location)) is not None:
        say(console, damaged)
    require(
        config.trials >= len(known),
        f"--trials {command.trials} is fewer than the {len(known)} trials of the sweep; try "
        f"--trials {folder.config().more_trials()}",
    )
    is_over = len(known) >= config.trials and not any(trial.is_unfinished() for trial in known.values())
    if is_over and (has_confirmed(known) or not states_best_first(known)):
        more = f"{resume_command(folder, config)} --trials {config.more_trials()}"
        say(console, f"all {len(known)} trials are finished; to add more, run {more}")
        return 0
    plan = SweepPlan(
        config=config,
        space=space,
        folder=folder,
        is_resumed=True,
        accepts_changed_data=command.changed_data,
    )
    plan.check()
    return _run(plan, console)


def _run(plan: "SweepPlan", console: Console) -> int:
    from tune.driver.stopping import SweepError  # Ray takes seconds

    try:
        run_plan(plan, console)
    except Interrupted as interrupted:
        return interrupted.exit_code
    except SweepError as error:
        complain(PROG, error)
        return 1
    return 0


def run_plan(plan: "SweepPlan", console: Console) -> None:
    """Run a sweep to its end, and say what came out of it and how it can be continued.

    Raises: ConfigError before anything is started; Interrupted after a signal, once that was said; SweepError
    with the reason and the command that resumes it.
    """
    from tune.cli.report import report_of
    from tune.display.estimate import Schedule
    from tune.display.view import SweepView
    from tune.driver.stopping import SweepError
    from tune.driver.sweep import run_sweep

    metric = plan.config.gan.evaluation.key()
    schedule = Schedule.of(plan.config)
    view = SweepView(console, plan.space, metric, plan.config.trials, schedule=schedule)
    resume = resume_command(plan.folder, plan.config)
    try:
        trials = run_sweep(plan, view)
    except Interrupted as interrupted:
        has_begun = plan.folder.exists()  # else nothing was left behind
        said = f"everything is saved: resume with {resume}" if has_begun else "no trial had begun"
        if has_begun:
            with contextlib.suppress(Interrupted):  # who is in a hurry does without a report
                report_of(plan.folder.location, console)
        say(console, f"{interrupted}; {said}")
        raise
    except (SweepError, WriteError) as error:
        how = f"; resume with {resume}" if plan.folder.exists() else ""
        raise SweepError(f"{error}{how}") from error
    view.finish(trials, plan.config.gan.total_images())
    say(console, f"results: {plan.folder.location}")
    report_of(plan.folder.location, console)
    if sum(not trial.is_unfinished() for trial in trials.values()) < plan.config.trials:
        say(console, f"the time budget is used up{_what_is_saved(trials)}; resume with {resume}")


def _what_is_saved(trials: "Mapping[int, Trial]") -> str:
    """`: 1 trial continues from its last saved state, 2 trials have saved nothing yet and begin again`."""
    unfinished = [trial for trial in trials.values() if trial.is_unfinished()]
    unsaved = sum(trial.last_checkpoint() is None for trial in unfinished)
    saved = len(unfinished) - unsaved
    parts = []
    if saved:
        parts.append(f"{counted(saved, 'trial')} will continue from the last saved state")
    if unsaved:
        parts.append(f"{counted(unsaved, 'trial')} had saved nothing yet and will begin again")
    return ": " * bool(parts) + ", ".join(parts)


def _default_name(source: str) -> str:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(source).stem).strip("-._") or "sweep"
    return f"{stem[:60]}-{time.strftime('%Y%m%d-%H%M%S')}"


def resume_command(folder: "SweepFolder", config: SweepConfig) -> str:
    """The command that continues a sweep, fit to be pasted into a shell."""
    return f"{PROG} resume {shlex.quote(folder.location)}{address_flag(config.address)}"
