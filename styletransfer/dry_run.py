"""The answer of `--dry-run`: what would be stylized, how long it would take, and how much memory it needs."""

import math
from collections import Counter
from collections.abc import Iterator

from common.text import duration
from styletransfer.commands import Batch
from styletransfer.execution.batch import Options, bytes_per_worker, fitted, tiles_chosen
from styletransfer.execution.placement import Placement
from styletransfer.planning.estimate import measured_seconds
from styletransfer.planning.plan import BatchPlan
from styletransfer.report.plan_lines import plan_lines

_SAMPLE = 3


def describe(plan: BatchPlan, command: Batch) -> Iterator[str]:
    """The lines to print."""
    request, total = plan.request, len(plan.outputs)
    yield f"to stylize: {len(plan.stale)} of {total}{f' ({plan.why()})' * bool(plan.stale)}"
    yield f"up to date: {total - len(plan.stale)}"
    if not plan.stale:
        return
    yield from plan_lines(plan)
    names = [plan.outputs[pair] for pair in plan.stale[:_SAMPLE]]
    yield f"into {request.out.location}: {', '.join(names)}{', ...' * (len(plan.stale) > _SAMPLE)}"
    options = Options(
        workers=command.workers, gpu=command.wants_gpu(), batch=command.batch, threads=command.threads
    )
    asked, (plan, placement) = plan, fitted(plan, options)
    where = "" if command.address is None else " if it ran here and not on the cluster"
    yield f"workers: {placement}{where}"
    yield f"memory: about {bytes_per_worker(plan, options) / 2**30:.1f} GiB per worker"
    yield from tiles_chosen(asked, plan, options)
    seconds, how = _seconds(plan, placement)
    per_pair = seconds / len(plan.stale)
    # as many rounds as the busiest worker has pairs
    rounds = math.ceil(len(plan.stale) / placement.workers)
    yield f"time: about {duration(rounds * per_pair)}, {per_pair:.3g} s per pair, {how}"


def _seconds(plan: BatchPlan, placement: Placement) -> tuple[float, str]:
    """Seconds for all pairs one after another, and where that figure comes from."""
    request, counts = plan.request, Counter(pair.variant for pair in plan.stale)
    if all(variant in plan.seconds_before for variant in counts):
        seconds = sum(plan.seconds_before[variant] * count for variant, count in counts.items())
        return seconds, "as in earlier runs with these settings"
    seconds = sum(
        count
        * measured_seconds(
            request.variants[variant],
            request.network(variant),
            threads=placement.cpus,
            workers=placement.workers,
        )
        for variant, count in counts.items()
    )
    return seconds, "from a few iterations at small sizes on this machine's CPU, scaled by pixels"
