"""RAY: the style workers of a batch, as actors: starts them, gives them tasks, replaces those that die."""

import collections
import contextlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import ray
import ray.exceptions
import torch

from common.cluster.session import is_alive, worker_env
from common.device import keep_freed_memory
from common.text import last_line, type_and_last_line
from perceptual.network import FeatureNetwork
from styletransfer.config import StyleConfig
from styletransfer.execution.dispatch import Dispatcher, Input, PairTask, Task
from styletransfer.execution.output_writer import OutputWriter
from styletransfer.execution.placement import Placement
from styletransfer.execution.prepare import KINDS
from styletransfer.execution.renderer import NO_STEPS, Renderer, Steps
from styletransfer.execution.result_log import BatchError, ResultLog
from styletransfer.planning.inputs import PictureData
from styletransfer.planning.manifest import Entry
from styletransfer.planning.staleness import NetworkKey

_REPORTS = "reports"
TASKS_IN_FLIGHT = 2  # one being worked on, and one that begins at once after it
START_TIMEOUT_S = 300.0
_MOST_DEATHS_IN_A_ROW = 8  # per worker; each pair takes two
_MOST_FAILED_STARTS = 3  # before any worker was ready
_DEATHS = (
    ray.exceptions.RayActorError,
    ray.exceptions.WorkerCrashedError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.OutOfMemoryError,
)
_OUT_OF_REACH = (ray.exceptions.ActorUnavailableError, ray.exceptions.NodeDiedError)


class StyleWorker(Renderer):
    """A renderer as a Ray actor: in a process of its own, with its networks on its device."""

    def __init__(
        self,
        variants: Mapping[str, StyleConfig],
        networks: Mapping[NetworkKey, FeatureNetwork],
        writer: OutputWriter,
        device: str,
        threads: int,
    ) -> None:
        torch.set_num_threads(threads)
        if device == "cpu":
            keep_freed_memory()
        super().__init__(variants, {key: each.to(device) for key, each in networks.items()}, writer, device)

    def report(self) -> Steps:
        """How far the pair in work is; called while another method runs."""
        return self.steps

    def hello(self) -> str:
        """Return, as soon as it can work, the id of the Ray node on which it runs."""
        node_id: str = ray.get_runtime_context().get_node_id()
        return node_id


class _Awaited(NamedTuple):
    task: Task | None
    answer: Any
    handle: Any = None


class Worker:
    """A style worker as the driver sees it: its actor, and the answers that it still owes."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.awaited = collections.deque([_Awaited(None, actor.hello.remote())])
        self.node_id = ""
        self.ready_since: float | None = None
        self.last_answer_at = 0.0
        self._reported = NO_STEPS
        self._asked: Any = None

    def steps(self) -> Steps:
        """How far its pair is, as it said when it was last asked; asks it again, without waiting."""
        if self.ready_since is None or not self.awaited or isinstance(self.awaited[0].task, Input):
            return NO_STEPS
        with contextlib.suppress(ray.exceptions.RayError):  # a death shows in its awaited answer
            if self._asked is not None and ray.wait([self._asked], timeout=0)[0]:
                asked, self._asked = self._asked, None
                self._reported = ray.get(asked)
            if self._asked is None:
                self._asked = self.actor.report.options(concurrency_group=_REPORTS).remote()
        return self._reported

    def forget_steps(self) -> None:
        """What it said belongs to a pair that has ended."""
        self._reported = NO_STEPS

    def prepare(self, task: Input, data: PictureData) -> None:
        """Have it prepare a picture from its file."""
        prepare = self.actor.prepare.options(num_returns=2)
        self.awaited.append(_Awaited(task, *prepare.remote(task.need, task.variant, data)))

    def stylize(self, task: PairTask, entries: Sequence[Entry]) -> None:
        """Have it stylize pairs from what was prepared; entries: see `Renderer.stylize`."""
        is_repeat = any(pending.interruptions["worker died"] or pending.is_careful for pending in task)
        inputs = (pending.inputs.get(kind) for pending in task for kind in KINDS)
        # arguments of their own: Ray fetches what they refer to before the task begins
        handles = [None if each is None else each.handle for each in inputs]
        self.awaited.append(_Awaited(task, self.actor.stylize.remote(entries, is_repeat, *handles)))


class WorkerPool:
    """As many workers as the placement says; one that dies is replaced."""

    def __init__(
        self,
        variants: Mapping[str, StyleConfig],
        networks: Mapping[NetworkKey, FeatureNetwork],
        writer: OutputWriter,
        placement: Placement,
    ) -> None:
        self.placement = placement
        self._args = (variants, ray.put(networks), writer, "cuda" if placement.gpu else "cpu", placement.cpus)
        self._seconds_of_dead = 0.0
        self._most_deaths, self._deaths_in_a_row = _MOST_FAILED_STARTS, 0
        self._last_ready = time.monotonic()
        self._workers = [self._start() for _ in range(placement.workers)]

    def _start(self) -> Worker:
        # a thread of its own answers how far a pair is while it is stylized
        kind = ray.remote(concurrency_groups={_REPORTS: 1})(StyleWorker)
        actor = kind.options(
            num_cpus=self.placement.cpus,
            num_gpus=int(self.placement.gpu),
            max_restarts=0,  # the dispatcher decides who died of what
            runtime_env={"env_vars": worker_env(self.placement.cpus)},
        )
        return Worker(actor.remote(*self._args))

    def ready(self) -> list[Worker]:
        """The workers that can work."""
        return [worker for worker in self._workers if worker.ready_since is not None]

    def free(self) -> list[Worker]:
        """The workers that can take one more task, idle ones first."""
        free = [worker for worker in self.ready() if len(worker.awaited) < TASKS_IN_FLIGHT]
        return sorted(free, key=lambda worker: len(worker.awaited))

    def steps(self) -> list[Steps]:
        """How far each worker's pair is."""
        return [worker.steps() for worker in self._workers]

    def worker_seconds(self) -> tuple[float, float]:
        """Time that workers were ready, summed, dead ones included; and the same up to their last answers.

        The difference is what they idled at the end because no pair was left.
        """
        now, ready = time.monotonic(), self.ready()
        before = self._seconds_of_dead - sum(worker.ready_since or 0 for worker in ready)
        return before + now * len(ready), before + sum(worker.last_answer_at for worker in ready)

    def wait(self, timeout_s: float, dispatcher: Dispatcher, results: ResultLog) -> None:
        """Wait until a worker answers or has died, at most `timeout_s`; report and record how tasks ended.

        Raises: BatchError when no worker can be kept alive, or as `ResultLog.record`.
        """
        awaited = [worker.awaited[0].answer for worker in self._workers if worker.awaited]
        if awaited:
            ray.wait(awaited, num_returns=1, timeout=timeout_s)
        else:
            time.sleep(timeout_s)
        for worker in list(self._workers):
            while worker.awaited and ray.wait([worker.awaited[0].answer], timeout=0)[0]:
                self._take(worker, dispatcher, results)
        if self.ready():
            self._last_ready = time.monotonic()
        elif time.monotonic() - self._last_ready > START_TIMEOUT_S:
            raise BatchError(
                f"no worker was ready for {START_TIMEOUT_S:.0f} s; `ray status` shows what is missing"
            )

    def _take(self, worker: Worker, dispatcher: Dispatcher, results: ResultLog) -> None:
        """Take the worker's next answer, which has arrived."""
        task, answer, handle = worker.awaited[0]
        try:
            value = ray.get(answer)
        except Exception as error:  # the worker died, or whatever a task raised
            if task is None or isinstance(error, _DEATHS):
                self._replace(worker, error, dispatcher)
                return
            value = error
        worker.awaited.popleft()
        worker.forget_steps()
        worker.last_answer_at = time.monotonic()
        if task is None:
            worker.node_id, worker.ready_since = value, worker.last_answer_at
            self._most_deaths = _MOST_DEATHS_IN_A_ROW * len(self._workers)
            return
        self._deaths_in_a_row = 0
        if isinstance(value, ray.exceptions.ObjectLostError) and not isinstance(task, Input):
            dispatcher.interrupted([task], "inputs were lost")
        elif isinstance(value, Exception):
            cause = getattr(value, "cause", None) or value  # Ray's own text is a traceback
            dispatcher.failed(task, type_and_last_line(cause))
        elif not isinstance(task, Input):
            dispatcher.stylized(task)
            for entry, files in value:
                results.record(entry, files)
        elif value.error is not None:
            dispatcher.failed(task, value.error)
        else:
            dispatcher.prepared(task, handle, value.size_px)
            results.write(value.files)  # a thumbnail, which may be missing

    def _replace(self, worker: Worker, error: Exception, dispatcher: Dispatcher) -> None:
        """Start a worker in the place of a dead one, whose tasks were interrupted."""
        with contextlib.suppress(Exception):
            ray.kill(worker.actor)  # one that is only out of reach must not write any more
        if worker.ready_since is not None:
            self._seconds_of_dead += time.monotonic() - worker.ready_since
        self._deaths_in_a_row += 1
        if self._deaths_in_a_row >= self._most_deaths:
            raise BatchError(
                f"workers cannot be kept alive: {last_line(error)}; try fewer --workers or less --size"
            )
        self._workers[self._workers.index(worker)] = self._start()
        is_machine_lost = isinstance(error, _OUT_OF_REACH) or not is_alive(worker.node_id)
        tasks = [each.task for each in worker.awaited if each.task is not None]
        dispatcher.interrupted(tasks, "machine was lost" if is_machine_lost else "worker died")
        worker.awaited.clear()

    def dismiss(self) -> None:
        """End all workers, whatever they are doing."""
        for worker in self._workers:
            with contextlib.suppress(Exception):  # Ray itself may be gone
                ray.kill(worker.actor)
