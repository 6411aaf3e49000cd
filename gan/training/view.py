"""What the discriminator sees of images in a step, and how it judges images without learning from them."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from gan.data.images import Images, every_second_picture
from gan.networks.pyramid import enlarged, pyramids, shrunk

REAL, GENERATED, HELD_OUT = range(3)
"""Sets of images that the discriminator sees; each has random numbers of its own."""


def searched_half(images: Images) -> npt.NDArray[np.uint8]:
    """The half of the held-out images that a search may use: its winner is measured against the other one."""
    return every_second_picture(images.held_out, 0, images.crops)


Penalty = Callable[[nn.Module, Tensor], Tensor]
Changes = tuple[Callable[[Tensor, Tensor, Tensor], Tensor], ...]


class GeneratorTerm(NamedTuple):
    """A term of the generator's loss in a step."""

    function: Callable[[nn.Module, Tensor, Tensor, float], Tensor]
    """(generator, the numbers that it generates from, `noise`, `share`) -> scalar."""
    noise: Tensor
    """(N, C, H, W), standard normal, this rank's share."""
    weight: float
    share: float = 1.0
    """Of the rank's images that these are, above 0, at most 1."""

    def of_part(self, part: slice) -> "GeneratorTerm":
        """The same for a part of the images."""
        noise = self.noise[part]
        return self._replace(noise=noise, share=self.share * len(noise) / len(self.noise))


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepRegularization:
    """What regularizers do in one step: by default nothing."""

    functions: Changes = ()
    """Changes of the images, in their order; see `gan.training.regularization.Change`."""
    numbers: tuple[Tensor, ...] = ()
    """The random numbers of each, (sets, N, ...)."""
    probability: Tensor | None = None
    """With which an image is augmented, scalar on the device."""
    packing: int = 1
    """Images that the discriminator judges at once."""
    scales: int = 1
    """At which it sees each image; with more than 1 it sees pyramids, and the generator makes them."""
    penalties: tuple[tuple[Penalty, float], ...] = ()
    """(discriminator, real images as it sees them) -> scalar, and its weight."""
    generator_term: GeneratorTerm | None = None
    """Added to the generator's loss."""
    watch: Callable[[nn.Module, Tensor, Tensor], None] | None = None
    """Looks at (discriminator, real, generated images as it sees them) before it trains; changes nothing."""

    @property
    def changes_images(self) -> bool:
        """Whether the discriminator sees anything else than the images as they are."""
        return bool(self.functions) or self.packing > 1 or self.scales > 1

    def of_part(self, part: slice) -> "StepRegularization":
        """The same for a part of the images."""
        term = self.generator_term
        return dataclasses.replace(
            self,
            numbers=tuple(each[:, part] for each in self.numbers),
            # a copy: `watch` moves it, and what is generated again must be augmented as it was before
            probability=None if self.probability is None else self.probability.clone(),
            generator_term=None if term is None else term.of_part(part),
        )

    def view(self, which: int) -> tuple[Changes, tuple[Tensor, ...], Tensor | None, int, int, bool]:
        """What `see` needs beside the images, for one of the sets."""
        numbers = tuple(each[which] for each in self.numbers)
        is_generated = which == GENERATED
        return self.functions, numbers, self.probability, self.packing, self.scales, is_generated


PLAIN = StepRegularization()


def see(
    images: Tensor,
    functions: Changes,
    numbers: tuple[Tensor, ...],
    probability: Tensor | None,
    packing: int,
    scales: int = 1,
    are_pyramids: bool = False,
) -> Tensor:
    """images (N, C, H, W) in [-1, 1] -> what the discriminator sees, fp32 (N / packing, packing C, H, W).

    With more than one of `scales` it sees pyramids, and H is that of a pyramid; are_pyramids: the images are
    some already. All scales of an image are changed alike. Images that follow each other are a pack, stacked
    as channels (Lin et al. 2018, "PacGAN", section 3), so that ranks whose shares are whole packs make those
    of one rank. Differentiable.
    """
    seen = images.float()
    if scales > 1 and not are_pyramids:
        seen = pyramids(seen, scales)
    if functions:
        seen = enlarged(seen, scales) if scales > 1 else seen
        for function, own in zip(functions, numbers, strict=True):
            each = own.repeat_interleave(scales, dim=0) if scales > 1 else own
            seen = function(seen, each, probability)  # type: ignore[arg-type]  # given where functions are
        seen = shrunk(seen, scales) if scales > 1 else seen
    if packing > 1:
        seen = seen.unflatten(0, (-1, packing)).flatten(1, 2)
    return seen.contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def mean_outputs(
    discriminator: nn.Module, sets: tuple[Tensor, ...], autocast_dtype: torch.dtype | None
) -> Tensor:
    """The mean of each set's `outputs`, fp32 (len(sets),)."""
    return torch.stack([logits.mean() for logits in outputs(discriminator, sets, autocast_dtype)])


@torch.no_grad()
def outputs(
    discriminator: nn.Module, sets: Sequence[Tensor], autocast_dtype: torch.dtype | None
) -> list[Tensor]:
    """The discriminator's logits on each set of images as it sees them, fp32 (N,), without learning.

    As it is, training or not; the statistics of BatchNorm and the vectors of spectral normalization that its
    passes move are copies.
    """
    buffers = {name: buffer.clone() for name, buffer in discriminator.named_buffers()}
    enabled, found = autocast_dtype is not None, []
    for images in sets:
        with torch.autocast(images.device.type, dtype=autocast_dtype, enabled=enabled):
            logits: Tensor = torch.func.functional_call(discriminator, buffers, (images,))
        found.append(logits.float())
    return found
