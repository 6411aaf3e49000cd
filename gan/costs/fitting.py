"""Refuses, before anything starts, a training that this machine's memory cannot hold."""

import torch

from common.device import autocast_dtype
from common.errors import ConfigError
from gan.config import GanConfig
from gan.costs.memory import PROCESS_BYTES, StepMemory, estimate_memory
from gan.metrics.config import LEAST_METRIC_IMAGES

_GIB = 2**30
LEAST_PROCESS_BYTES = PROCESS_BYTES // 2
"""Half of what a process takes are libraries, which all processes of a machine share."""
# Bounds that no family exceeds (the most that was found: 420, 2,100 and 64 bytes), by which most
# configurations are known to fit without an estimate, which takes seconds.
_OF_A_PIXEL, _OF_A_SIDE, _OF_A_SAMPLE = 800, 4000, 200


def check_fits(config: GanConfig, *, channels: int, free: int, workers: int = 1, remedy: str = "") -> None:
    """Raise `ConfigError` when training on the CPUs of this machine needs more memory than is free.

    It is refused only where it cannot fit: the estimate is what the tensors take at the least, and a process
    takes up to `gan.costs.memory.ALLOWANCE` times as much.

    channels: of an image. free: bytes, as `common.cluster.placement.free_memory_bytes` gives them; 0 where
    unknown. workers: processes on this machine that share a batch. remedy: default: a batch that fits, or
    what else to lower.
    """
    if free <= 0 or workers * (_most(config, workers) + LEAST_PROCESS_BYTES) <= free:
        return
    memory = _estimate(config, channels, workers)
    needed = _needed(memory, workers)
    if needed <= free:
        return
    network, side = config.network, config.data.resolution
    if not remedy:
        room = free / workers - LEAST_PROCESS_BYTES - (memory.total - memory.activations)
        batch = _batch_for(config, room / memory.activations, channels=channels, free=free, workers=workers)
        if not batch:
            # the samples of a tick may take more than a step, and do not shrink with the batch
            fewer = config.with_values({"evaluation.metric_images": LEAST_METRIC_IMAGES})
            samples_decide = _needed(_estimate(fewer, channels, workers), workers) <= free
            remedy = "lower --metric-images" if samples_decide else "lower --width or --resolution"
        else:
            remedy = f"try --batch {batch}"
            parts = config.with_values({"accumulate": config.accumulate * config.batch // batch})
            if _needed(_estimate(parts, channels, workers), workers) <= free:
                remedy += f", or --accumulate {parts.accumulate} for the same batch in parts"
    what = f"{network.family} of width {network.width} at {side} x {side} pixels with --batch {config.batch}"
    raise ConfigError(
        f"{what} needs {needed / _GIB:.1f} GiB of memory at the least, and {free / _GIB:.1f} are free; "
        + remedy
    )


def _most(config: GanConfig, workers: int) -> int:
    """Bytes that no worker's tensors exceed."""
    side, width = config.data.resolution, config.network.width
    image = _OF_A_PIXEL * width * side**2
    samples = config.evaluation.metric_images * _OF_A_SAMPLE * side**2
    return -(-config.batch // workers) * image + _OF_A_SIDE * side * width**2 + samples


def _needed(memory: StepMemory, workers: int) -> int:
    """Bytes that all workers need at the least."""
    return workers * (memory.total + LEAST_PROCESS_BYTES)


def _estimate(config: GanConfig, channels: int, workers: int) -> StepMemory:
    dtype = autocast_dtype(config.precision, torch.device("cpu"))
    return estimate_memory(config, channels=channels, workers=workers, dtype=dtype)


def _batch_for(config: GanConfig, share: float, *, channels: int, free: int, workers: int) -> int | None:
    """The batch, halved until its activations are at most this share of the whole one's; None without one."""
    batch, smaller = config.batch, config
    while batch > share * config.batch:
        if batch % 2:
            return None
        batch //= 2
        try:
            smaller = config.with_values({"batch": batch})
            smaller.check_workers(workers)
        except ConfigError:  # packs, groups of pictures or workers do not divide it
            return None
    memory = _estimate(smaller, channels, workers)
    return batch if _needed(memory, workers) <= free else None
