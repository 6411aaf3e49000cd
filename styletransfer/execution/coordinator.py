"""Keeps the workers of a batch busy until every pair is done or has failed."""

from collections.abc import Callable, Mapping

from common.errors import ConfigError
from styletransfer.execution.dispatch import Dispatcher, Input, Task
from styletransfer.execution.result_log import ResultLog
from styletransfer.execution.worker_pool import Worker, WorkerPool
from styletransfer.planning.pairs import Kind
from styletransfer.planning.plan import BatchPlan
from styletransfer.planning.staleness import prepared_key
from styletransfer.report.terminal import BatchView

_WAIT_S = 0.5


class Coordinator:
    """Gives tasks to the workers of a pool, each of up to `together` pairs, and takes their answers."""

    def __init__(
        self, plan: BatchPlan, pool: WorkerPool, results: ResultLog, view: BatchView, *, together: int
    ) -> None:
        self._plan, self._pool, self._results, self._view = plan, pool, results, view
        workers = pool.placement.workers
        self._dispatcher = Dispatcher(
            plan.stale,
            plan.needs,
            # enough that a picture is prepared before its first pair is due, behind two tasks in each queue
            ahead=(3 * workers + 1) * together,
            together=together,
            workers=workers,
            kept=_kept(plan),
        )

    def work(self, check: Callable[[], None]) -> None:
        """Stylize everything; `check` raises when the batch is to stop.

        Raises: BatchError when it cannot continue.
        """
        while not self._dispatcher.is_finished():
            check()
            self._assign_tasks()
            self._pool.wait(_WAIT_S, self._dispatcher, self._results)
            for pair, reason in self._dispatcher.failures():
                self._results.record(self._results.entry(pair, error=reason))
            if self._pool.ready():
                self._view.ready()
            self._view.refresh(self._pool.steps())
            self._results.write_sheet_if_due()

    def _assign_tasks(self) -> None:
        """Give every worker as many tasks as it can take, one each in turn."""
        assigned = True
        while assigned:
            assigned = False
            for worker in self._pool.free():
                task = self._dispatcher.next_task(is_idle=not worker.awaited)
                if task is not None:
                    self._assign(worker, task)
                    assigned = True

    def _assign(self, worker: Worker, task: Task) -> None:
        if not isinstance(task, Input):
            worker.stylize(task, [self._results.entry(each.pair, notes=each.notes()) for each in task])
            return
        try:
            worker.prepare(task, self._plan.request.inputs.read(task.need.kind, task.need.name))
        except ConfigError as error:
            self._dispatcher.failed(task, str(error))


def _kept(plan: BatchPlan) -> Mapping[Kind, int]:
    """How many prepared pictures of a kind to keep, so that few are prepared twice in this order of pairs."""
    configs = plan.request.variants.values()
    kinds: tuple[Kind, ...] = ("content", "style", "mask", "start")
    keys = {kind: len({prepared_key(config, kind) for config in configs}) for kind in kinds}
    return {
        "content": 2 * keys["content"],
        "style": plan.styles_at_once * keys["style"],
        "mask": 2 * keys["mask"],
        "start": keys["start"],
    }
