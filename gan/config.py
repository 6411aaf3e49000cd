"""The configuration of one GAN run: every setting with its default and its rule.

A `GanConfig` decides one run completely. It is saved beside the run's results as JSON and read back with
`GanConfig.from_dict`. A search addresses its settings by dotted path (`optimizer.generator_lr`). Names of
losses, balance policies and network families, and the settings of the latter two, come from their modules.
"""

import dataclasses
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import tyro

from common.errors import require, require_between
from common.owners import Owners
from common.settings import Precision, Settings, check_distinct, check_rules
from gan.batches import Batches
from gan.data.config import NAMED_SOURCES as NAMED_SOURCES
from gan.data.config import DataConfig as DataConfig
from gan.metrics.config import EvaluationConfig as EvaluationConfig
from gan.networks import batch_divisors
from gan.networks.config import NetworkConfig as NetworkConfig
from gan.training.balance import POLICIES, settings_by_policy
from gan.training.health.stopping import NOTHING, StoppingConfig
from gan.training.losses import LOSSES
from gan.training.regularization import settings_classes as regularizer_settings

_BALANCE = settings_by_policy()

# mypy cannot read a Literal or a base class that is computed
if TYPE_CHECKING:
    LossName = str
    PolicyName = str

    class _PolicySettings: ...

    class _RegularizerSettings: ...

else:
    LossName = Literal[*LOSSES.names]
    PolicyName = Literal[*POLICIES.names]
    # fields are taken from the last base class to the first
    check_distinct((*_BALANCE.values(), *regularizer_settings()))
    _PolicySettings = type("_PolicySettings", tuple(reversed(_BALANCE.values())), {})
    _RegularizerSettings = type("_RegularizerSettings", tuple(reversed(regularizer_settings())), {})

Schedule = Literal["constant", "linear", "cosine", "step", "plateau", "stall"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Two Adams (Kingma and Ba 2015) and how their learning rates change."""

    OWNERS: ClassVar[Owners] = Owners(
        "schedule",
        {"decay_at": ("linear", "step"), "drop": ("step", "plateau"), "patience": ("plateau",)},
        earlier={"stall": "plateau"},
    )

    generator_lr: float = 2e-4
    discriminator_lr: float = 2e-4
    beta1: float = 0.5
    beta2: float = 0.999
    schedule: Annotated[
        Schedule, tyro.conf.arg(name="lr-schedule", metavar="{constant,linear,cosine,step,plateau}")
    ] = "constant"
    """constant; linear to 0 after --lr-decay-at; cosine to 0 over the run; step: times --lr-drop at
    --lr-decay-at; plateau: times --lr-drop when the objective has not improved for --lr-patience ticks."""
    decay_at: Annotated[float, tyro.conf.arg(name="lr-decay-at")] = 0.5
    """Share of the run after which linear and step begin, 0 to 1."""
    drop: Annotated[float, tyro.conf.arg(name="lr-drop")] = 0.1
    """Factor of a drop, above 0 and below 1."""
    patience: Annotated[int, tyro.conf.arg(name="lr-patience")] = 5
    """For plateau: ticks without improvement after which the rates drop."""

    def __post_init__(self) -> None:
        if self.schedule in self.OWNERS.earlier:
            object.__setattr__(self, "schedule", self.OWNERS.earlier[self.schedule])
        for name, rate in (("generator", self.generator_lr), ("discriminator", self.discriminator_lr)):
            require(
                math.isfinite(rate) and 0 < rate <= 1,
                f"--{name}-lr must be above 0 and at most 1, not {rate:g}; try 2e-4",
            )
        for name, beta in (("beta1", self.beta1), ("beta2", self.beta2)):
            require(
                math.isfinite(beta) and 0 <= beta < 1,
                f"--{name} must be at least 0 and below 1, not {beta:g}; try 0.5 for beta1, 0.999 for beta2",
            )
        require_between("--lr-decay-at", self.decay_at, 0, 1)
        require(
            math.isfinite(self.drop) and 0 < self.drop < 1,
            f"--lr-drop must be above 0 and below 1, not {self.drop:g}; try 0.1",
        )
        require(self.patience >= 1, f"--lr-patience must be at least 1, not {self.patience}; try 5")
        self.OWNERS.check(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What the two players minimize."""

    name: Annotated[LossName, tyro.conf.arg(name="loss", help=LOSSES.help())] = "non-saturating"
    gradient_penalty: float = 10.0
    """Weight of the gradient penalty of losses that have one, such as wasserstein."""
    label_smoothing: float = 0.0
    """One-sided smoothing of the real label (Salimans 2016); used by non-saturating and least-squares."""

    def __post_init__(self) -> None:
        require_between("--gradient-penalty", self.gradient_penalty, 0, 1e6)
        require_between("--label-smoothing", self.label_smoothing, 0, 0.5)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Balance:
    policy: Annotated[PolicyName, tyro.conf.arg(name="balance", help=POLICIES.help())] = "none"


@dataclasses.dataclass(frozen=True, kw_only=True)
class BalanceConfig(_PolicySettings, _Balance):
    """Who trains in a step: the policy, then each policy's own settings."""

    OWNERS: ClassVar[Owners] = Owners.of_classes("policy", _BALANCE)

    def __post_init__(self) -> None:
        check_rules(self, _BALANCE.values())
        self.OWNERS.check(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RegularizationConfig(_RegularizerSettings):
    """What else keeps the discriminator from winning: each regularizer's settings, off by default."""

    def __post_init__(self) -> None:
        check_rules(self, regularizer_settings())


@dataclasses.dataclass(frozen=True, kw_only=True)
class GanConfig(Settings):
    """One GAN run, completely."""

    EARLIER: ClassVar[Mapping[str, Any]] = {"stopping": {"when": NOTHING}, "accumulate": 1}

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    loss: LossConfig = dataclasses.field(default_factory=LossConfig)
    balance: BalanceConfig = dataclasses.field(default_factory=BalanceConfig)
    regularization: RegularizationConfig = dataclasses.field(default_factory=RegularizationConfig)
    evaluation: EvaluationConfig = dataclasses.field(default_factory=EvaluationConfig)
    stopping: StoppingConfig = dataclasses.field(default_factory=StoppingConfig)
    batch: int = 64
    """Images of one step, over all workers."""
    images: Annotated[int, tyro.conf.arg(aliases=["--images-per-trial"])] = 200_000
    """Real images shown before the run is finished."""
    images_per_tick: int = 20_000
    """Real images shown between two reports, which are at whole batches."""
    ema_half_life: int = 2_000
    """Real images shown after which half of the averaged generator is new, also while the generator rests; 0
    turns averaging off."""
    accumulate: int = 1
    """Parts of a worker's share of the batch that are trained on one after the other, for the memory; their
    gradients are added, and each part is normalized by itself."""
    precision: Precision = "auto"
    """auto: bf16 where the device computes it fast, else fp32. fp16, with scaled gradients: for GPUs without
    bf16. Weights and optimizers stay fp32."""
    compile: Literal["auto", "on", "off"] = "auto"
    """torch.compile; auto: where it pays within the run and a compiler is present."""
    seed: int = 0
    """Decides initial weights, order of images and latents."""

    def __post_init__(self) -> None:
        require(self.batch >= 2, f"--batch must be at least 2, not {self.batch}; try 64")
        require(self.images >= 1, f"--images must be at least 1, not {self.images}; try 200000")
        require(
            self.images_per_tick >= 1,
            f"--images-per-tick must be at least 1, not {self.images_per_tick}; try 20000",
        )
        require(
            self.ema_half_life >= 0,
            f"--ema-half-life must not be negative, not {self.ema_half_life}; try 2000",
        )
        require(
            1 <= self.accumulate <= 4096,
            f"--accumulate must lie between 1 and 4096, not {self.accumulate}; try 2",
        )
        require(0 <= self.seed < 2**63, f"--seed must lie between 0 and 2^63 - 1, not {self.seed}; try 0")
        self._check_packs(1)

    def total_ticks(self) -> int:
        """Ticks of the whole run: `images` rounded up to whole ticks."""
        return math.ceil(self.images / self.images_per_tick)

    def total_images(self) -> int:
        """Real images that the whole run sees: whole ticks, rounded up to whole batches."""
        return self.batches().until(0, self.total_ticks() * self.images_per_tick)[1]

    def batches(self) -> Batches:
        """The batch of every step: `batch`, or the parts of it by which the family trains larger images."""
        divisors = batch_divisors(self.network, self.data.resolution)
        return Batches(tuple((begin, self.batch // divisor) for begin, divisor in divisors))

    def nominal_images(self, images_seen: int) -> int:
        """`images_seen` at the end of a tick, less what whole batches added.

        A multiple of `images_per_tick`, at which runs of different batches are compared.
        """
        return images_seen // self.images_per_tick * self.images_per_tick

    def steps_to_next_tick(self, images_seen: int) -> int:
        """Steps until the tick after `images_seen` images ends, at least 1.

        A tick ends with the batch that completes the next multiple of `images_per_tick`. If each tick were
        rounded up by itself, large batches would see ever more images than small ones.
        """
        end = self.nominal_images(images_seen) + self.images_per_tick
        return self.batches().until(images_seen, end)[0]

    def check_workers(self, num_workers: int) -> None:
        """Raise `ConfigError` unless every batch divides over the workers with at least 2 images each.

        Or, with `accumulate`, over the parts of their shares.
        """
        parts = self._parts(num_workers)
        share, rest = divmod(self.batch, parts)
        below = max(2, share) * parts
        whom = "the worker" if num_workers == 1 else f"the {num_workers} workers"
        what = " times ".join([whom, *self._what_divides()])
        require(
            rest == 0 and share >= 2,
            f"--batch must be a multiple of {what} with at least 2 images each, not {self.batch}; "
            f"try {below} or {below + parts}",
        )
        self._check_packs(num_workers)

    def _check_packs(self, num_workers: int) -> None:
        network, parts = self.network, self._parts(num_workers)
        unit = network.images_judged_together() * parts
        below = max(1, self.batch // unit) * unit
        together = {"--packing": network.packing, "--minibatch-std": network.minibatch_std}
        what = [f"{flag} {count}" for flag, count in together.items() if count > 1]
        what += [f"{num_workers} workers"] if num_workers > 1 else []
        product = " times ".join([*what, *self._what_divides()])
        require(
            self.batch % unit == 0,
            f"--batch must be a multiple of {unit}, that is {product}, not {self.batch}; "
            f"try {below} or {below + unit}",
        )

    def _parts(self, num_workers: int) -> int:
        """Into how many parts the batch is divided where they are smallest."""
        return num_workers * self.accumulate * self._largest_divisor()

    def _largest_divisor(self) -> int:
        return max(divisor for _, divisor in batch_divisors(self.network, self.data.resolution))

    def _what_divides(self) -> list[str]:
        """What divides a worker's share of the batch, for an error."""
        found = [f"--accumulate {self.accumulate}"] if self.accumulate > 1 else []
        divisor, side = self._largest_divisor(), self.data.resolution
        if divisor > 1:
            found.append(f"the {divisor} by which {self.network.family} divides it at {side} pixels")
        return found
