"""Keeps the workers of a batch busy and records what they answer; who they are, `painters` says."""

import contextlib
import time
from collections.abc import Callable, Mapping

from common.errors import ConfigError
from common.storage.atomic import WriteError
from styletransfer.execution.dispatch import Dispatcher
from styletransfer.execution.messages import Drawn, Order
from styletransfer.execution.result_log import BatchError, Ledger
from styletransfer.execution.tasks import Draw, Prepare, Task
from styletransfer.execution.worker_pool import (
    Broken,
    Died,
    Event,
    InputLost,
    IsDrawn,
    IsPrepared,
    Painters,
    Ready,
    Worker,
)
from styletransfer.planning.keys import prepared_key
from styletransfer.planning.pairs import Kind
from styletransfer.planning.plan import Plan
from styletransfer.report.terminal import BatchView

START_TIMEOUT_S = 300.0
_MOST_DEATHS_IN_A_ROW = 8  # a worker; each pair takes two
_MOST_FAILED_STARTS = 3  # before any worker was ready
_WAIT_S = 0.5


class Foreman:
    """Keeps `workers` workers busy until all is done, each drawing up to `together` pairs as one."""

    def __init__(
        self,
        plan: Plan,
        painters: Painters,
        ledger: Ledger,
        view: BatchView,
        *,
        workers: int,
        together: int,
    ) -> None:
        self._plan, self._painters, self._ledger, self._view = plan, painters, ledger, view
        self._dispatcher = Dispatcher(
            plan.todo,
            plan.needs,
            # enough that a picture is prepared before its first pair is due, behind two tasks in each queue
            ahead=(3 * workers + 1) * together,
            together=together,
            workers=workers,
            kept=_kept(plan),
        )
        self._most_deaths = _MOST_DEATHS_IN_A_ROW * workers
        self._deaths_in_a_row = 0
        self._was_ready = False
        self._ready_at = time.monotonic()

    def work(self, check: Callable[[], None]) -> None:
        """Draw everything; `check` raises when someone wants to stop.

        Raises: BatchError when it cannot go on.
        """
        while not self._dispatcher.is_finished():
            check()
            self._feed()
            for event in self._painters.wait(_WAIT_S):
                self._take(event)
            for pair, reason in self._dispatcher.failures():
                self._ledger.record(Drawn(pair=pair, output=self._plan.outputs[pair], error=reason))
            self._check_workers()
            self._view.refresh()
            self._ledger.write_sheet_if_due()

    def _feed(self) -> None:
        """Give every worker what it has room for, one each in turn."""
        gave = True
        while gave:
            gave = False
            for worker in self._painters.free():
                task = self._dispatcher.next_task(is_idle=worker.is_idle)
                if task is not None:
                    self._give(worker, task)
                    gave = True

    def _give(self, worker: Worker, task: Task) -> None:
        if isinstance(task, Draw):
            orders = [
                Order(
                    waiting.pair,
                    self._plan.outputs[waiting.pair],
                    tuple(waiting.inputs),
                    is_repeat=waiting.deaths > 0,
                    lost_machine=waiting.machines_lost > 0,
                )
                for waiting in task.pairs
            ]
            self._painters.draw(worker, task, orders)
            return
        need = task.input.need
        try:
            data = self._plan.request.inputs.read(need.kind, need.name)
        except ConfigError as error:
            self._dispatcher.unusable(task, str(error))
        else:
            self._painters.prepare(worker, task, data)

    def _take(self, event: Event) -> None:
        match event:
            case Ready():
                if not self._was_ready:
                    self._view.ready()
                self._was_ready = True
                return  # not yet a sign that it lives long enough to work
            case IsPrepared(task, answer, handle):
                with contextlib.suppress(WriteError):  # thumbnails
                    self._ledger.write(answer.files)
                if answer.error is None:
                    self._dispatcher.prepared(task, handle, answer.size_px)
                else:
                    self._dispatcher.unusable(task, answer.error)
            case IsDrawn(task, answers):
                self._dispatcher.drawn(task)
                for drawn in answers:
                    self._ledger.record(drawn)
            case Broken(task, error):
                self._fail(task, error)
            case InputLost(task):
                self._dispatcher.lost(task)
            case Died(tasks, reason, is_machine_lost):
                self._deaths_in_a_row += 1
                if self._deaths_in_a_row >= (self._most_deaths if self._was_ready else _MOST_FAILED_STARTS):
                    raise BatchError(
                        f"workers cannot be kept alive: {reason}; try fewer --workers or less --size"
                    )
                self._dispatcher.died(tasks, is_machine_lost=is_machine_lost)
                return
        self._deaths_in_a_row = 0

    def _fail(self, task: Task, error: str) -> None:
        if isinstance(task, Prepare):
            self._dispatcher.unusable(task, error)
            return
        self._dispatcher.drawn(task)
        for waiting in task.pairs:
            output = self._plan.outputs[waiting.pair]
            self._ledger.record(Drawn(pair=waiting.pair, output=output, error=error))

    def _check_workers(self) -> None:
        if self._painters.any_ready():
            self._ready_at = time.monotonic()
        elif time.monotonic() - self._ready_at > START_TIMEOUT_S:
            raise BatchError(
                f"no worker was ready for {START_TIMEOUT_S:.0f} s; `ray status` tells what is lacking"
            )


def _kept(plan: Plan) -> Mapping[Kind, int]:
    """How many prepared pictures of a kind to keep: in this order of pairs few are prepared twice."""
    configs = plan.request.variants.values()
    keys = {kind: len({prepared_key(config, kind) for config in configs}) for kind in ("content", "style")}
    return {
        "content": 2 * keys["content"],
        "style": plan.styles_at_once * keys["style"],
        "mask": 2,
        "start": len({config.size for config in configs}),
    }
