"""The layers of a network in the order in which an image passes them, of any family."""

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from gan.config import GanConfig
from gan.costs.weightless import faked, networks_on_meta, without_numbers
from gan.networks import scales_of
from gan.networks.pyramid import seen_shape


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layer:
    """A module that computes something by itself, not only by the modules inside it."""

    name: str
    """Dotted, as in the keys of the network's weights; empty for the whole network."""
    kind: str
    """Its class."""
    shape: tuple[int, ...]
    """Of its output for one image; () for a number."""
    parameters: int
    """Its own; 0 where a layer is used again."""
    macs: int
    """Multiply-accumulates of its convolutions and matrix products for one image, forward."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layers:
    """A network as a list of layers."""

    layers: tuple[Layer, ...]
    parameters: int
    macs: int
    """Of one image, forward; normalization, activations and resizing are not counted."""

    @property
    def flops(self) -> int:
        """Floating-point operations: a multiply-accumulate is a multiplication and an addition."""
        return 2 * self.macs


def layers_of_both(config: GanConfig, *, channels: int) -> tuple[Layers, Layers]:
    """Generator and discriminator, found by one pass over networks without weights, in fp32.

    channels: of an image, 1 or 3. With `--packing` the discriminator's "one image" is a pack.

    Raises: ConfigError for a resolution that the family does not support.
    """
    network, side = config.network, config.data.resolution
    group = max(1, network.minibatch_std)  # the fewest that can be judged
    generator, discriminator = networks_on_meta(config, channels=channels)
    with without_numbers(), torch.no_grad():
        latents = torch.empty(1, network.latent_size)
        seen = seen_shape(network.packing * channels, side, scales_of(network, side))
        images = torch.empty(group, *seen)
        images = images.contiguous(memory_format=torch.channels_last)
        return layers_of(faked(generator), latents), layers_of(faked(discriminator), images)


def layers_of(network: nn.Module, batch: Tensor) -> Layers:
    """The layers that a batch passes, in evaluation mode; batch: the network's input, (N, ...).

    Layers that change nothing (`nn.Identity`) and modules that only hold others are left out.
    """
    recorder, count = _Recorder(network), len(batch)
    hooks = recorder.hooks()
    try:
        with recorder.counter:
            network.eval()(batch)
    finally:
        for hook in hooks:
            hook.remove()
    layers = tuple(recorder.layer(call, count) for call in recorder.calls if recorder.is_layer(call))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    macs = round(recorder.counter.get_total_flops() / 2 / count)
    return Layers(layers=layers, parameters=parameters, macs=macs)


@dataclasses.dataclass
class _Call:
    """A module's forward pass."""

    name: str
    module: nn.Module
    began: int
    """Operations of the network before it."""
    inside: int = 0
    """Operations of the modules in it."""
    own: int = 0
    shape: tuple[int, ...] = ()
    is_first: bool = True


class _Recorder:
    """Notes the calls of a network's modules, in the order in which they end."""

    def __init__(self, network: nn.Module) -> None:
        self.counter = FlopCounterMode(display=False)
        self.calls: list[_Call] = []
        self._names = {module: name for name, module in network.named_modules()}
        self._running: list[_Call] = []
        self._seen: set[nn.Module] = set()

    def hooks(self) -> list[torch.utils.hooks.RemovableHandle]:
        """Begin to note; returns what ends it."""
        before = [module.register_forward_pre_hook(self._begin) for module in self._names]
        return before + [module.register_forward_hook(self._end) for module in self._names]

    def is_layer(self, call: _Call) -> bool:
        """Whether the module has weights or operations of its own, or no modules inside it."""
        has_weights = any(True for _ in call.module.parameters(recurse=False))
        is_leaf = not any(True for _ in call.module.children())
        return has_weights or call.own > 0 or (is_leaf and not isinstance(call.module, nn.Identity))

    def layer(self, call: _Call, count: int) -> Layer:
        """The row of a call; count: images of the batch."""
        own = sum(parameter.numel() for parameter in call.module.parameters(recurse=False))
        rows, *rest = call.shape or (count,)
        # a layer may see each image in several rows
        shape = tuple(rest) if rows == count else (rows // count, *rest)
        return Layer(
            name=call.name,
            kind=type(call.module).__name__,
            shape=shape,
            parameters=own if call.is_first else 0,
            macs=round(call.own / 2 / count),
        )

    def _begin(self, module: nn.Module, inputs: Any) -> None:
        is_first = module not in self._seen
        self._seen.add(module)
        began = self.counter.get_total_flops()
        self._running.append(_Call(self._names[module], module, began, is_first=is_first))

    def _end(self, module: nn.Module, inputs: Any, output: Any) -> None:
        call = self._running.pop()
        total = self.counter.get_total_flops() - call.began
        call.own = total - call.inside
        call.shape = tuple(output.shape) if isinstance(output, Tensor) else ()
        if self._running:
            self._running[-1].inside += total
        self.calls.append(call)
