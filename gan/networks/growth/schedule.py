"""When networks that begin with small images grow, and into how many parts the batch is divided then."""

from typing import NamedTuple

SMALLEST_IMAGE = 8
"""Side in pixels of the images that training begins with."""


class Schedule(NamedTuple):
    """Sides and lengths of growth: `stable` images at the first side, `fade` and `stable` at each other."""

    sides: tuple[int, ...]
    """Of the images that are drawn, in pixels, each twice the one before."""
    stable: int
    fade: int

    def begin_of_fade(self, level: int) -> int:
        """Images seen when the layers of `sides[level]` begin to fade in; 0 for the first side."""
        return level * self.stable + (level - 1) * self.fade if level else 0

    def level_at(self, images_seen: int) -> int:
        """Index of the largest side that is drawn then."""
        reached = [level for level in range(len(self.sides)) if self.begin_of_fade(level) <= images_seen]
        return reached[-1]

    def is_fading(self, images_seen: int) -> bool:
        """Whether the newest layers are faded in only in part."""
        level = self.level_at(images_seen)
        return level > 0 and images_seen < self.begin_of_fade(level) + self.fade

    def images(self) -> int:
        """Images after which the networks are fully grown."""
        return self.begin_of_fade(len(self.sides) - 1) + self.fade if len(self.sides) > 1 else 0

    def batch_divisors(self, full_batch_side: int) -> tuple[tuple[int, int], ...]:
        """(images seen, by what the batch is divided from then on): halved with each side over the given."""
        parts = [max(1, side // full_batch_side) for side in self.sides]
        return tuple((self.begin_of_fade(level), part) for level, part in enumerate(parts))


def schedule_to(resolution: int, *, stable: int, fade: int) -> Schedule:
    """The schedule up to images of a side in pixels, a power of 2 from 8 on."""
    doublings = (resolution // SMALLEST_IMAGE).bit_length()
    return Schedule(tuple(SMALLEST_IMAGE << level for level in range(doublings)), stable=stable, fade=fade)
