"""RAY: runs a planned batch: starts Ray, stylizes what is to do, and records the results whatever happens."""

import contextlib
import dataclasses
import secrets
from collections.abc import Iterator
from pathlib import Path

import ray
import ray.exceptions

from common.cli.signals import deferred
from common.cluster.placement import free_memory_bytes
from common.cluster.session import cluster_nodes, local_nodes, start_ray, stop_ray
from common.storage.atomic import WriteError
from common.storage.folder import Folder
from common.text import first_line
from styletransfer.execution.coordinator import Coordinator
from styletransfer.execution.output_writer import OutputWriter
from styletransfer.execution.placement import Placement, choose_placement
from styletransfer.execution.result_log import BatchError, ResultLog
from styletransfer.execution.worker_pool import WorkerPool
from styletransfer.planning.estimate import worker_bytes
from styletransfer.planning.manifest import Manifest
from styletransfer.planning.plan import BatchPlan
from styletransfer.report.contact_sheet import write_contact_sheet
from styletransfer.report.terminal import BatchView
from styletransfer.transfer.optimizers import OPTIMIZERS

GPU_BATCH = 8
_PROBE = ".artsweep-probe-"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Where and by how many workers a batch is stylized; nothing here changes a picture."""

    address: str | None = None
    workers: int | None = None
    gpu: bool | None = None
    batch: int = 0
    """Pairs stylized together; 0: as is usual for the device."""


def local_placement(plan: BatchPlan, options: Options) -> Placement:
    """The workers in the Ray that this process has joined, or else in one that it would start here.

    Raises: ConfigError when so many cannot be placed.
    """
    nodes = cluster_nodes() if ray.is_initialized() else local_nodes()
    if not ray.is_initialized():
        memory = free_memory_bytes()
        nodes = [{**node, "memory": memory} for node in nodes]
    return choose_placement(
        nodes,
        wanted=options.workers,
        gpu=options.gpu,
        most=len(plan.stale),
        bytes_each=bytes_per_worker(plan, options),
    )


def bytes_per_worker(plan: BatchPlan, options: Options) -> int:
    """Memory that a worker needs at its peak."""
    return max(
        worker_bytes(config, plan.request.network(variant), batch=max(1, options.batch))
        for variant, config in plan.request.variants.items()
    )


def run_batch(plan: BatchPlan, options: Options, view: BatchView) -> ResultLog:
    """Stylize what is to do, into the plan's folder, which the caller has locked.

    Raises: ConfigError before anything is stylized; BatchError when the batch cannot continue, Interrupted
    after a signal: what is done then is in the manifest and on the contact sheet.
    """
    request = plan.request
    placement = local_placement(plan, options) if options.address is None else None
    write_contact_sheet(plan)
    with _ray(options.address), Manifest(request.out) as manifest, _probe(request.out) as probe:
        placement = placement or local_placement(plan, options)
        view.say(f"{len(plan.stale)} to stylize with {placement}")
        writer = OutputWriter(out=request.out.location, probe=probe, quality=request.quality)
        results = ResultLog(plan, manifest)
        can_batch = all(OPTIMIZERS[each.optimizer].takes_batches for each in request.variants.values())
        together = options.batch or (GPU_BATCH if placement.gpu and can_batch else 1)
        with deferred() as check:
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


@contextlib.contextmanager
def _ray(address: str | None) -> Iterator[None]:
    is_ours = not ray.is_initialized()  # a caller's Ray keeps running
    try:
        with deferred():  # a Ray that is interrupted while it starts leaves processes behind
            start_ray(address)
        yield
    except ray.exceptions.RayError as error:
        raise BatchError(f"Ray has failed: {first_line(error)}") from error
    finally:
        if is_ours:
            stop_ray()
