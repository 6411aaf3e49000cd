"""Shared by several test files of this folder: a network of a few channels and smooth random pictures."""

import numpy as np
import torch
import torch.nn.functional as F

from perceptual.network import CompactNetwork
from perceptual.train.folding import rescale
from styletransfer.config import StyleConfig

LAYERS = ("relu1_1", "relu2_1", "relu3_1")


def tiny_network(seed: int = 0, widths: tuple[int, ...] = (6, 8, 10)) -> CompactNetwork:
    """A network of random weights; every channel has mean 1 over smooth pictures."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = CompactNetwork(widths)
    some = np.stack([picture(48, 48, seed=each) for each in range(4)])
    rescale(network, torch.from_numpy(some).permute(0, 3, 1, 2))
    return network.requires_grad_(False).eval()


def tiny_config(**settings: object) -> StyleConfig:
    """A configuration of a few iterations at 32 pixels with the layers of the tiny network.

    At 32 x 24 pixels a sixteenth of the style's weight counts: here the style is as strong as by default.
    """
    values = {
        "style_weight": 320.0,
        "statistics": "gram",
        "size": 32,
        "iterations": 6,
        "scales": 2,
        "content_layers": ("relu3_1",),
        "style_layers": LAYERS,
        "precision": "fp32",
    }
    return StyleConfig(**{**values, **settings})  # type: ignore[arg-type]


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth random colours over the whole of [0, 1], float32 (H, W, 3)."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 5, 6, generator=random)
    fine = torch.rand(1, 3, height, width, generator=random)
    mixed = 0.8 * F.interpolate(coarse, (height, width), mode="bicubic", align_corners=False) + 0.2 * fine
    return mixed[0].permute(1, 2, 0).clamp(0, 1).numpy()
