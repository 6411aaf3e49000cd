"""What `--dry-run` says: what would be drawn, for how long, with how much memory; nothing is begun."""

from collections import Counter
from collections.abc import Iterator

from common.text import duration
from styletransfer.commands import Batch
from styletransfer.execution.batch import Options, local_crew
from styletransfer.planning.estimate import measured_seconds, worker_bytes
from styletransfer.planning.plan import Plan

_SAMPLE = 3


def describe(plan: Plan, command: Batch) -> Iterator[str]:
    """Lines of text."""
    request, total = plan.request, len(plan.outputs)
    reasons = Counter(plan.reasons.values())
    why = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    yield f"to draw: {len(plan.todo)} of {total}{f' ({why})' * bool(why)}"
    yield f"up to date: {total - len(plan.todo)}"
    if not plan.todo:
        return
    names = [plan.outputs[pair] for pair in plan.todo[:_SAMPLE]]
    yield f"into {request.out.location}: {', '.join(names)}{', ...' * (len(plan.todo) > _SAMPLE)}"
    options = Options(workers=command.workers, gpu=command.wants_gpu(), batch=command.batch)
    crew = local_crew(plan, options)
    needed = max(
        worker_bytes(config, request.network(variant), batch=max(1, command.batch))
        for variant, config in request.variants.items()
    )
    where = "" if command.address is None else " if it were drawn here and not on the cluster"
    yield f"workers: {crew}{' for want of memory' * crew.is_short_of_memory}{where}"
    yield f"memory: about {needed / 2**30:.1f} GiB a worker"
    seconds, how = _seconds(plan, crew.cpus)
    a_pair = seconds / len(plan.todo)
    yield f"time: about {duration(seconds / crew.workers)}, {a_pair:.3g} s a pair, {how}"


def _seconds(plan: Plan, threads: int) -> tuple[float, str]:
    """Of all pairs one after another, and where that is known from."""
    request, counts = plan.request, Counter(pair.variant for pair in plan.todo)
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
