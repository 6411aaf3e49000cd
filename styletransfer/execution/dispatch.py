"""Which picture is prepared and which pair is drawn next, and who is blamed for a death; it knows no Ray.

Pairs come in a fixed order. Those next in line form a window: what they need is prepared before anything else
is drawn, so that nobody waits for a picture. What was prepared is kept while a pair in the window needs it,
and a bounded number beyond.
"""

import collections
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from styletransfer.execution.tasks import Draw, Input, Prepare, Task, Waiting, deadly
from styletransfer.planning.pairs import Kind, Need, Pair

_MOST_LOSSES = 3


class Dispatcher:
    """Hands out the tasks of a batch, and takes back what could not be finished.

    ahead: length of the window. together: pairs that are drawn as one. workers: how many there are, for the
    end: the last pairs go to who is idle. kept: how many prepared pictures of a kind to keep beyond need.
    """

    def __init__(
        self,
        todo: Sequence[Pair],
        needs: Callable[[Pair], Sequence[Need]],
        *,
        ahead: int,
        together: int,
        workers: int,
        kept: Mapping[Kind, int],
    ) -> None:
        self._todo, self._needs, self._next = todo, needs, 0
        self._ahead, self._together, self._workers, self._kept = ahead, together, workers, kept
        self._window: collections.deque[Waiting] = collections.deque()
        self._inputs: dict[Kind, collections.OrderedDict[Need, Input]] = {}
        self._unusable: dict[Need, Input] = {}
        self._hopeless: list[tuple[Pair, str]] = []
        self._given = 0

    def next_task(self, *, is_idle: bool) -> Task | None:
        """What a worker should do next; `is_idle` says that it has nothing else to do. None: nothing now."""
        self._look_ahead()
        task: Task | None = self._next_prepare()
        left = len(self._window) + len(self._todo) - self._next
        if task is None and (is_idle or left > self._workers):
            task = self._next_draw()
        self._given += task is not None
        return task

    def failures(self) -> list[tuple[Pair, str]]:
        """Pairs that cannot be drawn, each with its reason; each is told once."""
        self._look_ahead()
        told, self._hopeless = self._hopeless, []
        return told

    def is_finished(self) -> bool:
        """Whether nothing is left to do, to wait for or to tell."""
        is_empty = not self._window and self._next == len(self._todo)
        return is_empty and not self._given and not self._hopeless

    # --- how a task ended

    def prepared(self, task: Prepare, handle: Any, size_px: tuple[int, int]) -> None:
        """A picture is ready."""
        self._given -= 1
        task.input.handle, task.input.size_px = handle, size_px

    def unusable(self, task: Prepare, error: str) -> None:
        """A picture is none: its pairs fail, also those to come, and nobody reads it again."""
        self._given -= 1
        self._give_up(task.input, error)

    def drawn(self, task: Draw) -> None:
        """Pairs are done, well or badly."""
        self._given -= 1

    def lost(self, task: Draw) -> None:
        """What the pairs were to be drawn from was lost with a machine: it is prepared again."""
        self._given -= 1
        for waiting in task.pairs:
            for each in waiting.inputs.values():
                each.handle, each.is_asked = None, False
            waiting.losses += 1
            if waiting.losses > _MOST_LOSSES:
                self._hopeless.append(
                    (waiting.pair, "its pictures were lost with their machines again and again")
                )
        self._put_back([waiting for waiting in task.pairs if waiting.losses <= _MOST_LOSSES])

    def died(self, tasks: Sequence[Task], *, is_machine_lost: bool = False) -> None:
        """A worker died with these tasks unfinished, in the order it was given them: it was at the first.

        That one is to blame; where the machine was lost with its worker, only if that happens often.
        """
        self._given -= len(tasks)
        for task in tasks[:1]:
            for blamed in [task.input] if isinstance(task, Prepare) else task.pairs:
                blamed.machines_lost += is_machine_lost
                blamed.deaths += not is_machine_lost
        for task in reversed(tasks):
            if isinstance(task, Prepare):
                self._died_of_preparing(task.input)
            else:
                self._died_of_drawing(task)

    def _died_of_preparing(self, found: Input) -> None:
        reason = deadly(found)
        if reason is not None:
            self._give_up(found, f"{reason} while reading {found.need.name}")
        else:
            found.is_asked = False

    def _died_of_drawing(self, task: Draw) -> None:
        reasons = {each.pair: reason for each in task.pairs if (reason := deadly(each)) is not None}
        self._hopeless += [
            (pair, f"{reason} while drawing it, perhaps for want of memory")
            for pair, reason in reasons.items()
        ]
        self._put_back([waiting for waiting in task.pairs if waiting.pair not in reasons])

    # --- what comes next

    def _look_ahead(self) -> None:
        while len(self._window) < self._ahead and self._next < len(self._todo):
            pair = self._todo[self._next]
            self._next += 1
            inputs = {need.kind: self._input(need, pair.variant) for need in self._needs(pair)}
            self._window.append(Waiting(pair, inputs))
            self._drop_hopeless()

    def _drop_hopeless(self) -> None:
        for waiting in [each for each in self._window if each.error() is not None]:
            self._window.remove(waiting)
            self._hopeless.append((waiting.pair, waiting.error() or ""))

    def _next_prepare(self) -> Prepare | None:
        for waiting in self._window:
            for each in waiting.inputs.values():
                if not each.is_asked:
                    each.is_asked = True
                    return Prepare(each)
        return None

    def _next_draw(self) -> Draw | None:
        first = next((waiting for waiting in self._window if waiting.is_ready), None)
        if first is None:
            return None
        # after a death alone, so that the next one tells whose it is
        group = [first] if first.deaths else self._like(first)
        for waiting in group:
            self._window.remove(waiting)
        return Draw(tuple(group))

    def _like(self, first: Waiting) -> list[Waiting]:
        fitting = (
            waiting
            for waiting in self._window
            if waiting.is_ready
            and not waiting.deaths
            and waiting.pair.variant == first.pair.variant
            and waiting.inputs["content"].size_px == first.inputs["content"].size_px
        )
        return [waiting for waiting, _ in zip(fitting, range(self._together), strict=False)]

    def _input(self, need: Need, variant: str) -> Input:
        """The picture, remembered or new."""
        if need in self._unusable:
            return self._unusable[need]
        known = self._inputs.setdefault(need.kind, collections.OrderedDict())
        if need not in known:
            known[need] = Input(need, variant)
        known.move_to_end(need)
        while len(known) > self._kept.get(need.kind, 1):
            known.popitem(last=False)  # pairs in the window hold what they need themselves
        return known[need]

    def _give_up(self, found: Input, error: str) -> None:
        found.error = error
        self._unusable[found.need] = found
        self._drop_hopeless()

    def _put_back(self, pairs: Sequence[Waiting]) -> None:
        self._window.extendleft(reversed(pairs))
        self._drop_hopeless()
