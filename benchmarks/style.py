"""What style transfer over folders costs, each figure beside the plain way of doing it, in one run.

    python benchmarks/style.py [ART-FOLDER]

ART-FOLDER: pictures in `content` and `style` (by default the one beside the checkout). Measured are: one pair
against a plain L-BFGS loop, to the style loss that the loop ends with, in two networks; a product of folders
against a program a pair; two workers against one; what a batch adds to the optimization; and memory over the
number of pairs. Takes about a quarter of an hour on 2 cores. Prints one JSON object at the end.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from plain_style import plain_lbfgs

from perceptual.loading import FeatureNetwork, load_network
from styletransfer import optimize
from styletransfer.config import StyleConfig
from styletransfer.images import read_picture
from styletransfer.manifest import MANIFEST_NAME

ART = Path(__file__).parents[2] / "shared" / "data" / "art"
SIDE_PX = 256
RACE = (
    ("cornell.jpg", "starry_night.jpg"),
    ("tubingen.png", "udnie.jpg"),
    ("lion.jpg", "woman_with_hat.jpg"),
)
# What one would write instead of a batch: a program for each pair, that reads, draws and writes.
SINGLE = "import sys; from styletransfer import stylize; a = sys.argv; stylize(a[1], a[2], size=int(a[4])).save(a[3])"


def race(network: FeatureNetwork, art: Path, settings: dict[str, str]) -> tuple[float, float]:
    """Seconds a pair on one core, ours and plain, to the style loss that 300 evaluations of L-BFGS reach."""
    torch.set_num_threads(1)
    config = StyleConfig(size=SIDE_PX, **settings)
    ours, plain = [], []
    for content, style in RACE:
        pictures = [
            read_picture(art / kind / name).on_white()
            for kind, name in (("content", content), ("style", style))
        ]
        goal, seconds = plain_lbfgs(*pictures, config, network)
        plain.append(seconds)
        stamps: list[tuple[float, float]] = []
        began = time.monotonic()
        optimize.stylize(
            *pictures,
            config,
            network=network,
            on_step=lambda now: stamps.append(
                (now.losses.style if now.scale == now.scales - 1 else np.inf, time.monotonic() - began)
            ),
        )
        reached = [seconds for loss, seconds in stamps if loss <= goal]
        ours.append(reached[0] if reached else np.inf)
        print(
            f"{content} in {style}: style loss {goal:.4f} plain in {seconds:.1f} s, ours in {ours[-1]:.1f} s",
            flush=True,
        )
    return float(np.mean(ours)), float(np.mean(plain))
