"""Numbers of a GPU: float32 is exact where it is promised, and all else is near the CPU."""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from gpu_setting import CPU, Figures, Setting, check, distance, images, pictures, seconds_of
from gpu_training import config_of
from torch import Tensor, nn

from common.device import exact_float32
from gan.training.run import GanRun
from perceptual.inception import InceptionEmbedder
from styletransfer.transfer.moments import Moments
from styletransfer.transfer.scales import resized
from styletransfer.transfer.statistics.wasserstein import wasserstein_distance


def float32_is_exact(setting: Setting, figures: Figures) -> None:
    """Convolutions and products have float32's error in the block; after it the settings are as before."""
    randomness = torch.Generator().manual_seed(0)
    a, b = torch.randn(8, 64, 32, 32, generator=randomness), torch.randn(64, 64, 3, 3, generator=randomness)
    convolved = F.conv2d(a.double(), b.double())
    product = a.double().view(512, 1024) @ b.double().view(1024, 36)
    a, b = a.to(setting.device), b.to(setting.device)

    def errors() -> tuple[float, float]:
        return distance(F.conv2d(a, b), convolved), distance(a.view(512, 1024) @ b.view(1024, 36), product)

    for asked in ("highest", "high"):
        torch.set_float32_matmul_precision(asked)
        figures[f"conv_by_default_{asked}"], figures[f"product_by_default_{asked}"] = before = errors()
        with exact_float32():
            conv, found = errors()
        # TF32: 3e-4; fast algorithms for float32 may have ten times the rounding of plain sums
        check(figures, f"conv_{asked}", conv, 3e-5)
        check(figures, f"product_{asked}", found, 3e-5)
        assert torch.get_float32_matmul_precision() == asked and torch.backends.cudnn.allow_tf32
        assert np.allclose(errors(), before, rtol=0.5), "the settings were not restored"
    torch.set_float32_matmul_precision("highest")


class _Extractor(nn.Module):
    """Stands in for Inception, whose weights need a download."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layers = nn.Sequential(*(nn.Conv2d(3 if at == 0 else 64, 64, 3) for at in range(4)))

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (self.layers(images.float() / 255).mean(dim=(2, 3)),)


def inception_is_exact(setting: Setting, figures: Figures) -> None:
    """The embedder that is always float32 gives the CPU's vectors."""
    shown = torch.from_numpy(pictures(8, 32))
    found, expected = (
        InceptionEmbedder(_Extractor(), device).embed(shown)  # type: ignore[arg-type]
        for device in (setting.device, CPU)
    )
    check(figures, "vectors", distance(found, expected), 3e-5)


def kernels_are_chosen_in_a_tick(setting: Setting, figures: Figures) -> None:
    """In a tick cuDNN chooses its kernels and float32 is exact; afterwards the settings are as before."""
    conv = torch.backends.cudnn.conv
    before = (torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32)
    seen: set[tuple[bool, str]] = set()
    run = GanRun(
        config_of(),
        images(16),
        device=setting.device,
        on_step=lambda progress: seen.add((torch.backends.cudnn.benchmark, conv.fp32_precision)),
    )
    run.tick()
    assert seen == {(True, "ieee")}, f"in the step: {seen}"
    assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32) == before


def shrinking(setting: Setting, figures: Figures) -> None:
    """A large picture shrinks to its coarsest scale as on the CPU."""
    side = 64 * setting.enlarged
    large = torch.from_numpy(pictures(1, side)).permute(0, 3, 1, 2).float() / 255
    expected = resized(large, 64, 64)
    found = resized(large.to(setting.device), 64, 64)
    check(figures, "difference", float((found.cpu() - expected).abs().max()), 0.01)


def eigenvalues(setting: Setting, figures: Figures) -> None:
    """The Wasserstein distance and its gradient are the CPU's; seconds of its eigenvalues on each device."""
    points = torch.rand(2, 400, 64, generator=torch.Generator().manual_seed(0))
    moments = [Moments(each.mean(0)[None, None], (each.T @ each / 400)[None, None]) for each in points]

    def value_and_slope(device: torch.device) -> list[Tensor]:
        target, found = (Moments(*(part.to(device) for part in each)) for each in moments)
        second = found.second.clone().requires_grad_()
        value = wasserstein_distance(target)(Moments(found.mean, second))
        return [value, *torch.autograd.grad(value.sum(), second)]

    pairs = zip(value_and_slope(setting.device), value_and_slope(CPU), strict=True)
    for name, (found, expected) in zip(("value", "slope"), pairs, strict=True):
        check(figures, name, distance(found, expected), 1e-4)
    for size in (64, 320, 512):
        matrix = torch.rand(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        for device in {setting.device, CPU}:
            symmetric = (matrix @ matrix.T).to(device).requires_grad_()
            both = functools.partial(_eigenvalues_and_slope, symmetric)
            seconds = [seconds_of(both) for _ in range(4)]
            figures[f"eigvalsh_{size}_{device.type}_ms"] = round(1000 * min(seconds), 3)


def _eigenvalues_and_slope(symmetric: Tensor) -> None:
    torch.linalg.eigvalsh(symmetric).sum().backward()
