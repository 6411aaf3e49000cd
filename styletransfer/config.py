"""The configuration of a style transfer: every setting with its default and its rule.

A `StyleConfig` and the pictures decide a stylized picture completely. It is saved as JSON inside the file and
read back with `StyleConfig.from_dict`. Names of statistics and optimizers come from their modules.
"""

import dataclasses
import itertools
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from common.errors import require, require_between
from common.settings import Precision, Settings
from styletransfer.transfer.optimizers import OPTIMIZERS
from styletransfer.transfer.statistics import STATISTICS

if TYPE_CHECKING:  # mypy cannot read a Literal that is computed
    OptimizerName = str
    StatisticsName = str
else:
    OptimizerName = Literal[*OPTIMIZERS.names]
    StatisticsName = Literal[*STATISTICS.names]
VariationName = Literal["l2", "l1", "huber"]
Colours = Literal["style", "luminance", "lab"]
SizeOf = Literal["longer", "shorter", "area"]

STARTS = ("content", "noise", "gray")
LEAST_SIZE_PX, MOST_SIZE_PX = 16, 16_384
_LAYER = re.compile(r"relu[1-9]_[1-9]")
_COARSEST_PX = 64  # smaller, the deeper taps have only a handful of positions


@dataclasses.dataclass(frozen=True, kw_only=True)
class StyleConfig(Settings):
    """One style transfer, completely."""

    size: int = 512
    """Side of the result in pixels, the longer one unless --size-of says otherwise; the content's aspect
    ratio is kept."""
    size_of: SizeOf = "longer"
    """What --size is: the longer side, the shorter side, or the side of a square of the same area. The last
    two keep panoramas from becoming thin strips; no side exceeds 16384 pixels."""
    iterations: int = 200
    """Evaluations of the objective over all scales."""
    scales: int | tuple[float, ...] = 0
    """Sizes to go through from coarse to fine: how many, each half the next; or their longer sides as shares
    of --size, ascending, the last 1; 0: as many as leave the coarsest at least 64 pixels."""
    coarser_iterations: float = 0.5
    """Iterations at a scale over those at the next finer one."""
    start: str = "content"
    """content, noise, gray, or a picture's file."""
    optimizer: Annotated[OptimizerName, tyro.conf.arg(help=OPTIMIZERS.help())] = "lbfgs"
    lr: float = 0.01
    """Adam's step in units of the pixels' range of 1."""
    averaging: float = 0.1
    """Length of Adam's average over the last iterates, as a share of the iterations at a scale; 0: none."""
    content_weight: float = 1.0
    style_weight: float = 20.0
    tv_weight: float = 1.0
    """Weight of the total variation."""
    tv: VariationName = "l2"
    """Total variation: l2, l1, or huber."""
    statistics: Annotated[StatisticsName, tyro.conf.arg(help=STATISTICS.help())] = "wasserstein"
    content_layers: tuple[str, ...] = ("relu4_1",)
    content_layer_weights: tuple[float, ...] = ()
    """One per layer; their sum does not matter; none: equal."""
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
    style_layer_weights: tuple[float, ...] = ()
    """One per layer; their sum does not matter; none: equal."""
    style_blend: tuple[float, ...] = ()
    """One weight per style where several are blended (--blend-folders); their sum does not matter; none:
    equal."""
    style_scale: float = 1.0
    """Longer side of the style pictures over --size; they are never enlarged."""
    colours: Colours = "style"
    """style: those of the style; luminance: the content's, the style only moves the lightness; lab: the
    content's palette, to which the style picture is matched first."""
    features: Literal["compact", "vgg19"] = "compact"
    """Network that reads the pictures; compact needs no download."""
    weights: str | None = None
    """The network's weights: a file, or random:SEED; default: its own."""
    pooling: Literal["average", "max"] | None = None
    """How the network shrinks pictures; default: average for compact, max for vgg19."""
    precision: Precision = "auto"
    """auto: bf16 where the device computes it fast, else fp32. Moments and losses are fp32 always."""
    tile: int = 0
    """Side in pixels of the tiles in which the network reads a picture: needs less memory, gives the same
    result; 0: whole pictures."""
    seed: int = 0
    """Random seed of the start from noise."""

    def __post_init__(self) -> None:
        self._check_sizes()
        self._check_optimizer()
        self._check_weights()
        self._check_layers()

    def _check_sizes(self) -> None:
        require(
            LEAST_SIZE_PX <= self.size <= MOST_SIZE_PX,
            f"--size must lie between {LEAST_SIZE_PX} and {MOST_SIZE_PX} pixels, not {self.size}; try 512",
        )
        if isinstance(self.scales, int):
            require(0 <= self.scales <= 16, f"--scales must lie between 0 and 16, not {self.scales}; try 3")
        else:
            shares = self.scales
            require(
                bool(shares)
                and all(0 < share <= 1 for share in shares)
                and all(first < second for first, second in itertools.pairwise(shares))
                and shares[-1] == 1,
                f"--scales must be ascending shares of --size that end with 1, not {_listed(shares)}; "
                "try 0.25 0.5 1",
            )
        require(
            self.iterations >= len(self.scale_shares()),
            f"--iterations must be at least 1 for each of the {len(self.scale_shares())} scales, "
            f"not {self.iterations}; try 200",
        )
        require_between("--coarser-iterations", self.coarser_iterations, 0.1, 10)
        require_between("--style-scale", self.style_scale, 0.01, 100)
        require(
            self.tile == 0 or self.tile >= 64,
            f"--tile must be 0 or at least 64 pixels, not {self.tile}; try 512",
        )

    def _check_optimizer(self) -> None:
        require(
            bool(self.start.strip()), "--start must be content, noise, gray or a file, not ''; try content"
        )
        require(
            math.isfinite(self.lr) and 0 < self.lr <= 1,
            f"--lr must be above 0 and at most 1, not {self.lr:g}; try 0.01",
        )
        require_between("--averaging", self.averaging, 0, 1)
        require(0 <= self.seed < 2**63, f"--seed must lie between 0 and 2^63 - 1, not {self.seed}; try 0")

    def _check_weights(self) -> None:
        for name in ("content_weight", "style_weight", "tv_weight"):
            require_between(_flag(name), getattr(self, name), 0, 1e9)
        require(
            max(self.content_weight, self.style_weight) > 0,
            "--content-weight and --style-weight must not both be 0; try 1 and 20",
        )

    def _check_layers(self) -> None:
        for name in ("content_layers", "style_layers"):
            layers = getattr(self, name)
            require(
                bool(layers) and len(set(layers)) == len(layers),
                f"{_flag(name)} must name layers, each once, not {_listed(layers)}; try relu3_1",
            )
            for layer in layers:
                require(
                    _LAYER.fullmatch(layer) is not None,
                    f"{_flag(name)} must have names such as relu3_1, not {layer!r}; choose some of its taps",
                )
        for name, count in (
            ("content_layer_weights", len(self.content_layers)),
            ("style_layer_weights", len(self.style_layers)),
            ("style_blend", len(self.style_blend)),
        ):
            weights = getattr(self, name)
            require(
                not weights
                or (
                    len(weights) == count
                    and all(math.isfinite(weight) and weight >= 0 for weight in weights)
                    and sum(weights) > 0
                ),
                f"{_flag(name)} must be {count} numbers that are not negative and not all 0, "
                f"not {_listed(weights)}; leave it out for equal weights",
            )

    def longer_side(self, height: float, width: float) -> float:
        """Longer side in pixels of the result for a content of this height and width.

        A content that has its final size, up to the rounding of its sides, keeps it.
        """
        longer, shorter = max(height, width), min(height, width)
        if self.size_of == "longer":
            return self.size
        if self.size_of == "shorter":
            return min(MOST_SIZE_PX, self.size * longer / shorter)
        if abs(longer * shorter - self.size**2) <= longer / 2 + shorter + 1:
            return longer
        # at the most the line of one pixel's height that has the area: a picture is not lower
        return min(MOST_SIZE_PX, self.size**2, self.size * math.sqrt(longer / shorter))

    def scale_shares(self) -> tuple[float, ...]:
        """Longer sides of the scales over `size`, ascending, the last 1."""
        if not isinstance(self.scales, int):
            return self.scales
        count = self.scales or max(1, math.floor(math.log2(self.size / _COARSEST_PX)) + 1)
        return tuple(0.5**back for back in reversed(range(count)))

    def iterations_by_scale(self) -> tuple[int, ...]:
        """The iterations at each scale, coarse to fine, at least 1 each; their sum is `iterations`."""
        count = len(self.scale_shares())
        parts = [self.coarser_iterations**back for back in reversed(range(count))]
        spare = self.iterations - count
        ends = [round(spare * sum(parts[: index + 1]) / sum(parts)) for index in range(count)]
        return tuple(1 + end - begin for begin, end in zip([0, *ends], ends, strict=False))

    def taps(self) -> tuple[str, ...]:
        """The layers that content and style are taken from, each once."""
        return tuple(dict.fromkeys((*self.content_layers, *self.style_layers)))

    def last_tap(self) -> str:
        """The deepest of the taps; the network needs no layers beyond it."""
        return max(self.taps(), key=lambda tap: [int(part) for part in tap.removeprefix("relu").split("_")])

    def layer_shares(self, kind: Literal["content", "style"]) -> dict[str, float]:
        """The weight of each content or style layer; they add up to 1."""
        layers: tuple[str, ...] = getattr(self, f"{kind}_layers")
        return dict(zip(layers, _shares(getattr(self, f"{kind}_layer_weights"), len(layers)), strict=True))

    def blend(self, num_styles: int) -> tuple[float, ...]:
        """The weight of each style; they add up to 1.

        Raises: ConfigError when `style_blend` has weights for another number of styles.
        """
        require(
            len(self.style_blend) in (0, num_styles),
            f"--style-blend must have one weight for each of the {num_styles} styles, "
            f"not {_listed(self.style_blend)}; leave it out for equal weights",
        )
        return _shares(self.style_blend, num_styles)

    def start_file(self) -> str | None:
        """The file to start from, None where the start is not a file."""
        return None if self.start in STARTS else self.start

    @staticmethod
    def name_in_messages(path: str) -> str:
        """The flag that sets it."""
        return _flag(path) if path else "the configuration"


def _shares(weights: Sequence[float], count: int) -> tuple[float, ...]:
    weights = weights or (1.0,) * count
    return tuple(weight / sum(weights) for weight in weights)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _listed(values: Sequence[object]) -> str:
    return " ".join(str(value) for value in values) or "none"
