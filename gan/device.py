"""The type that a run's convolutions compute in, from its configuration and the device."""

import torch

from common.device import has_fast_bf16
from gan.config import GanConfig


def autocast_dtype(config: GanConfig, device: torch.device) -> torch.dtype | None:
    """bf16, or None for fp32 throughout, as `--precision` says."""
    if config.precision == "auto":
        return torch.bfloat16 if has_fast_bf16(device) else None
    return torch.bfloat16 if config.precision == "bf16" else None
