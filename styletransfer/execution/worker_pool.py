"""RAY: workers of a batch, started, given tasks, listened to, replaced when they die, not what they do."""

import collections
import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import ray
import ray.exceptions

from common.cluster.session import is_alive, worker_env
from common.text import last_line
from perceptual.network import FeatureNetwork
from styletransfer.execution.messages import Drawn, Order, Prepared, Setup
from styletransfer.execution.painter import Painter
from styletransfer.execution.placement import Crew
from styletransfer.execution.tasks import Draw, Prepare, Task
from styletransfer.planning.keys import NetworkKey

TASKS_IN_FLIGHT = 2  # one at work and one that begins at once after it
_DEATHS = (
    ray.exceptions.RayActorError,
    ray.exceptions.WorkerCrashedError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.OutOfMemoryError,
)
_OUT_OF_REACH = (ray.exceptions.ActorUnavailableError, ray.exceptions.NodeDiedError)


@dataclasses.dataclass(frozen=True)
class Ready:
    """A worker can take tasks."""


@dataclasses.dataclass(frozen=True)
class IsPrepared:
    """A picture was prepared, or cannot be; handle: what stands for it."""

    task: Prepare
    answer: Prepared
    handle: Any


@dataclasses.dataclass(frozen=True)
class IsDrawn:
    """Pairs were drawn, or cannot be."""

    task: Draw
    answers: Sequence[Drawn]


@dataclasses.dataclass(frozen=True)
class Broken:
    """A task ended in an error that no worker foresaw."""

    task: Task
    error: str


@dataclasses.dataclass(frozen=True)
class InputLost:
    """What a task was given is lost with the machine that kept it."""

    task: Draw


@dataclasses.dataclass(frozen=True)
class Died:
    """A worker died, and is replaced; tasks: what it had not finished, in the order it was given."""

    tasks: Sequence[Task]
    reason: str
    is_machine_lost: bool
    """Whether its machine went with it, or is out of reach: then it died of no picture."""


Event = Ready | IsPrepared | IsDrawn | Broken | InputLost | Died


class _Given(NamedTuple):
    task: Task
    answer: Any
    handle: Any = None


class Worker:
    """One painter, and what it was given."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor
        self.hello = actor.hello.remote()
        self.node_id = ""
        self.ready_since: float | None = None
        self.last_answer_at = 0.0
        self.given: collections.deque[_Given] = collections.deque()

    @property
    def is_idle(self) -> bool:
        """Whether it has nothing to do."""
        return not self.given

    def next_answer(self) -> Any:
        """The reference that tells of it next; None while it has nothing to tell."""
        if self.ready_since is None:
            return self.hello
        return self.given[0].answer if self.given else None


class Painters:
    """As many workers as the crew has; one that dies is replaced."""

    def __init__(self, setup: Setup, networks: Mapping[NetworkKey, FeatureNetwork], crew: Crew) -> None:
        self._setup, self._crew = setup, crew
        self._networks = ray.put(networks)
        self._seconds = 0.0
        self._workers = [self._start() for _ in range(crew.workers)]

    def _start(self) -> Worker:
        actor = ray.remote(Painter).options(
            num_cpus=self._crew.cpus,
            num_gpus=int(self._crew.gpu),
            max_restarts=0,  # who died of what is decided here
            runtime_env={"env_vars": worker_env(self._crew.cpus)},
        )
        device = "cuda" if self._crew.gpu else "cpu"
        return Worker(actor.remote(self._setup, self._networks, self._crew.cpus, device))

    def free(self) -> list[Worker]:
        """Those that can take one more task, the idle ones first."""
        able = [
            worker
            for worker in self._workers
            if worker.ready_since is not None and len(worker.given) < TASKS_IN_FLIGHT
        ]
        return sorted(able, key=lambda worker: len(worker.given))

    def any_ready(self) -> bool:
        """Whether some worker can work."""
        return any(worker.ready_since is not None for worker in self._workers)

    def worker_seconds(self) -> tuple[float, float]:
        """Time that workers were ready, over all of them, also those that died; and up to their last answers.

        Between the two lies what they idled at the end because no pair was left.
        """
        now = time.monotonic()
        ready = [worker for worker in self._workers if worker.ready_since is not None]
        since = sum(worker.ready_since or 0 for worker in ready)
        whole = self._seconds + now * len(ready) - since
        return whole, self._seconds + sum(worker.last_answer_at for worker in ready) - since

    def prepare(self, worker: Worker, task: Prepare, data: bytes) -> None:
        """Let a worker prepare a picture from its file."""
        need = task.input.need
        answer, handle = worker.actor.prepare.options(num_returns=2).remote(
            need.kind, need.name, task.input.variant, data
        )
        worker.given.append(_Given(task, answer, handle))

    def draw(self, worker: Worker, task: Draw, orders: Sequence[Order]) -> None:
        """Let a worker draw pairs from what was prepared."""
        handles = [
            waiting.inputs[kind].handle
            for waiting, order in zip(task.pairs, orders, strict=True)
            for kind in order.kinds
        ]
        worker.given.append(_Given(task, worker.actor.draw.remote(orders, *handles)))

    def wait(self, timeout_s: float) -> Iterator[Event]:
        """What workers have to tell, as soon as one has, or nothing after `timeout_s`."""
        answers = [answer for worker in self._workers if (answer := worker.next_answer()) is not None]
        if not answers:
            time.sleep(timeout_s)
            return
        ray.wait(answers, num_returns=1, timeout=timeout_s)
        for index, worker in enumerate(self._workers):
            while (answer := worker.next_answer()) is not None and ray.wait([answer], timeout=0)[0]:
                event = self._event(worker, answer)
                if isinstance(event, Died):
                    self._workers[index] = self._start()
                yield event
                if isinstance(event, Died):
                    break

    def _event(self, worker: Worker, answer: Any) -> Event:
        try:
            value = ray.get(answer)
        except _DEATHS as error:
            return self._death(worker, error)
        except Exception as error:  # whatever a task raised is the reason that its pairs are given
            task = worker.given.popleft().task
            if isinstance(error, ray.exceptions.ObjectLostError) and isinstance(task, Draw):
                return InputLost(task)
            cause = getattr(error, "cause", None) or error  # Ray's own text is a traceback
            return Broken(task, f"{type(cause).__name__}: {last_line(cause)}")
        worker.last_answer_at = time.monotonic()
        if worker.ready_since is None:
            worker.node_id, worker.ready_since = value, worker.last_answer_at
            return Ready()
        given = worker.given.popleft()
        if isinstance(given.task, Prepare):
            return IsPrepared(given.task, value, given.handle)
        return IsDrawn(given.task, value)

    def _death(self, worker: Worker, error: Exception) -> Died:
        with contextlib.suppress(Exception):
            ray.kill(worker.actor)  # one that is only out of reach must not write any more
        if worker.ready_since is not None:
            self._seconds += time.monotonic() - worker.ready_since
        is_machine_lost = isinstance(error, _OUT_OF_REACH) or not is_alive(worker.node_id)
        return Died([given.task for given in worker.given], last_line(error), is_machine_lost)

    def dismiss(self) -> None:
        """End all workers, whatever they do."""
        for worker in self._workers:
            with contextlib.suppress(Exception):  # Ray itself may be gone
                ray.kill(worker.actor)
