"""RAY: a batch from its plan to its end: Ray started, tasks given out, answers recorded, trouble survived."""

import contextlib
import dataclasses
import secrets
from collections.abc import Iterator
from pathlib import Path

import ray
import ray.exceptions

from common.cli.signals import deferred
from common.cluster.session import cluster_nodes, local_nodes, start_ray, stop_ray
from common.storage.atomic import WriteError
from common.storage.folder import Folder
from common.text import first_line
from styletransfer.execution.coordinator import Foreman
from styletransfer.execution.messages import Setup
from styletransfer.execution.placement import Crew, choose_crew, free_memory_bytes
from styletransfer.execution.result_log import BatchError, Ledger, write_contact_sheet
from styletransfer.execution.worker_pool import Painters
from styletransfer.planning.estimate import worker_bytes
from styletransfer.planning.manifest import Manifest
from styletransfer.planning.plan import Plan
from styletransfer.report.terminal import BatchView

GPU_BATCH = 8
_PROBE = ".artsweep-probe-"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Where and by how many a batch is drawn; nothing here changes a picture."""

    address: str | None = None
    workers: int | None = None
    gpu: bool | None = None
    batch: int = 0
    """Pairs drawn together; 0: as is usual for the device."""


def local_crew(plan: Plan, options: Options) -> Crew:
    """Who would draw in a Ray that is started here; in one that this process has joined, who would there.

    Raises: ConfigError when there is no place for so many.
    """
    if ray.is_initialized():
        return _crew_on(cluster_nodes(), plan, options)
    memory = free_memory_bytes()
    return _crew_on([{**node, "memory": memory} for node in local_nodes()], plan, options)


def _crew_on(nodes: list[dict[str, float]], plan: Plan, options: Options) -> Crew:
    return choose_crew(
        nodes,
        wanted=options.workers,
        gpu=options.gpu,
        most=len(plan.todo),
        bytes_each=max(
            worker_bytes(config, plan.request.network(variant), batch=max(1, options.batch))
            for variant, config in plan.request.variants.items()
        ),
    )


def run_batch(plan: Plan, options: Options, view: BatchView) -> Ledger:
    """Draw what is to be drawn; everything lies in the plan's folder, which the caller has locked.

    Raises: ConfigError before anything is drawn; BatchError when it cannot go on, Interrupted after a signal:
    what is done then is in the manifest and on the contact sheet.
    """
    crew = local_crew(plan, options) if options.address is None else None
    write_contact_sheet(plan)
    with _ray(options.address), Manifest(plan.request.out) as manifest, _probe(plan.request.out) as probe:
        crew = crew or local_crew(plan, options)
        view.say(f"{len(plan.todo)} to draw with {crew}{' for want of memory' * crew.is_short_of_memory}")
        setup = Setup(
            out=plan.request.out.location,
            probe=probe,
            variants=plan.request.variants,
            weights_hashes=plan.weights_hashes,
            quality=plan.request.quality,
        )
        ledger = Ledger(plan, manifest)
        can_batch = all(config.optimizer == "adam" for config in plan.request.variants.values())
        together = options.batch or (GPU_BATCH if crew.gpu and can_batch else 1)
        with deferred() as check:
            painters = Painters(setup, plan.request.networks, crew)
            try:
                with view.drawing(ledger):
                    Foreman(plan, painters, ledger, view, workers=crew.workers, together=together).work(check)
                view.finish(*painters.worker_seconds())
            finally:
                painters.dismiss()
                with contextlib.suppress(WriteError):
                    manifest.flush()
                ledger.write_sheet()
    return ledger


@contextlib.contextmanager
def _probe(out: Folder) -> Iterator[str]:
    """A file in the output's folder by which workers know it; the name is '' for a URL, which all see.

    Raises: WriteError when the folder cannot be written.
    """
    if not out.is_local:
        yield ""
        return
    folder = Path(out.location)
    for stale in folder.glob(f"{_PROBE}*"):  # of a driver that was killed: the folder is locked by us
        stale.unlink(missing_ok=True)
    name = f"{_PROBE}{secrets.token_hex(8)}"
    out.write(name, b"")
    try:
        yield name
    finally:
        with contextlib.suppress(OSError):
            (folder / name).unlink(missing_ok=True)


@contextlib.contextmanager
def _ray(address: str | None) -> Iterator[None]:
    is_ours = not ray.is_initialized()  # a caller's Ray is left running
    try:
        with deferred():  # a Ray that is interrupted while it starts leaves processes behind
            start_ray(address)
        yield
    except ray.exceptions.RayError as error:
        raise BatchError(f"Ray has failed: {first_line(error)}") from error
    finally:
        if is_ours:
            stop_ray()
