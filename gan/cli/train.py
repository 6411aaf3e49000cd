"""The `train` command: checks before Ray starts, a new or resumed run, and its messages."""

import contextlib
import dataclasses
import importlib.metadata
import re
import shlex
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from common import text
from common.cli.parsing import address_flag
from common.cli.progress import counted, say
from common.cli.signals import Interrupted, deferred
from common.cli.terminal import complain
from common.cluster.placement import free_memory_bytes, share_resources
from common.cluster.session import cluster_nodes, local_nodes, ray_session
from common.cluster.shared_storage import check_seen_by_all
from common.errors import require
from common.storage.claim import claimed
from common.storage.folder import Folder
from gan.cli.display import RunDisplay, objective, say_skipped
from gan.cli.early import refuse_existing
from gan.cli.flags import Train
from gan.cli.resuming import check_goes_on, check_resumable
from gan.cli.tracking import tracked
from gan.config import GanConfig
from gan.config_file import CONFIG_FILE, with_absolute_paths
from gan.costs.fitting import check_fits
from gan.data.images import Images, check_same, remember
from gan.data.loading import load_images
from gan.metrics.few import check_sizes
from gan.metrics.preparation import check_same_network, prepare_metric
from gan.networks import describe
from gan.raytrain import worker
from gan.raytrain.broadcast import broadcast_images
from gan.raytrain.events import Begun, Ended
from gan.remarks import remarks
from gan.run_folder import BEST, HISTORY, LAST, RunFolder, best_row
from gan.tracking.named import Tracker
from gan.training.regularizing import critic_norm


@dataclasses.dataclass(frozen=True)
class PlannedRun:
    """A checked run, ready to start."""

    config: GanConfig
    results: RunFolder
    workers: int
    details: dict[str, Any]
    trackers: dict[str, Tracker] = dataclasses.field(default_factory=dict)
    """What shows the run besides its folder, by name."""
    earlier_images: dict[str, Any] = dataclasses.field(default_factory=dict)
    """What the run that is resumed remembers of its images; {} for a new one."""
    channels: int | None = None
    """Of the images of the state that is resumed; None without one."""
    earlier_network: str | None = None
    """What identified the network of the metric of the run that is resumed; None for a new one."""


def plan_run(command: Train) -> PlannedRun:
    """Check all of the command that needs neither data nor Ray, and name the run's folder.

    Raises: ConfigError for a name that exists already, or a run that cannot be resumed in this way.
    """
    config = with_absolute_paths(command.gan)
    earlier_images, channels, earlier_network = {}, None, None
    if command.resume is None:
        results = RunFolder(Folder(command.storage).child(command.name or _default_name(config)))
        refuse_existing(results.folder, results.folder.location.rpartition("/")[2])
        workers = command.workers or 1
    else:
        results = RunFolder(Folder(command.resume))
        check_resumable(results.config(), config)
        state = results.last_state()
        done = int(state.meta["images_seen"]) if state else 0
        require(
            done < config.images,
            f"--resume {command.resume}: the run is finished after {done} images; raise --images",
        )
        check_goes_on(results, config, done, command.resume)
        details = results.details()
        workers = command.workers or int(details.get("workers", 1))
        earlier_images, channels = details.get("images", {}), int(state.meta["channels"]) if state else None
        earlier_network = details.get("network")
    config.check_workers(workers)
    packages = ("artsweep", "ray", "torch", "numpy")
    versions = {package: importlib.metadata.version(package) for package in packages}
    trackers = command.tracking.trackers(results.folder)
    details = {"workers": workers, "versions": versions, "trackers": list(trackers)}
    return PlannedRun(config, results, workers, details, trackers, earlier_images, channels, earlier_network)


class RunError(Exception):
    """The run cannot continue; the message is one line with the reason. outcome: failed or diverged."""

    def __init__(self, message: str, outcome: str = "failed") -> None:
        super().__init__(message)
        self.outcome = outcome


@dataclasses.dataclass(kw_only=True)
class Progress:
    """How far a run of this process is."""

    has_begun: bool = False
    """Whether its workers were ready to train."""
    ended: Ended | None = None


def run_train(command: Train, console: Console) -> int:
    """Train to the end or to the first failure; returns the exit code.

    0 finished or stopped by its verdict, 1 diverged or failed, 130 and 143 stopped by Ctrl-C and SIGTERM.

    Raises: ConfigError for a command that cannot be run; Interrupted after a signal before a new run began.
    Then, and when its workers cannot start, a new run leaves nothing behind.
    """
    plan = plan_run(command)
    try:
        train_plan(plan, command, console)
    except Interrupted as interrupted:
        if not plan.results.exists():
            raise
        return interrupted.exit_code
    except RunError as error:
        complain(error.outcome, error)
        return 1
    return 0


def train_plan(plan: PlannedRun, command: Train, console: Console) -> None:
    """Train to the end or to the first failure, and say what came out of it and how it can be continued.

    Raises: ConfigError before anything is started; Interrupted after a signal, once that was said; RunError
    with the reason and a remedy.
    """
    if command.address is None:
        share_resources(local_nodes(), plan.workers, command.wants_gpu())
    results, progress, is_new = plan.results, Progress(), command.resume is None
    has_begun = (lambda: progress.has_begun) if is_new else None
    remedy = "wait until it ends, or stop it first"
    try:
        with claimed(results.folder, who="training", remedy=remedy, has_begun=has_begun):
            try:
                _train(plan, command, console, progress)
            finally:
                _leave_page(results, progress, console)
    except Interrupted as interrupted:
        if progress.ended is None:
            if results.exists():
                resume = _resume_command(results, command)
                say(console, f"{interrupted}; every finished tick is saved; resume with {resume}")
            raise
    except RunError as error:
        resume = f"; resume with {_resume_command(results, command)}" if results.exists() else ""
        raise RunError(f"{error}{resume}") from error
    assert progress.ended is not None
    _conclude(progress.ended, plan, command, console)


def _leave_page(results: RunFolder, progress: Progress, console: Console) -> None:
    """Write the run's page, if it has trained anything."""
    if not progress.has_begun or results.folder.status(HISTORY) is None:
        return
    from gan.cli.report import leave_page  # plotly and jinja2, which no training needs

    ended = progress.ended
    outcome, reason = ("interrupted", "") if ended is None else (ended.outcome, ended.reason)
    leave_page(results, outcome, reason, console)


def _train(plan: PlannedRun, command: Train, console: Console, progress: Progress) -> None:
    config, results = plan.config, plan.results
    images, network = _read_data(config, console)
    check_same(
        plan.earlier_images,
        images,
        source=config.data.source,
        accepts_change=command.changed_data,
        channels=plan.channels,
    )
    check_same_network(plan.earlier_network, network, config.evaluation.key())
    if command.address is None and not share_resources(local_nodes(), plan.workers, command.wants_gpu()).gpu:
        check_fits(config, channels=images.channels, free=free_memory_bytes(), workers=plan.workers)
    plan.details.update({"images": remember(images), "network": network})
    # Ray turns exceptions of a signal's handler into errors of its own: from here on `check` raises them
    with deferred() as check, ray_session(command.address, RunError):
        check()
        nodes = local_nodes() if command.address is None else cluster_nodes()
        resources = share_resources(nodes, plan.workers, command.wants_gpu())
        check_seen_by_all(results.folder)
        check()
        results.begin(config, plan.details)
        broadcast, message = broadcast_images(config.data, images)
        check()
        if message is not None:
            say(console, message)
        device = "1 GPU" if resources.gpu else text.counted(resources.cpus, "CPU")
        workers = text.counted(plan.workers, "worker")
        each = " each" if plan.workers > 1 else ""
        say(console, f"{results.folder.location}: {workers} with {device}{each}")
        training = worker.train(config, results.folder, resources, broadcast, check)
        display = RunDisplay(console, config.total_images(), config.evaluation.key())
        tracking = tracked(plan.trackers, results, config, console)
        with tracking as tracked_run, display, contextlib.closing(training) as events:
            for event in events:
                progress.has_begun |= isinstance(event, Begun)
                display.show(event)
                if tracked_run is not None:
                    tracked_run.note(event)
                if isinstance(event, Ended):
                    progress.ended = event
    if progress.ended is not None and progress.ended.outcome == "failed" and not progress.has_begun:
        raise RunError(progress.ended.reason)


def _conclude(ended: Ended, plan: PlannedRun, command: Train, console: Console) -> None:
    """Say how the run ended.

    Raises: RunError when it diverged or failed.
    """
    config, results = plan.config, plan.results
    location, metric = results.folder.location, config.evaluation.key()
    history = results.history()
    if ended.outcome == "finished":
        best = best_row(history, metric)
        say(console, f"finished: best {objective(best, metric)} at {best['images_seen']:,.0f} images")
        run, pictures = shlex.quote(location), shlex.quote(f"{location}/pictures")
        say(console, f"samples: python -m gan sample {run} --out {pictures}")
        return
    if ended.verdict is not None:
        kept = objective(best_row(history, metric), metric)
        say(console, f"stopped: {ended.reason}; try: {ended.verdict.remedy}")
        say(console, f"the best state, {kept}, is kept in {results.folder.path(BEST)}")
        say(console, f"to go on all the same: {_resume_command(results, command)} --stop-when none")
        return
    if ended.outcome == "diverged":
        state = (
            f"the last good state is kept in {results.folder.path(LAST)}"
            if history
            else "no tick was finished"
        )
        settings = shlex.quote(results.folder.path(CONFIG_FILE))
        remedy = f"try lower rates: python -m gan train --config {settings} --generator-lr ..."
        raise RunError(f"{ended.reason}; {state}; {remedy}", "diverged")
    raise RunError(f"{ended.reason}; resume with {_resume_command(results, command)}")


def _read_data(config: GanConfig, console: Console) -> tuple[Images, str | None]:
    """Decode the images into the cache, from which this node's workers map them, and prepare the metric.

    Returns: the images, and what identifies the metric's network.
    """
    bar, move = counted(console, "reading images")
    with bar:
        images = load_images(config.data, on_progress=move)
    check_sizes(len(images.train), len(images.held_out), config.data.source)  # first: no batch helps
    images.check_batch(config.batch)
    say_skipped(console, images)
    norm, resolution = critic_norm(config), config.data.resolution
    networks = describe(config.network, resolution=resolution, channels=images.channels, norm=norm)
    with console.status("preparing the metric"):
        network = prepare_metric(config, images)
    say(console, networks)
    for remark in remarks(config):
        say(console, remark)
    return images, network


def _default_name(config: GanConfig) -> str:
    source = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(config.data.source).stem).strip("-._") or "run"
    return f"{source[:60]}-{time.strftime('%Y%m%d-%H%M%S')}"


def _resume_command(results: RunFolder, command: Train) -> str:
    return (
        f"python -m gan train --resume {shlex.quote(results.folder.location)}{address_flag(command.address)}"
    )
