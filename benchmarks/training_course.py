"""Samples of generators at points of their training, kept so that a second measurement needs no training."""

from collections.abc import Iterator

import numpy as np

from gan.config import DataConfig, EvaluationConfig, GanConfig, NetworkConfig, OptimizerConfig
from gan.data.cache import cache_folder
from gan.data.images import Images
from gan.training.run import GanRun

COURSE_IMAGES = (4_096, 8_192, 16_384, 32_768, 65_536, 131_072)
RUNS = ((0, 2e-4), (1, 2e-4), (2, 5e-4))
"""Seed and learning rate of both players."""
_SAMPLES = 2000


def courses(data: DataConfig, images: Images) -> Iterator[list[np.ndarray]]:
    """A list for each run: samples uint8 (2000, H, W, C) at each point, the earliest first."""
    for seed, rate in RUNS:
        kept = cache_folder(data) / f"course-nearest-{images.fingerprint}-{seed}-{rate:g}.npy"
        if not kept.exists():
            np.save(kept, np.stack(list(_course(data, images, seed, rate))))
        yield list(np.load(kept))


def _course(data: DataConfig, images: Images, seed: int, rate: float) -> Iterator[np.ndarray]:
    config = GanConfig(
        data=data,
        network=NetworkConfig(width=32, upsampling="nearest"),
        optimizer=OptimizerConfig(generator_lr=rate, discriminator_lr=rate),
        evaluation=EvaluationConfig(metric="swd", metric_images=64),
        batch=64,
        images=COURSE_IMAGES[-1],
        images_per_tick=COURSE_IMAGES[0],
        seed=seed,
    )
    run = GanRun(config, images)
    while not run.is_finished:
        run.tick()
        if run.images_seen in COURSE_IMAGES:
            yield run.samples(_SAMPLES)
