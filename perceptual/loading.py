"""Loads a feature network by name, with its weights, in evaluation mode."""

from pathlib import Path
from typing import Literal

import torch
from torch import nn

from common.errors import ConfigError, require
from common.text import one_line
from perceptual.downloads import hub_file
from perceptual.network import CONVOLUTIONS_PER_STAGE, CompactNetwork, FeatureNetwork, Pooling
from perceptual.shipped import newest, read_shipped, sets_of
from perceptual.tensors import Tensors, check_tensors, read_tensors
from perceptual.vgg import Vgg19, load_torchvision, weights_url

__all__ = ["FeatureNetwork", "NetworkName", "Pooling", "load_network"]

NetworkName = Literal["compact", "vgg19"]
_RANDOM = "random"


def load_network(
    name: NetworkName,
    *,
    weights: str | None = None,
    pooling: Pooling | None = None,
    last_tap: str | None = None,
    device: torch.device | str = "cpu",
) -> FeatureNetwork:
    """The feature network of that name in evaluation mode, its weights frozen, float32.

    weights: for compact a shipped set (default: the newest) or a .safetensors or .pth file that
    `perceptual.train` wrote; for vgg19 a file of torchvision's state dict (default: torch.hub's cache, then
    the download); for both `random` or `random:SEED`, He initialization, for comparisons. Random channels
    do not have mean 1; `perceptual.train.folding.rescale` scales them so, given images.
    pooling: average or max; default: average for compact, max for vgg19.
    last_tap: later layers are not kept in memory; default: the network's last tap.

    The state of the caller's random number generators does not change.

    Raises: ConfigError for an unknown name, pooling, tap or device, and for weights that are missing,
    damaged or of another network.
    """
    require(name in ("compact", "vgg19"), f"the network must be compact or vgg19, not {name!r}; choose one")
    require(
        pooling in (None, "average", "max"),
        f"--pooling must be average or max, not {pooling!r}; choose one or leave it out",
    )
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        make = _compact if name == "compact" else _vgg19
        network = make(weights, pooling, last_tap)
    return _placed(network.requires_grad_(False).eval(), device)


def _compact(weights: str | None, pooling: Pooling | None, last_tap: str | None) -> FeatureNetwork:
    pooling = pooling or "average"
    seed = _random_seed(weights)
    if seed is not None:
        return _randomized(CompactNetwork(pooling=pooling, last_tap=last_tap), "compact", seed)
    weights, shipped = weights or newest("compact"), sets_of("compact")
    if weights in shipped:
        tensors, what = read_shipped(weights), f"the package's {weights} is not a compact network"
    else:
        require(
            Path(weights).is_file(),
            f"the weights {weights} are neither a file nor shipped ({', '.join(shipped)}); give either",
        )
        tensors, what = read_tensors(Path(weights)), f"the weights file {weights} is not a compact network"
    widths = _widths(tensors, what)
    with torch.device("meta"):  # a damaged file's shapes must be checked before memory is allocated for them
        whole = CompactNetwork(widths)
    check_tensors(tensors, whole.state_dict(), what)
    network = CompactNetwork(widths, pooling=pooling, last_tap=last_tap)
    network.load_state_dict({own: tensors[own] for own in network.state_dict()})
    network.name = weights if weights in shipped else "compact-file"
    return network


def _vgg19(weights: str | None, pooling: Pooling | None, last_tap: str | None) -> FeatureNetwork:
    network = Vgg19(pooling=pooling or "max", last_tap=last_tap)
    seed = _random_seed(weights)
    if seed is not None:
        return _randomized(network, "vgg19", seed)
    path = hub_file(weights_url(), "VGG-19") if weights is None else Path(weights)
    load_torchvision(network, read_tensors(path), f"the weights file {path} is not a VGG-19 of torchvision")
    network.name = "vgg19" if weights is None else "vgg19-file"
    return network


def _widths(tensors: Tensors, what: str) -> list[int]:
    """The channels of each stage, from the shape of its first convolution."""
    widths: list[int] = []
    while (first := tensors.get(f"convolutions.{len(widths) * CONVOLUTIONS_PER_STAGE}.weight")) is not None:
        require(first.ndim == 4, f"{what}: its weights have {first.ndim} dimensions; give another file")
        widths.append(first.shape[0])
    require(bool(widths), f"{what}: it lacks convolutions.0.weight; give a file that perceptual.train wrote")
    return widths


def _random_seed(weights: str | None) -> int | None:
    """The seed of `random` (0) and `random:SEED`, None for other weights."""
    if weights == _RANDOM:
        return 0
    if weights is None or not weights.startswith(f"{_RANDOM}:"):
        return None
    digits = weights.partition(":")[2]
    require(
        digits.isascii() and digits.isdigit() and len(digits) <= 18,
        f"the weights {weights} must be random or random:SEED, a number of at most 18 digits; try random:0",
    )
    return int(digits)


def _randomized(network: FeatureNetwork, name: str, seed: int) -> FeatureNetwork:
    """He et al. 2015, section 2.2: variance 2 / fan-in, no biases; the same for every last tap."""
    random = torch.Generator().manual_seed(seed)
    for layer in network.layers():
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=random)
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
    network.name = f"{name}-{_RANDOM}-{seed}"
    return network


def _placed(network: FeatureNetwork, device: torch.device | str) -> FeatureNetwork:
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:  # PyTorch without CUDA asserts
        reason = one_line(error)
        raise ConfigError(f"the device {device} cannot be used ({reason}); try cpu") from None
