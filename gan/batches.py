"""How many images each step of a run shows: as many in every step, or fewer once the images are larger."""

import math
from typing import NamedTuple


class Batches(NamedTuple):
    """The batch of every step, over all ranks."""

    phases: tuple[tuple[int, int], ...]
    """(images seen, batch of the steps from then on), the first at 0 images, in ascending order."""

    @property
    def last(self) -> int:
        """The batch of the last phase."""
        return self.phases[-1][1]

    def at(self, images_seen: int) -> int:
        """The batch of the step that begins then."""
        return [batch for begin, batch in self.phases if begin <= images_seen][-1]

    def until(self, images_seen: int, end: int) -> tuple[int, int]:
        """Steps from then until at least `end` images were seen, and how many were."""
        steps = 0
        ends = [begin for begin, _ in self.phases[1:]] + [end]
        for (_, batch), end_of_phase in zip(self.phases, ends, strict=True):
            more = math.ceil(max(0, min(end_of_phase, end) - images_seen) / batch)
            steps += more
            images_seen += more * batch
        return steps, images_seen
