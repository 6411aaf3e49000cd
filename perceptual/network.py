"""Feature networks: a stack of convolutions that returns its activations, and the project's compact one."""

import copy
import itertools
from collections.abc import Iterable, Sequence
from typing import Literal, Self, cast

import torch
import torch.nn.functional as F
from torch import nn

from common.errors import ConfigError, require
from perceptual.tensors import digest_of

Pooling = Literal["average", "max"]
Padding = Literal["zeros", "reflect"]

WIDTHS = (32, 64, 128, 256, 320)
CONVOLUTIONS_PER_STAGE = 2
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of RGB in [0, 1] over ImageNet


def tap_names(convolutions: Sequence[int]) -> tuple[str, ...]:
    """Names of the activations in order, as in the literature: relu1_1, relu1_2, relu2_1, ..."""
    return tuple(
        f"relu{stage}_{index}"
        for stage, count in enumerate(convolutions, start=1)
        for index in range(1, count + 1)
    )


class FeatureNetwork(nn.Module):
    """3 x 3 convolutions in stages with 2 x 2 pooling between them; no residuals, no BatchNorm.

    Taps are the activations after each ReLU. At stage s they have 1 / 2^(s - 1) of the picture's height and
    width, rounded down, and `widths[s - 1]` channels. Layers after `last_tap` are not created.

    Raises: ConfigError for a `last_tap` that the stack does not have.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        widths: Sequence[int],
        convolutions_per_stage: Sequence[int],
        *,
        pooling: Pooling,
        last_tap: str | None = None,
    ) -> None:
        super().__init__()
        taps = tap_names(convolutions_per_stage)
        require(
            last_tap is None or last_tap in taps,
            f"the last tap must be one of {', '.join(taps)}, not {last_tap!r}; choose one of them",
        )
        self.taps = taps if last_tap is None else taps[: taps.index(last_tap) + 1]
        self.pooling = pooling
        self.padding: Padding = "zeros"
        self.name = type(self).__name__
        channels = [
            3,
            *(
                width
                for width, count in zip(widths, convolutions_per_stage, strict=True)
                for _ in range(count)
            ),
        ]
        pairs = itertools.islice(itertools.pairwise(channels), len(self.taps))
        self.convolutions = nn.ModuleList(nn.Conv2d(before, after, 3, padding=1) for before, after in pairs)
        self.register_buffer("mean", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(3, 1, 1), persistent=False)

    @property
    def digest(self) -> str:
        """Hex hash of the current weights and the pooling: networks with equal digests and the same padding
        compute the same."""
        return digest_of(self.state_dict(), self.pooling)

    def padded_by(self, padding: Padding) -> Self:
        """This network, with the same weights in memory, whose convolutions continue pictures by `padding`.

        zeros: as the weights were trained and as sets of images are compared. reflect: mirrored at the
        border, so that the activations there have the statistics of the inside; for pictures that are
        optimized, which otherwise get a dark rim.
        """
        other = copy.copy(self)
        other.padding = padding
        return other

    def layers(self) -> list[nn.Conv2d]:
        """The convolutions in order, one a tap."""
        return cast(list[nn.Conv2d], list(self.convolutions))

    def pool(self, x: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W) to half the height and width, rounded down."""
        return F.avg_pool2d(x, 2) if self.pooling == "average" else F.max_pool2d(x, 2)

    def forward(self, images: torch.Tensor, taps: Iterable[str]) -> dict[str, torch.Tensor]:
        """Activations by tap for images (N, 3, H, W) in [0, 1]; stops after the last requested tap.

        Values are not checked: NaN and infinity in an image pass on to its activations.

        Raises: ConfigError for images of another shape or type or too small for a tap, and for an unknown
        tap.
        """
        wanted = self._wanted(images, taps)
        found: dict[str, torch.Tensor] = {}
        x = (images - self.mean) / self.std
        for index, (name, convolution) in enumerate(zip(self.taps, self.layers(), strict=True)):
            if index > 0 and starts_stage(name):
                x = self.pool(x)
            # in place: the convolution's output is not needed, and at a picture's full size it is large
            x = F.relu(self._convolved(x, convolution), inplace=True)
            if name in wanted:
                found[name] = x
            if len(found) == len(wanted):
                break
        return found

    def _convolved(self, x: torch.Tensor, convolution: nn.Conv2d) -> torch.Tensor:
        if self.padding == "zeros":
            result: torch.Tensor = convolution(x)
            return result
        # one position has no neighbour to be mirrored: it is repeated
        mode = "reflect" if min(x.shape[2:]) > 1 else "replicate"
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode=mode), convolution.weight, convolution.bias)

    def _wanted(self, images: torch.Tensor, taps: Iterable[str]) -> set[str]:
        # not `require`: building its message at every call would make torch.compile guard the sizes
        wanted = set(taps)
        if not wanted or not wanted <= set(self.taps):
            raise ConfigError(
                f"taps must be among {', '.join(self.taps)}, not {', '.join(sorted(wanted)) or 'none'}; "
                "choose some of them, or load the network with a later last tap"
            )
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            raise ConfigError(
                f"images must be floats (N, 3, H, W) in [0, 1], not {images.dtype} {tuple(images.shape)}; "
                "divide 8-bit values by 255 and repeat grey thrice"
            )
        least = 2 ** (max(stage_of(tap) for tap in wanted) - 1)
        if min(images.shape[2:]) < least:
            raise ConfigError(
                f"images must have at least {least} pixels a side for {max(wanted, key=self.taps.index)}, "
                f"not {images.shape[2]} x {images.shape[3]}; enlarge them or choose earlier taps"
            )
        return wanted


class CompactNetwork(FeatureNetwork):
    """The project's own network: two convolutions a stage, average pooling, about 3 M parameters.

    Taps `relu1_1` to `relu5_2`. In the shipped weights every channel has mean 1 over natural images, so that
    losses on different taps have the same magnitude.
    """

    def __init__(
        self,
        widths: Sequence[int] = WIDTHS,
        *,
        pooling: Pooling = "average",
        last_tap: str | None = None,
    ) -> None:
        counts = [CONVOLUTIONS_PER_STAGE] * len(widths)
        super().__init__(widths, counts, pooling=pooling, last_tap=last_tap)


def stage_of(tap: str) -> int:
    """3 for relu3_2."""
    return int(tap.removeprefix("relu").partition("_")[0])


def starts_stage(tap: str) -> bool:
    """Whether the tap is the first of its stage; all stages but the first begin with pooling."""
    return tap.endswith("_1")
