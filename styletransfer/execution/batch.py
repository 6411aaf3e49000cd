"""RAY: runs a planned batch: starts Ray, stylizes what is to do, and records the results whatever happens."""

import contextlib
import dataclasses
import secrets
from collections.abc import Iterator
from pathlib import Path

import ray

from common.cli.signals import deferred
from common.cluster.placement import free_memory_bytes
from common.cluster.session import cluster_nodes, local_nodes, ray_session
from common.storage.atomic import WriteError
from common.storage.folder import Folder
from styletransfer.execution.coordinator import Coordinator
from styletransfer.execution.output_writer import OutputWriter
from styletransfer.execution.partial import tidy_partials
from styletransfer.execution.placement import Placement, choose_placement, most_bytes_each
from styletransfer.execution.result_log import BatchError, ResultLog
from styletransfer.execution.worker_pool import WorkerPool
from styletransfer.planning.estimate import fitting_tile, worker_bytes
from styletransfer.planning.manifest import Manifest
from styletransfer.planning.plan import BatchPlan
from styletransfer.report.contact_sheet import write_contact_sheet
from styletransfer.report.terminal import BatchView
from styletransfer.transfer.optimizers import OPTIMIZERS

GPU_BATCH = 8
_PROBE = ".artsweep-probe-"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Where and by how many workers a batch is stylized; of these only the threads matter to a picture."""

    address: str | None = None
    workers: int | None = None
    gpu: bool | None = None
    batch: int = 0
    """Pairs stylized together; 0: as is usual for the device."""
    threads: int | None = None
    """CPUs of each worker; None: as many as all can get."""


def fitted(plan: BatchPlan, options: Options) -> tuple[BatchPlan, Placement]:
    """The workers in the Ray that this process has joined, or else in one that it would start here.

    Where a worker would need more memory than one can have, the plan comes back with tiles, which do not
    change a picture.

    Raises: ConfigError when so many workers cannot be placed.
    """
    nodes = cluster_nodes() if ray.is_initialized() else local_nodes()
    if not ray.is_initialized():
        memory = free_memory_bytes()
        nodes = [{**node, "memory": memory} for node in nodes]
    plan = _with_tiles(plan, options, most_bytes_each(nodes, options.workers))
    placement = choose_placement(
        nodes,
        wanted=options.workers,
        gpu=options.gpu,
        # not only those left: a worker's CPUs decide the last digits of its pictures
        most=len(plan.outputs),
        bytes_each=bytes_per_worker(plan, options),
        threads=options.threads,
    )
    needed = max(1, min(placement.workers, len(plan.stale)))
    return plan, dataclasses.replace(placement, workers=needed)


def bytes_per_worker(plan: BatchPlan, options: Options) -> int:
    """Memory that a worker needs at its peak."""
    return max(
        worker_bytes(config, plan.request.network(variant), batch=max(1, options.batch))
        for variant, config in plan.request.variants.items()
    )


def tiles_chosen(asked: BatchPlan, fitted: BatchPlan, options: Options) -> list[str]:
    """A line that says in which tiles pictures are read for lack of memory, if they are."""
    before, after = ([config.tile for config in plan.request.variants.values()] for plan in (asked, fitted))
    if before == after:
        return []
    whole = bytes_per_worker(asked, options) / 2**30
    sides = " and ".join(sorted({str(side) for side in after if side}))
    return [f"in tiles of {sides} pixels: without them a worker would need {whole:.1f} GiB of memory"]


def _with_tiles(plan: BatchPlan, options: Options, most_bytes: float) -> BatchPlan:
    request, batch = plan.request, max(1, options.batch)
    variants = {
        variant: dataclasses.replace(
            config, tile=fitting_tile(config, request.network(variant), batch=batch, most_bytes=most_bytes)
        )
        for variant, config in request.variants.items()
    }
    return dataclasses.replace(plan, request=dataclasses.replace(request, variants=variants))


def run_batch(plan: BatchPlan, options: Options, view: BatchView) -> ResultLog:
    """Stylize what is to do, into the plan's folder, which the caller has locked.

    Raises: ConfigError before anything is stylized; BatchError when the batch cannot continue, Interrupted
    after a signal: what is done then is in the manifest and on the contact sheet.
    """
    asked, out = plan, plan.request.out
    known = fitted(plan, options) if options.address is None else None
    write_contact_sheet(plan)
    # Ray turns exceptions of a signal's handler into errors of its own: from here on `check` raises them
    with (
        deferred() as check,
        ray_session(options.address, BatchError),
        Manifest(out) as manifest,
        _probe(out) as probe,
    ):
        check()
        plan, placement = known or fitted(plan, options)
        request = plan.request
        view.say(f"{len(plan.stale)} to stylize with {placement}")
        for line in tiles_chosen(asked, plan, options):
            view.say(line)
        writer = OutputWriter(out=request.out.location, probe=probe, quality=request.quality)
        results = ResultLog(plan, manifest)
        can_batch = all(OPTIMIZERS[each.optimizer].takes_batches for each in request.variants.values())
        together = options.batch or (GPU_BATCH if placement.gpu and can_batch else 1)
        tidy_partials(out, map(plan.entry, plan.stale))
        check()
        pool = WorkerPool(request.variants, request.networks, writer, placement)
        try:
            with view.stylizing(results):
                Coordinator(plan, pool, results, view, together=together).work(check)
            view.finish(*pool.worker_seconds())
        finally:
            pool.dismiss()
            with contextlib.suppress(WriteError):
                manifest.flush()
            results.write_sheet()
            tidy_partials(out, map(plan.entry, plan.stale))
    return results


@contextlib.contextmanager
def _probe(out: Folder) -> Iterator[str]:
    """A file in the output folder by which workers recognize it; '' for a URL, which all see.

    Raises: WriteError when the folder cannot be written.
    """
    if not out.is_local:
        yield ""
        return
    folder = Path(out.location)
    for stale in folder.glob(f"{_PROBE}*"):  # of a driver that was killed: we hold the folder's lock
        stale.unlink(missing_ok=True)
    name = f"{_PROBE}{secrets.token_hex(8)}"
    out.write(name, b"")
    try:
        yield name
    finally:
        with contextlib.suppress(OSError):
            (folder / name).unlink(missing_ok=True)
