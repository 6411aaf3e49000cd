"""Pictures from a GPU: samples, what metrics say of them, and stylized pairs, as on the CPU."""

import dataclasses
import tempfile
import time

import numpy as np
import torch
from gpu_setting import CPU, Figures, Setting, check, images, pictures, seconds_of
from gpu_training import config_of

from gan import generation
from gan.distributed import Ranks
from gan.metrics.evaluation import evaluate, real_features
from gan.metrics.preparation import metric_of_run
from gan.networks import build_generator
from perceptual.embedding import load_embedder
from perceptual.loading import load_network
from styletransfer.config import StyleConfig
from styletransfer.transfer.stylize import stylize


def samples(setting: Setting, figures: Figures) -> None:
    """Samples are those of the CPU."""
    for precision, most in (("fp32", 0.01), ("bf16", 3.0)):
        config = config_of(precision=precision, **{"network.width": 32})
        generator = build_generator(config.network, resolution=16, channels=3, seed=1).eval()
        latents = generation.random_latents(config, 300, seed=0)
        expected = generation.sample(generator, latents, config_of())
        found = generation.sample(generator.to(setting.device), latents, config)
        levels = np.abs(found.astype(float) - expected).mean()
        check(figures, f"{precision}_mean_levels", levels, most)


def metric(setting: Setting, figures: Figures) -> None:
    """The metrics that a tick measures are those of the CPU."""
    shown = torch.from_numpy(pictures(100, 32, seed=1))
    for name in ("fd_compact", "kid_compact", "swd"):
        rows = []
        for device in (setting.device, CPU):
            # a cache for each device, so that neither takes the other's features
            with tempfile.TemporaryDirectory() as folder:
                values = {"evaluation.metric": name, "evaluation.metric_images": 100, "data.cache": folder}
                config = config_of(**values)
                data = dataclasses.replace(images(32), fingerprint=f"gpu-check-{device.type}")
                rows.append(metric_of_run(config, data, device=device).measure(shown.to(device), Ranks()))
        found, expected = (row[config.evaluation.key()] for row in rows)
        check(figures, name, abs(found - expected) / abs(expected), 0.05)


def evaluation(setting: Setting, figures: Figures) -> None:
    """All measures are those of the CPU."""
    data, shown = images(32), torch.from_numpy(pictures(200, 32, seed=1))
    found, expected = (
        evaluate(embedder.embed(shown).cpu(), real_features(data, embedder, None))
        for embedder in (load_embedder("compact", device=device) for device in (setting.device, CPU))
    )
    for one, other in zip(found.measures, expected.measures, strict=True):
        scale = max(0.1, abs(other.value))
        check(figures, one.name.split("_compact")[0], abs(one.value - other.value) / scale, 0.1)


def _pair(side: int) -> tuple[np.ndarray, np.ndarray]:
    """A content and a style, floats (side, side, 3) in [0, 1]."""
    rows = np.linspace(0, 1, side, dtype=np.float32)
    content = np.stack(np.broadcast_arrays(rows[:, None], rows[None], 0.5 * rows[:, None]), axis=2)
    stripes = 0.5 + 0.5 * np.sin(40 * rows[:, None] + 15 * rows[None])
    style = np.stack([stripes, stripes**2, 1 - stripes], axis=2).astype(np.float32)
    return np.ascontiguousarray(content, dtype=np.float32), style


def stylize_small(setting: Setting, figures: Figures) -> None:
    """A stylized pair is that of the CPU, in float32; with the default settings it comes out finite."""
    side = setting.sides[0]
    config = StyleConfig(size=side, iterations=12, scales=2, optimizer="adam", precision="fp32")
    network = load_network("compact", last_tap=config.last_tap())
    expected = stylize(*_pair(side), config, network=network)
    network = network.to(setting.device)
    found = stylize(*_pair(side), config, network=network, device=setting.device)
    check(figures, "difference", np.abs(found.picture - expected.picture).mean(), 0.01)
    error = abs(found.losses["total"] - expected.losses["total"]) / expected.losses["total"]
    check(figures, "total_loss", error, 0.02)
    if setting.device.type == "cuda":
        config = StyleConfig(size=side)
        figures["default_s"] = round(
            seconds_of(lambda: stylize(*_pair(side), config, network=network, device=setting.device)), 2
        )


def stylize_large(setting: Setting, figures: Figures) -> None:
    """A large pair comes out finite; in tiles it is the same."""
    side = setting.sides[1]
    config = StyleConfig(size=side, iterations=16, optimizer="adam", precision="fp32")
    network = load_network("compact", last_tap=config.last_tap()).to(setting.device)
    stylized = []
    for tile in (0, max(64, side // 4)):
        if setting.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        tiled = dataclasses.replace(config, tile=tile)
        stylized.append(stylize(*_pair(side), tiled, network=network, device=setting.device).picture)
        kind = "tiled" if tile else "whole"
        figures[f"{kind}_s"] = round(time.perf_counter() - began, 2)
        if setting.device.type == "cuda":
            figures[f"{kind}_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    whole, in_tiles = stylized
    assert np.isfinite(whole).all() and whole.std() > 0.01
    check(figures, "difference", np.abs(whole - in_tiles).mean(), 0.01)
