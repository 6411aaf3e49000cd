"""How far networks that grow during training have grown, by the images that they have seen."""

from typing import Any

import torch
from torch import Tensor, nn

from gan.networks.growth.schedule import Schedule


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
