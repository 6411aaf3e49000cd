"""Balance policies by name, one module each: who trains in a step.

A new policy is a new module with a constant `POLICY`; the first line of its docstring is its line in
`--help`. Settings of its own are a frozen, keyword-only dataclass `Settings` in the same module, with their
rules in `__post_init__`: `BalanceConfig` inherits from it, so they become flags and settings by themselves.
`gan.config` imports these modules, so they must import neither that nor PyTorch.

Decisions are pure functions of numbers that all ranks share, so all ranks decide the same.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from common.registry import Registry

if TYPE_CHECKING:
    import torch

    from gan.training.balance._probability import AdaptiveProbability


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """Means over the global batch of the step before, the same on every rank."""

    discriminator_loss: float
    accuracy_real: float
    """Share of real images that the discriminator calls real, 0 to 1."""
    accuracy_fake: float
    """Share of generated images that the discriminator calls generated, 0 to 1."""


class SearchRange(NamedTuple):
    """Where a sweep searches a number, both ends included; `log` for magnitudes."""

    low: float
    high: float
    log: bool = False


class Turn(NamedTuple):
    """Who trains in a step."""

    discriminator: bool
    generator: bool


def _always(settings: Any, step: int, measured: Measured | None) -> bool:
    return True


@dataclasses.dataclass(frozen=True, kw_only=True)
class Policy:
    """Decides who trains in a step (counted from 0); `settings` is a `BalanceConfig`.

    Both decisions are (settings, step, measured) -> whether the player trains. `measured` is None in the
    first step and without `reads_measured`.
    """

    discriminator_trains: Callable[[Any, int, Measured | None], bool] = _always
    generator_trains: Callable[[Any, int, Measured | None], bool] = _always
    reads_measured: bool = False
    """Whether a decision needs the numbers of the step before, which a GPU may not have finished yet. Both
    are then made once the generator's pass was started, which keeps the GPU busy, and that pass records what
    a gradient needs, also where the generator rests in the end."""
    augment_probability: "Callable[[Any, torch.device], AdaptiveProbability] | None" = None
    """(settings, device) -> what decides with which probability images are augmented; None: 1 where
    `--augment` names something."""
    search_place: int | None = None
    """Place among the policies that a sweep searches by default; None: not in the default space."""
    search_ranges: Mapping[str, SearchRange] = dataclasses.field(default_factory=dict)
    """Ranges of its settings in the default space, by name."""

    def turn(self, settings: Any, step: int, measured: Measured | None) -> Turn:
        """Both decisions."""
        return Turn(
            discriminator=self.discriminator_trains(settings, step, measured),
            generator=self.generator_trains(settings, step, measured),
        )


POLICIES: Registry[Policy] = Registry("gan.training.balance", "POLICY", what="balance policy")


def policies_in_order() -> dict[str, Policy]:
    """All policies: those that a sweep searches by default in their places, then the others by name."""
    policies = {name: POLICIES[name] for name in POLICIES}

    def place(name: str) -> tuple[bool, int, str]:
        where = policies[name].search_place
        return (where is None, where or 0, name)

    return {name: policies[name] for name in sorted(policies, key=place)}


def settings_by_policy() -> dict[str, type]:
    """The `Settings` of all policies that have some, in the order of `policies_in_order`."""
    modules = {name: POLICIES.module(name) for name in policies_in_order()}
    return {name: module.Settings for name, module in modules.items() if hasattr(module, "Settings")}
