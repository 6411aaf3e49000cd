"""Estimates, before a batch begins, of the seconds per pair and of the memory per worker."""

import itertools
import statistics

import numpy as np
import torch

from common.device import autocast_dtype
from perceptual.loading import FeatureNetwork
from styletransfer.config import StyleConfig
from styletransfer.transfer.optimizers import OPTIMIZERS
from styletransfer.transfer.stylize import stylize
from styletransfer.transfer.tiles import reach, stride_of

_CALIBRATION_PX = 64
_CALIBRATION_STEPS = 6
_ASPECT = 0.75  # of a photo, shorter side over longer

# From the peaks of processes on Linux, two networks at 256 to 1024 pixels: Python with PyTorch and Ray; what
# does not grow with the picture; peak memory for activations over their own size. The picture, its gradient
# and the optimizer's state are the optimizer's `bytes_per_pixel`.
_PROCESS_BYTES = 750 * 2**20
_FIXED_BYTES = 150 * 2**20
_ACTIVATIONS_FACTOR = 3.0


def pixel_steps(config: StyleConfig) -> float:
    """Pixels times iterations over all scales, for the aspect ratio of a common photo."""
    steps = zip(config.scale_shares(), config.iterations_by_scale(), strict=True)
    return sum((config.size * share) ** 2 * _ASPECT * iterations for share, iterations in steps)


def measured_seconds(config: StyleConfig, network: FeatureNetwork, *, threads: int) -> float:
    """Seconds a pair will take on this machine's CPU, from a few iterations at 64 pixels."""
    random = np.random.default_rng(0)
    picture = random.random((_CALIBRATION_PX, _CALIBRATION_PX, 3), dtype=np.float32)
    small = config.with_values(
        {
            "size": _CALIBRATION_PX,
            "scales": 1,
            "iterations": _CALIBRATION_STEPS,
            "optimizer": "adam",
            "start": "content",
            "tile": 0,
        }
    )
    stamps: list[float] = []
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        stylize(picture, picture, small, network=network, on_step=lambda step: stamps.append(step.seconds))
    finally:
        torch.set_num_threads(before)
    # the first one is slower: memory is fresh and kernels are chosen
    a_step = statistics.median(later - earlier for earlier, later in itertools.pairwise(stamps))
    return a_step / _CALIBRATION_PX**2 * pixel_steps(config)


def worker_bytes(config: StyleConfig, network: FeatureNetwork, *, batch: int = 1) -> int:
    """Peak memory of a worker that stylizes `batch` pairs together, accurate to about a third."""
    pixels = config.size**2 * _ASPECT * batch
    read = pixels
    if config.tile:
        read = min(read, batch * (config.tile + 2 * reach(network.taps, config.taps())) ** 2)
    element = 4 if autocast_dtype(config.precision, torch.device("cpu")) is None else 2
    activations = read * _channels_per_pixel(network) * element
    weights = sum(weight.numel() * weight.element_size() for weight in network.parameters())
    return round(
        _PROCESS_BYTES
        + _FIXED_BYTES
        + 2 * weights
        + _ACTIVATIONS_FACTOR * activations
        + OPTIMIZERS[config.optimizer].bytes_per_pixel * pixels
    )


def style_bytes(config: StyleConfig, network: FeatureNetwork) -> int:
    """Bytes of a prepared style."""
    channels = dict(zip(network.taps, (layer.out_channels for layer in network.layers()), strict=True))
    moments = sum(channels[tap] * (channels[tap] + 1) * 4 for tap in config.style_layers)
    # where each style is matched to its content, the picture itself is kept
    picture = 0 if config.colours == "style" else round(3 * (config.size * config.style_scale) ** 2)
    return moments * len(config.scale_shares()) + picture


def _channels_per_pixel(network: FeatureNetwork) -> float:
    """Activations per pixel of the picture, up to the last tap."""
    taps = zip(network.taps, network.layers(), strict=True)
    return sum(layer.out_channels / stride_of(tap) ** 2 for tap, layer in taps)
