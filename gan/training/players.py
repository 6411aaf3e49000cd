"""The two players of a run: building them, and their state as flat named tensors."""

import copy
import dataclasses
import functools
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gan.checkpoint import CheckpointError
from gan.config import GanConfig, OptimizerConfig
from gan.networks import build_discriminator, build_generator
from gan.networks.growth.state import Growth, growing_parts
from gan.training import seeding
from gan.training.regularizing import critic_norm

_BIAS = ".bias"
_LEAST_SCALE = 2.0**-10
"""A scale of gradients that no training needs; with a smaller one they exceed fp16 in every step."""


@dataclasses.dataclass(frozen=True)
class Players:
    """Both networks, the generator's average and both optimizers, on one device; scalers for fp16 alone."""

    generator: nn.Module
    discriminator: nn.Module
    ema: nn.Module
    generator_optimizer: torch.optim.Adam
    discriminator_optimizer: torch.optim.Adam
    generator_scaler: torch.amp.GradScaler
    discriminator_scaler: torch.amp.GradScaler

    def grow(self, images_seen: int) -> None:
        """Let networks that grow be as they are after so many images."""
        for part in self._growing:
            part.set_images_seen(images_seen)

    @functools.cached_property
    def _growing(self) -> list[Growth]:
        return growing_parts(self.generator, self.discriminator, self.ema)


def build_players(config: GanConfig, *, channels: int, device: torch.device) -> Players:
    """Both networks with initial weights decided by the seed, and their optimizers, on the device."""
    generator, discriminator = (network.to(device) for network in build_networks(config, channels=channels))
    average = copy.deepcopy(generator).eval().requires_grad_(False)
    return with_optimizers(config, generator, discriminator, average)


def build_networks(config: GanConfig, *, channels: int) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator on the CPU in channels-last order, initial weights decided by the seed."""
    shape = {"resolution": config.data.resolution, "channels": channels}
    generator = build_generator(config.network, **shape, seed=seeding.derived_seed(config.seed, "generator"))
    discriminator = build_discriminator(
        config.network,
        **shape,
        seed=seeding.derived_seed(config.seed, "discriminator"),
        norm=critic_norm(config),
    )
    for network in (generator, discriminator):
        network.to(memory_format=torch.channels_last)
    return generator, discriminator


def with_optimizers(
    config: GanConfig, generator: nn.Module, discriminator: nn.Module, average: nn.Module
) -> Players:
    """The networks as players; `average` is the averaged generator, which no optimizer moves."""
    device = next(generator.parameters()).device.type
    is_scaled = config.precision == "fp16"
    return Players(
        generator,
        discriminator,
        average,
        _adam(generator, config.optimizer.generator_lr, config.optimizer),
        _adam(discriminator, config.optimizer.discriminator_lr, config.optimizer),
        torch.amp.GradScaler(device, enabled=is_scaled),
        torch.amp.GradScaler(device, enabled=is_scaled),
    )


def _adam(network: nn.Module, learning_rate: float, config: OptimizerConfig) -> torch.optim.Adam:
    return torch.optim.Adam(
        network.parameters(), lr=learning_rate, betas=(config.beta1, config.beta2), fused=True
    )


def gradient_norms(players: Players) -> dict[str, float]:
    """`generator_gradient` and `discriminator_gradient`: norms over the last steps, from Adam's memory.

    Root mean squares over about 1 / (1 - beta2) steps, which cost nothing in a step. 0 before the first step;
    infinite where a square exceeded fp32.
    """
    return {
        "generator_gradient": _gradient_norm(players.generator_optimizer),
        "discriminator_gradient": _gradient_norm(players.discriminator_optimizer),
    }


@torch.no_grad()
def _gradient_norm(optimizer: torch.optim.Adam) -> float:
    # a network that grows has parameters that have trained in fewer steps, or in none yet
    found = [optimizer.state.get(parameter) for parameter in optimizer.param_groups[0]["params"]]
    states = [state for state in found if state]
    if not states:
        return 0.0
    beta2 = optimizer.param_groups[0]["betas"][1]
    squares: list[Tensor] = [state["exp_avg_sq"] for state in states]
    sums = torch.stack(torch._foreach_norm(squares, 1)).double()  # sums: no square is negative
    steps = torch.stack([state["step"] for state in states]).double()
    # steps that were left out in fp16 do not count, and leave their squares at 0
    return float((sums / (1 - beta2 ** steps.clamp(min=1))).sum().sqrt())


def scales(players: Players) -> dict[str, list[float]]:
    """By what each player's gradients are scaled, and since how many steps; empty unless in fp16."""
    scalers = _scalers(players)
    states = {role: scaler.state_dict() for role, scaler in scalers.items() if scaler.is_enabled()}
    return {role: [float(state["scale"]), int(state["_growth_tracker"])] for role, state in states.items()}


def exceeds_fp16(players: Players) -> str:
    """The player whose gradients exceed fp16 however little they are scaled; empty when none does."""
    return next((role for role, (scale, _) in scales(players).items() if scale < _LEAST_SCALE), "")


def load_scales(players: Players, values: Mapping[str, list[float]]) -> None:
    """Put back what `scales` gave; empty: begin anew, as after training in another precision.

    Raises: KeyError, TypeError, ValueError where they are not two numbers for each player.
    """
    for role, scaler in _scalers(players).items():
        if scaler.is_enabled() and values:
            scale, steps = values[role]
            scaler.load_state_dict(
                scaler.state_dict() | {"scale": float(scale), "_growth_tracker": int(steps)}
            )


def players_tensors(players: Players) -> dict[str, Tensor]:
    """Copies of all state on the CPU, contiguous, by dotted name."""
    tensors: dict[str, Tensor] = {}
    for role, network in _networks(players).items():
        tensors |= {f"{role}.{name}": tensor for name, tensor in network.state_dict().items()}
    for role, (optimizer, network) in _optimizers(players).items():
        for name, parameter in network.named_parameters():
            for part, tensor in optimizer.state.get(parameter, {}).items():
                tensors[f"{role}.{name}.{part}"] = tensor
    copies = {name: torch.empty(tensor.shape, dtype=tensor.dtype) for name, tensor in tensors.items()}
    for name, tensor in tensors.items():
        copies[name].copy_(tensor)
    return copies


@torch.no_grad()
def load_players(players: Players, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `players_tensors` gave; learning rates and betas stay as they are.

    Raises: CheckpointError when the tensors are those of networks of another shape.
    """
    for role, network in _networks(players).items():
        own = network.state_dict()
        given = {name: tensors.get(f"{role}.{name}") for name in own}
        if role == "discriminator":
            given |= _absent_biases(own, given)
        for name, tensor in given.items():
            if tensor is None or tensor.shape != own[name].shape:
                found = "missing" if tensor is None else f"of shape {tuple(tensor.shape)}"
                raise CheckpointError(
                    f"{role}.{name} must have shape {tuple(own[name].shape)}, is {found} there; give "
                    "the settings of network and data that it was made with"
                )
        network.load_state_dict(given)
    for role, (optimizer, network) in _optimizers(players).items():
        _load_adam(optimizer, network, role, tensors)


def _absent_biases(own: Mapping[str, Tensor], given: Mapping[str, Tensor | None]) -> dict[str, Tensor]:
    """Biases of 0, with which a network without biases computes the same.

    Spectrally normalized layers of earlier versions had none. A resumed run learns them from there on.
    """
    missing = [name for name in own if given[name] is None and name.endswith(_BIAS)]
    return {name: torch.zeros_like(own[name]) for name in missing if f"{name.removesuffix(_BIAS)}.u" in own}


def _load_adam(
    optimizer: torch.optim.Adam, network: nn.Module, role: str, tensors: Mapping[str, Tensor]
) -> None:
    optimizer.state.clear()
    for name, parameter in network.named_parameters():
        parts = {part: tensors.get(f"{role}.{name}.{part}") for part in ("step", "exp_avg", "exp_avg_sq")}
        state: dict[str, Tensor] = {}
        for part, tensor in parts.items():
            if tensor is None:
                continue
            # the parameter's own memory format, which the fused update is fastest with
            like = torch.zeros((), device=parameter.device) if part == "step" else torch.empty_like(parameter)
            state[part] = like.copy_(tensor)
        if len(state) == len(parts):
            optimizer.state[parameter] = state


def _networks(players: Players) -> dict[str, nn.Module]:
    return {"generator": players.generator, "discriminator": players.discriminator, "ema": players.ema}


def _scalers(players: Players) -> dict[str, torch.amp.GradScaler]:
    return {"generator": players.generator_scaler, "discriminator": players.discriminator_scaler}


def _optimizers(players: Players) -> dict[str, tuple[torch.optim.Adam, nn.Module]]:
    return {
        "generator_optimizer": (players.generator_optimizer, players.generator),
        "discriminator_optimizer": (players.discriminator_optimizer, players.discriminator),
    }
