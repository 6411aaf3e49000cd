"""EfficientNet-Lite as a feature network: inverted residual blocks with ReLU6, without squeeze-excitation.

Liu 2020, "Higher accuracy on vision models with EfficientNet-Lite", after EfficientNet (Tan and Le 2019).
BatchNorm is folded into the convolutions (`benchmarks/convert_lite.py`), and the classifier is left out.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import nn

from common.errors import ConfigError, require
from common.text import one_line
from perceptual.shipped import newest, read_shipped, sets_of
from perceptual.tensors import check_tensors, digest_of, read_tensors

VARIANTS = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}
"""Factors of the widths and of the numbers of blocks."""
STEM, HEAD = 32, 1280  # channels; the same for every variant
MEAN, STD = 127 / 255, 128 / 255  # of RGB in [0, 1], as the weights were trained
_WIDTHS_ARE_MULTIPLES_OF = 8


class _Stage(NamedTuple):
    blocks: int
    kernel: int
    stride: int
    expansion: int
    width: int


_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_NUMBERS = range(1, len(_STAGES) + 1)
TAPS = ("stem", *(f"{kind}{number}" for number in _NUMBERS for kind in ("wide", "stage")), "head")
"""In the order in which they are computed."""


class LiteNetwork(nn.Module):
    """Activations of EfficientNet-Lite 0, 1 or 2 at chosen taps.

    stem: after the first convolution. stage1 to stage7: what the last block of a stage returns, which is
    linear, so that values are of both signs. wide1 to wide7: the expanded activations within that block,
    after its depthwise convolution. head: after the last convolution, whose mean the classifier reads. All
    but the stages lie in [0, 6]. Height and width are the picture's divided by 2 (stem, 1), 4 (2), 8 (3),
    16 (4, 5) and 32 (6, 7, head), rounded up.
    """

    taps = TAPS

    def __init__(self, variant: str = "lite0") -> None:
        super().__init__()
        require(variant in VARIANTS, f"the variant must be one of {', '.join(VARIANTS)}, not {variant!r}")
        self.name = self.variant = variant
        self.stem = nn.Conv2d(3, STEM, 3, stride=2)
        self.stages = nn.ModuleList()
        before = STEM
        for stage in _scaled(*VARIANTS[variant]):
            self.stages.append(_blocks(stage, before))
            before = stage.width
        self.head = nn.Conv2d(before, HEAD, 1)

    @property
    def digest(self) -> str:
        """Hex hash of the current weights: networks of a variant with equal digests compute the same."""
        return digest_of(self.state_dict(), self.variant)

    def widths(self) -> dict[str, int]:
        """Channels of each tap."""
        found = {"stem": STEM, "head": HEAD}
        for number, stage in enumerate(self.stages, start=1):
            last = cast(_Block, cast(nn.ModuleList, stage)[-1])
            found |= {f"wide{number}": last.project.in_channels, f"stage{number}": last.project.out_channels}
        return found

    def forward(self, images: torch.Tensor, taps: Iterable[str]) -> dict[str, torch.Tensor]:
        """Activations by tap for images (N, 3, H, W) in [0, 1]; stops after the last requested tap.

        They are of the weights' type. Values are not checked: NaN and infinity in an image pass on.

        Raises: ConfigError for images of another shape or type, and for an unknown tap.
        """
        wanted = _wanted(images, taps)
        found: dict[str, torch.Tensor] = {}
        last = max(TAPS.index(tap) for tap in wanted)
        x = ((images - MEAN) / STD).to(self.stem.weight.dtype)
        x = _relu6(_convolved(x, self.stem))
        if "stem" in wanted:
            found["stem"] = x
        for number, stage in enumerate(self.stages, start=1):
            if TAPS.index(f"wide{number}") > last:
                break
            blocks = cast(nn.ModuleList, stage)
            for block in blocks:
                wide, x = block(x)
                if block is blocks[-1] and f"wide{number}" in wanted:
                    found[f"wide{number}"] = wide
                del wide  # large, and the next block needs its memory
            if f"stage{number}" in wanted:
                found[f"stage{number}"] = x
        if "head" in wanted:
            found["head"] = _relu6(_convolved(x, self.head))
        return found


class _Block(nn.Module):
    """Expands the channels, convolves each by itself, and projects them (Sandler et al. 2018, section 3)."""

    def __init__(self, before: int, stage: _Stage, stride: int) -> None:
        super().__init__()
        wide = before * stage.expansion
        self.expand = nn.Conv2d(before, wide, 1) if stage.expansion > 1 else None
        self.depthwise = nn.Conv2d(wide, wide, stage.kernel, stride=stride, groups=wide)
        self.project = nn.Conv2d(wide, stage.width, 1)
        self.has_skip = stride == 1 and before == stage.width

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The expanded activations, and what the block returns."""
        wide = x if self.expand is None else _relu6(_convolved(x, self.expand))
        wide = _relu6(_convolved(wide, self.depthwise))
        out = _convolved(wide, self.project)
        return wide, out.add_(x) if self.has_skip else out


def _blocks(stage: _Stage, before: int) -> nn.ModuleList:
    first = _Block(before, stage, stage.stride)
    return nn.ModuleList([first, *(_Block(stage.width, stage, 1) for _ in range(stage.blocks - 1))])


def _scaled(width: float, depth: float) -> list[_Stage]:
    """The stages of a variant; the first and the last keep their number of blocks."""
    kept = (_STAGES[0], _STAGES[-1])
    return [
        stage._replace(
            width=_rounded(stage.width * width),
            blocks=stage.blocks if stage in kept else math.ceil(stage.blocks * depth),
        )
        for stage in _STAGES
    ]


def _rounded(width: float) -> int:
    """The nearest multiple of 8, but not below 9 tenths of the width."""
    unit = _WIDTHS_ARE_MULTIPLES_OF
    nearest = max(unit, int(width + unit / 2) // unit * unit)
    return nearest + unit * (nearest < 0.9 * width)


def _convolved(x: torch.Tensor, layer: nn.Conv2d) -> torch.Tensor:
    """Convolve with TensorFlow's padding `same`, which is uneven where a stride of 2 meets an even size."""
    (kernel, _), (stride, _) = layer.kernel_size, layer.stride
    padding = kernel // 2
    if stride > 1:
        height, width = (_missing(size, kernel, stride) for size in x.shape[2:])
        x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        padding = 0
    return F.conv2d(x, layer.weight, layer.bias, stride, padding, groups=layer.groups)


def _missing(size: int, kernel: int, stride: int) -> int:
    """By how many positions a line is continued, so that every stride-th one can be the centre."""
    return max(0, (-(-size // stride) - 1) * stride + kernel - size)


def _relu6(x: torch.Tensor) -> torch.Tensor:
    return F.hardtanh(x, 0.0, 6.0, inplace=True)


def _wanted(images: torch.Tensor, taps: Iterable[str]) -> set[str]:
    wanted = set(taps)
    require(
        bool(wanted) and wanted <= set(TAPS),
        f"taps must be among {', '.join(TAPS)}, not {', '.join(sorted(wanted)) or 'none'}; choose of these",
    )
    require(
        images.ndim == 4
        and images.shape[1] == 3
        and images.is_floating_point()
        and min(images.shape[2:]) > 0,
        f"images must be floats (N, 3, H, W) in [0, 1], not {images.dtype} {tuple(images.shape)}; "
        "divide 8-bit values by 255 and repeat grey thrice",
    )
    return wanted


def load_lite(
    variant: str = "lite0", *, weights: str | None = None, device: torch.device | str = "cpu"
) -> LiteNetwork:
    """The network in evaluation mode, its weights frozen, float32.

    weights: a shipped set (default: the variant's newest) or a .safetensors file that
    `benchmarks/convert_lite.py` wrote.

    Raises: ConfigError for an unknown variant or device, for a variant that is not shipped without a file,
    and for weights that are missing, damaged or of another network.
    """
    with torch.device("meta"):  # the shapes are checked before memory is allocated
        network = LiteNetwork(variant)
    shipped = sets_of(variant)
    require(
        weights is not None or bool(shipped),
        f"the package ships no weights of {variant}; name a file of them",
    )
    name = weights or newest(variant)
    if name in shipped:
        tensors, what = read_shipped(name), f"the package's {name} is not an EfficientNet-Lite ({variant})"
    else:
        require(
            Path(name).is_file(),
            f"the weights {name} are neither a file nor shipped "
            f"({', '.join(shipped) or f'none of {variant}'}); give either",
        )
        tensors = read_tensors(Path(name))
        what = f"the weights file {name} is not an EfficientNet-Lite ({variant})"
    check_tensors(tensors, network.state_dict(), what)
    network.load_state_dict({own: each.float() for own, each in tensors.items()}, assign=True)
    network.name = name if name in shipped else f"{variant}-file"
    network.requires_grad_(False).eval()
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:  # PyTorch without CUDA asserts
        raise ConfigError(f"the device {device} cannot be used ({one_line(error)}); try cpu") from None
