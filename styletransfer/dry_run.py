"""The answer of `--dry-run`: what would be stylized, how long it would take, and how much memory it needs."""

from collections import Counter
from collections.abc import Iterator

from common.text import duration
from styletransfer.commands import Batch
from styletransfer.execution.batch import Options, bytes_per_worker, local_placement
from styletransfer.planning.estimate import measured_seconds
from styletransfer.planning.plan import BatchPlan

_SAMPLE = 3


def describe(plan: BatchPlan, command: Batch) -> Iterator[str]:
    """The lines to print."""
    request, total = plan.request, len(plan.outputs)
    reasons = Counter(plan.reasons.values())
    why = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    yield f"to stylize: {len(plan.stale)} of {total}{f' ({why})' * bool(why)}"
    yield f"up to date: {total - len(plan.stale)}"
    if not plan.stale:
        return
    names = [plan.outputs[pair] for pair in plan.stale[:_SAMPLE]]
    yield f"into {request.out.location}: {', '.join(names)}{', ...' * (len(plan.stale) > _SAMPLE)}"
    options = Options(workers=command.workers, gpu=command.wants_gpu(), batch=command.batch)
    placement = local_placement(plan, options)
    where = "" if command.address is None else " if it ran here and not on the cluster"
    yield f"workers: {placement}{where}"
    yield f"memory: about {bytes_per_worker(plan, options) / 2**30:.1f} GiB per worker"
    seconds, how = _seconds(plan, placement.cpus)
    per_pair = seconds / len(plan.stale)
    yield f"time: about {duration(seconds / placement.workers)}, {per_pair:.3g} s per pair, {how}"


def _seconds(plan: BatchPlan, threads: int) -> tuple[float, str]:
    """Seconds for all pairs one after another, and where that figure comes from."""
    request, counts = plan.request, Counter(pair.variant for pair in plan.stale)
    if all(variant in plan.seconds_before for variant in counts):
        seconds = sum(plan.seconds_before[variant] * count for variant, count in counts.items())
        return seconds, "as in earlier runs with these settings"
    seconds = sum(
        measured_seconds(request.variants[variant], request.network(variant), threads=threads) * count
        for variant, count in counts.items()
    )
    return (
        seconds,
        "from a few iterations at 64 pixels on this machine's CPU, scaled by pixels and iterations",
    )
