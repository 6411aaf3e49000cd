"""Estimates, before a batch begins, of the seconds per pair and of the memory per worker."""

import dataclasses
import itertools
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch

from common.device import autocast_dtype
from perceptual.loading import FeatureNetwork
from styletransfer.config import LEAST_SIZE_PX, StyleConfig
from styletransfer.transfer.optimizers import OPTIMIZERS
from styletransfer.transfer.stylize import stylize
from styletransfer.transfer.tiles import reach, stride_of

_CALIBRATION_STEPS = 5
_CALIBRATION_COST = 2 * _CALIBRATION_STEPS  # evaluations that a measurement costs, with targets
_CALIBRATION_S = 4.0
_MOST_AT_ONCE = 16
_HEIGHT_OVER_WIDTH = 0.75  # of a photo
# pixels of a photo of 4 : 3 over the square of its size
_ASPECT = {"longer": 0.75, "shorter": 4 / 3, "area": 1.0}
_TILES_PX = (1024, 512, 256, 128)

# From the peaks of processes on Linux, two networks at 256 to 1024 pixels: Python with PyTorch and Ray; what
# does not grow with the picture; peak memory for activations over their own size. The picture, its gradient
# and the optimizer's state are the optimizer's `bytes_per_pixel`.
_PROCESS_BYTES = 750 * 2**20
_FIXED_BYTES = 150 * 2**20
_ACTIVATIONS_FACTOR = 3.0


def pixel_steps(config: StyleConfig) -> float:
    """Pixels times iterations over all scales, for the aspect ratio of a common photo."""
    return sum(width_px**2 * _HEIGHT_OVER_WIDTH * iterations for width_px, iterations in _scales(config))


def _scales(config: StyleConfig) -> list[tuple[float, int]]:
    """(longer side in pixels, iterations) of a common photo at each scale, coarse to fine."""
    finest_px = config.longer_side(3000, 4000)
    shares = zip(config.scale_shares(), config.iterations_by_scale(), strict=True)
    return [(finest_px * share, iterations) for share, iterations in shares]


def measured_seconds(
    config: StyleConfig, network: FeatureNetwork, *, threads: int, workers: int = 1
) -> float:
    """Seconds a pair will take on this machine's CPU while `workers` workers of `threads` threads work.

    A few evaluations are measured at each scale, coarse to fine, as long as that takes only moments; at the
    rest an evaluation takes as much longer as it has more pixels.
    """
    seconds, step, began = 0.0, _Step(seconds=0.0, pixels=0.0), time.monotonic()
    for width_px, iterations in _scales(config):
        pixels = width_px**2 * _HEIGHT_OVER_WIDTH
        expected = step.scaled_to(pixels) * _CALIBRATION_COST
        if not step.pixels or time.monotonic() - began + expected <= _CALIBRATION_S:
            side = max(LEAST_SIZE_PX, round(width_px))
            step = _Step(seconds=_step_seconds(config, network, side, threads, workers), pixels=pixels)
        seconds += step.scaled_to(pixels) * iterations
    return seconds


class _Step(NamedTuple):
    seconds: float
    pixels: float

    def scaled_to(self, pixels: float) -> float:
        return self.seconds * pixels / self.pixels if self.pixels else 0.0


def _step_seconds(
    config: StyleConfig, network: FeatureNetwork, side_px: int, threads: int, workers: int
) -> float:
    """Seconds of one evaluation with this longer side, while as many workers do the same."""
    random = np.random.default_rng(0)
    height = max(1, round(side_px * _HEIGHT_OVER_WIDTH))
    picture = random.random((height, side_px, 3), dtype=np.float32)
    alone = {"size": side_px, "size_of": "longer", "scales": 1, "iterations": _CALIBRATION_STEPS}
    small = config.with_values({**alone, "start": "content", "style_blend": ()})

    def measured(_: int) -> float:
        stamps: list[float] = []
        stylize(picture, picture, small, network=network, on_step=lambda step: stamps.append(step.seconds))
        if len(stamps) < 3:  # it came to rest
            return stamps[-1] / len(stamps)
        # the first one is slower: memory is fresh and kernels are chosen
        return statistics.median(later - earlier for earlier, later in itertools.pairwise(stamps))

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with ThreadPoolExecutor(min(workers, _MOST_AT_ONCE)) as pool:
            return statistics.mean(pool.map(measured, range(min(workers, _MOST_AT_ONCE))))
    finally:
        torch.set_num_threads(before)


def worker_bytes(config: StyleConfig, network: FeatureNetwork, *, batch: int = 1) -> int:
    """Peak memory of a worker that stylizes `batch` pairs together, accurate to about a third."""
    pixels = config.size**2 * _ASPECT[config.size_of] * batch
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


def smaller_tiles(tile_px: int, long_side_px: int) -> list[int]:
    """Sides of tiles that need less memory than those of `tile_px` (0: no tiles), falling."""
    return [side for side in _TILES_PX if side < (tile_px or long_side_px)]


def fitting_tile(config: StyleConfig, network: FeatureNetwork, *, batch: int, most_bytes: float) -> int:
    """The side of the largest tiles with which a worker needs at most `most_bytes`: 0 for whole pictures.

    That of the settings where it fits; the smallest where none does.
    """
    sides = [config.tile, *smaller_tiles(config.tile, config.size)]
    for side in sides:
        if worker_bytes(dataclasses.replace(config, tile=side), network, batch=batch) <= most_bytes:
            return side
    return sides[-1]


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
