"""Networks and tensors with shapes and types but no numbers: a step on them takes no memory and no time."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from gan.config import GanConfig
from gan.networks.growth.state import growing_parts
from gan.training.players import build_networks


@contextlib.contextmanager
def without_numbers() -> Iterator[None]:
    """Within the block every new tensor is one of PyTorch's fake tensors, which take no memory.

    They count as the CPU's. The meta device would do as little, but has no autocast (torch 2.14), so that no
    step in bf16 could run on it.
    """
    # real tensors may come in: small ones, such as indices that NumPy drew
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def networks_on_meta(config: GanConfig, *, channels: int) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator on the meta device; to be made before `without_numbers`, then `faked`.

    Networks that grow are fully grown.

    channels: of an image, 1 or 3.

    Raises: ConfigError for a resolution that the family does not support.
    """
    # fake modules cannot be brought into another memory format, these can (torch 2.14)
    with torch.device("meta"):
        networks = build_networks(config, channels=channels)
    for part in growing_parts(*networks):
        part.grow_fully()
    return networks


def faked(network: nn.Module) -> nn.Module:
    """Replace the weights of a network on the meta device by fake ones, within `without_numbers`."""
    return network.to_empty(device="cpu")
