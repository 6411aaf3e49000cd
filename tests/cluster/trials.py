"""The sweeps and batches that are run on clusters: small, and checked to the last tick and picture."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from tune.records.trial_records import Trial

TRIALS = 6
TICK = 64
"""Images a tick."""
GAN = f"--resolution 16 --max-images 300 --held-out 60 --width 4 --latent-size 8 --batch 16 --stop-when none \
--images-per-tick {TICK} --metric swd --compile off"
NUM_IMAGES = 80
"""Of the pictures that some sweeps train on, by `take`; the others draw shapes."""
# a worker takes a whole host of two CPUs, so that the two of a trial cannot share one
OVER_TWO_HOSTS = "--workers-per-trial 2 --cpus-per-worker 2 --address auto"
STYLE = "--size 32 --iterations 4 --workers 2"


def check_sweep(trials: Mapping[int, Trial], ticks: int) -> None:
    """All trials went through, tick by tick."""
    assert len(trials) == TRIALS
    assert {trial.state for trial in trials.values()} == {"completed"}
    for trial in trials.values():
        seen = [tick.images_seen for _, tick in trial.ticks]
        assert seen == [TICK * tick for tick in range(1, ticks + 1)], "nothing was lost or repeated"


def paint(folder: Path, *, contents: int, styles: int) -> None:
    """Pictures of noise in `folder`/photos and `folder`/paintings."""
    take(folder / "photos", contents)
    take(folder / "paintings", styles)


def take(folder: Path, count: int = NUM_IMAGES) -> None:
    """Pictures of noise in the folder, which is made."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for index in range(count):
        rgb = random.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(rgb).save(folder / f"{index}.png")


def check_pictures(folder: Path, *, pairs: int) -> None:
    """All pairs were drawn, and are there."""
    lines = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    assert sorted(line["state"] for line in lines) == ["done"] * pairs
    for line in lines:
        with Image.open(folder / line["output"]) as picture:
            assert max(picture.size) == 32
