"""How far networks that grow during training have grown, by the images that they have seen."""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn


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


class Growth(nn.Module):
    """The part of a network that knows how far it has grown.

    The images seen are a buffer, so that they are in every checkpoint; the level is a plain number, by which
    a forward pass chooses its layers.
    """

    images_seen: Tensor

    def __init__(self, schedule: Schedule) -> None:
        super().__init__()
        self.schedule = schedule
        self.register_buffer("images_seen", torch.zeros((), dtype=torch.int64))
        self.level, self.is_fading = 0, False
        self.register_load_state_dict_post_hook(_read_images_seen)  # type: ignore[no-untyped-call]

    def set_images_seen(self, count: int) -> None:
        """Grow to where a network is after so many images."""
        self.images_seen.fill_(count)
        self.level, self.is_fading = self.schedule.level_at(count), self.schedule.is_fading(count)

    def grow_fully(self) -> None:
        """Grow to where a network is in the end."""
        self.set_images_seen(self.schedule.images())

    @property
    def side(self) -> int:
        """Of the images that are drawn now."""
        return self.schedule.sides[self.level]

    def faded(self, old: Tensor, new: Tensor) -> Tensor:
        """What the layers before gave mixed with what the newest gave, by how far these are faded in."""
        begun = self.images_seen - self.schedule.begin_of_fade(self.level)
        share = (begun / max(1, self.schedule.fade)).clamp(0, 1).to(new.dtype)
        return torch.lerp(old, new, share)


def growing_parts(*networks: nn.Module) -> list[Growth]:
    """What knows how far these networks have grown; nothing where they do not grow."""
    return [part for network in networks for part in network.modules() if isinstance(part, Growth)]


def _read_images_seen(growth: nn.Module, _: Any) -> None:
    assert isinstance(growth, Growth)
    growth.set_images_seen(int(growth.images_seen))
