"""Decides which picture is prepared and which pair is stylized next, and who is blamed for a death; pure.

Pairs come in a fixed order. The next ones form a window: the pictures that they need are prepared before
anything else is stylized, so that no worker waits for a picture. A prepared picture is kept while a pair in
the window needs it; beyond that, a bounded number is kept.
"""

import collections
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from styletransfer.planning.pairs import Kind, Need, Pair

Cause = Literal["worker died", "machine was lost", "inputs were lost"]

_DEADLY_PAIRS = 2  # one may be to blame itself; two of a size are too large
MOST_MACHINES = 6  # machines are lost for other reasons, but not so often at the same picture
_LIMITS: Mapping[Cause, tuple[int, str]] = {
    "worker died": (2, "the worker died twice"),
    "machine was lost": (MOST_MACHINES, f"{MOST_MACHINES} machines were lost"),
    "inputs were lost": (4, "its prepared pictures were lost with their machines 4 times"),
}


@dataclasses.dataclass(eq=False, kw_only=True)
class _Interruptible:
    interruptions: collections.Counter[Cause] = dataclasses.field(default_factory=collections.Counter)
    """How often it was interrupted by each cause."""

    def given_up(self) -> str | None:
        """Why it is not tried again; None where it is."""
        limits = _LIMITS.items()
        return next((why for cause, (most, why) in limits if self.interruptions[cause] >= most), None)


@dataclasses.dataclass(eq=False, kw_only=True)
class Input(_Interruptible):
    """A picture that pairs need; as a task: prepare it."""

    need: Need
    variant: str
    """One of the variants that can use it."""
    handle: Any = None
    """Reference to the prepared picture, None until it is ready; opaque here."""
    size_px: tuple[int, int] = (0, 0)
    error: str | None = None
    """Why it cannot be used."""
    is_assigned: bool = False


@dataclasses.dataclass(eq=False, kw_only=True)
class PendingPair(_Interruptible):
    """A pair that is neither done nor failed."""

    pair: Pair
    inputs: dict[Kind, Input]
    is_careful: bool = False
    """Whether workers died of others of its variant and size: it is stylized with little memory at once."""

    @property
    def is_ready(self) -> bool:
        """Whether all its inputs are prepared."""
        return all(each.handle is not None for each in self.inputs.values())

    def group(self) -> Any:
        """Equal for pairs that can be stylized together: those of one variant and size.

        A pair is alone after its worker died, so that another death shows which pair is to blame.
        """
        has_killed = self.interruptions["worker died"] > 0
        return self if has_killed else self.memory_key()

    def memory_key(self) -> tuple[str, tuple[int, int]]:
        """Equal for pairs that need the same memory."""
        return self.pair.variant, self.inputs["content"].size_px

    def notes(self) -> tuple[str, ...]:
        """What its manifest entry says about attempts that were interrupted."""
        causes: tuple[Cause, ...] = ("machine was lost", "worker died")
        return tuple(f"its {cause}: stylized again" for cause in causes if self.interruptions[cause])

    def error(self) -> str | None:
        """Why it fails without being stylized; None where it does not."""
        unusable = (each.error for each in self.inputs.values() if each.error is not None)
        if (reason := self.given_up()) is not None:
            return f"{reason} while stylizing it, perhaps for lack of memory"
        return next(unusable, None)


PairTask = tuple[PendingPair, ...]
"""Stylize these pairs, of one size and variant, together."""
Task = Input | PairTask


class Dispatcher:
    """Hands out the tasks of a batch, and takes back what could not be finished.

    ahead: length of the window. together: pairs that are stylized as one task. workers: their number; it
    matters at the end, when the last pairs go to idle workers only. kept: how many prepared pictures of a
    kind to keep beyond need.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        needs: Callable[[Pair], Sequence[Need]],
        *,
        ahead: int,
        together: int,
        workers: int,
        kept: Mapping[Kind, int],
    ) -> None:
        self._pairs, self._needs, self._next = pairs, needs, 0
        self._ahead, self._together, self._workers, self._kept = ahead, together, workers, kept
        self._window: collections.deque[PendingPair] = collections.deque()
        self._inputs: dict[Kind, collections.OrderedDict[Need, Input]] = {}
        self._unusable: dict[Need, Input] = {}
        self._failures: list[tuple[Pair, str]] = []
        self._assigned = 0
        self._deadly: collections.defaultdict[Any, set[Pair]] = collections.defaultdict(set)

    def next_task(self, *, is_idle: bool) -> Task | None:
        """What a worker should do next, None if nothing; `is_idle`: whether it has nothing else to do."""
        self._fill_window()
        task: Task | None = self._next_input()
        left = len(self._window) + len(self._pairs) - self._next
        if task is None and (is_idle or left > self._workers):
            task = self._next_pairs()
        self._assigned += task is not None
        return task

    def failures(self) -> list[tuple[Pair, str]]:
        """Pairs that have failed, each with its reason; each is returned once."""
        self._fill_window()
        failures, self._failures = self._failures, []
        return failures

    def is_finished(self) -> bool:
        """Whether every pair is done, or has failed and was returned by `failures`."""
        is_empty = not self._window and self._next == len(self._pairs)
        return is_empty and not self._assigned and not self._failures

    # --- how a task ended

    def prepared(self, task: Input, handle: Any, size_px: tuple[int, int]) -> None:
        """A picture is ready."""
        self._assigned -= 1
        task.handle, task.size_px = handle, size_px

    def stylized(self, task: PairTask) -> None:
        """Each of the pairs is done, or its failure is known."""
        self._assigned -= 1

    def failed(self, task: Task, error: str) -> None:
        """Pairs fail; with a picture all its pairs fail, also those to come, and it is not read again."""
        self._assigned -= 1
        if isinstance(task, Input):
            self._give_up(task, error)
        else:
            self._failures += [(pending.pair, error) for pending in task]

    def interrupted(self, tasks: Sequence[Task], cause: Cause) -> None:
        """A worker did not finish these tasks. It was working on the first: only there the cause counts."""
        self._assigned -= len(tasks)
        for task in tasks[:1]:
            for blamed in (task,) if isinstance(task, Input) else task:
                blamed.interruptions[cause] += 1
                if isinstance(blamed, PendingPair) and cause == "worker died":
                    self._deadly[blamed.memory_key()].add(blamed.pair)
        for task in reversed(tasks):
            if not isinstance(task, Input):
                self._put_back(task, are_inputs_lost=cause == "inputs were lost")
            elif (reason := task.given_up()) is not None:
                self._give_up(task, f"{reason} while reading {task.need.name}")
            else:
                task.is_assigned = False

    # --- what comes next

    def _fill_window(self) -> None:
        while len(self._window) < self._ahead and self._next < len(self._pairs):
            pair = self._pairs[self._next]
            self._next += 1
            inputs = {need.kind: self._input(need, pair.variant) for need in self._needs(pair)}
            self._window.append(PendingPair(pair=pair, inputs=inputs))
            self._drop_failed()

    def _drop_failed(self) -> None:
        failed = [(pending, error) for pending in self._window if (error := pending.error()) is not None]
        for pending, error in failed:
            self._window.remove(pending)
            self._failures.append((pending.pair, error))

    def _next_input(self) -> Input | None:
        for pending in self._window:
            for each in pending.inputs.values():
                if not each.is_assigned:
                    each.is_assigned = True
                    return each
        return None

    def _next_pairs(self) -> PairTask | None:
        ready = [pending for pending in self._window if pending.is_ready]
        if not ready:
            return None
        alike = [pending for pending in ready if pending.group() == ready[0].group()]
        for pending in alike[: self._together]:
            self._window.remove(pending)
            pending.is_careful = len(self._deadly[pending.memory_key()]) >= _DEADLY_PAIRS
        return tuple(alike[: self._together])

    def _input(self, need: Need, variant: str) -> Input:
        """The picture, remembered or new."""
        if need in self._unusable:
            return self._unusable[need]
        known = self._inputs.setdefault(need.kind, collections.OrderedDict())
        if need not in known:
            known[need] = Input(need=need, variant=variant)
        known.move_to_end(need)
        while len(known) > self._kept.get(need.kind, 1):
            known.popitem(last=False)  # pairs in the window hold what they need themselves
        return known[need]

    def _give_up(self, task: Input, error: str) -> None:
        task.error = error
        self._unusable[task.need] = task
        self._drop_failed()

    def _put_back(self, task: PairTask, *, are_inputs_lost: bool) -> None:
        if are_inputs_lost:
            for pending in task:
                for each in pending.inputs.values():
                    each.handle, each.is_assigned = None, False
        self._window.extendleft(reversed(task))
        self._drop_failed()
