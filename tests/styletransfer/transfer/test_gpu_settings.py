"""What a GPU is asked for: float32 that is float32, and eigenvalues on the CPU."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from perceptual.loading import load_network
from styletransfer.config import StyleConfig
from styletransfer.transfer.features import Features
from styletransfer.transfer.moments import Moments
from styletransfer.transfer.statistics import wasserstein
from styletransfer.transfer.statistics.wasserstein import wasserstein_distance
from styletransfer.transfer.stylize import stylize
from styletransfer.transfer.targets import content_targets, style_targets

CONFIG = StyleConfig(size=32, iterations=2, scales=1, precision="fp32")


class Recorder:
    """A network that notes how convolutions of float32 are computed when it is called."""

    def __init__(self) -> None:
        self._network = load_network("compact", last_tap=CONFIG.last_tap())
        self.taps = self._network.taps
        self.asked = set[str]()

    def __call__(self, images: Tensor, taps: Iterable[str]) -> Features:
        self.asked.add(torch.backends.cudnn.conv.fp32_precision)
        found: Features = self._network(images, taps)
        return found


def test_a_picture_is_stylized_and_read_in_exact_float32() -> None:
    picture = np.random.default_rng(0).random((32, 32, 3), dtype=np.float32)
    calls: list[Any] = [
        lambda network: stylize(picture, picture, CONFIG, network=network),
        lambda network: content_targets(picture, CONFIG, network=network),
        lambda network: style_targets(picture, CONFIG, network=network),
    ]
    for call in calls:
        network = Recorder()
        call(network)
        assert network.asked == {"ieee"}
    assert torch.backends.cudnn.allow_tf32


def test_eigenvalues_of_a_picture_on_a_gpu_are_computed_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    where = set[tuple[str, torch.dtype]]()
    for name, original in {"eigh": torch.linalg.eigh, "eigenvalues": torch.linalg.eigvalsh}.items():

        def recorded(matrices: Tensor, original: Any = original) -> Any:
            where.add((matrices.device.type, matrices.dtype))
            return original(matrices)

        # ours look at the numbers, which the tensors below do not have
        monkeypatch.setattr(wasserstein, name, recorded)
    with FakeTensorMode():  # tensors without numbers, on devices that need not be there
        moments = Moments(torch.empty(1, 1, 8, device="cuda"), torch.empty(1, 1, 8, 8, device="cuda"))
        value = wasserstein_distance(moments)(moments)
    assert where == {("cpu", torch.float64)}
    assert value.device.type == "cuda" and value.dtype == torch.float32
