"""Trains the compact network as a classifier, epoch by epoch."""

import dataclasses
import math
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from common.errors import ConfigError, require
from perceptual.train.augmentation import random_colours, random_crops
from perceptual.train.config import TrainConfig
from perceptual.train.folding import Classifier
from perceptual.train.image_folder import LabelledImages

_MOMENTUM = "momentum_buffer"  # as torch.optim.SGD calls it


@dataclasses.dataclass(frozen=True)
class Epoch:
    """Results of one epoch."""

    loss: float
    """Cross-entropy with label smoothing, mean over the epoch."""
    accuracy: float
    """On the held-out pictures, uncropped, 0 to 1."""
    seconds: float


def learning_rate(done: float, peak: float) -> float:
    """One cycle (Smith and Topin 2018): up to the peak over the first tenth, down to zero along a cosine.

    done: share of the training, 0 to 1. It begins at a tenth of the peak.
    """
    if done < 0.1:
        return peak * (0.1 + 0.9 * done / 0.1)
    return peak * 0.5 * (1 + math.cos(math.pi * (done - 0.1) / 0.9))


def split(count: int, held_out: float, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Indices to train on and held-out indices, each sorted; the seed decides."""
    order = np.random.default_rng(seed).permutation(count)
    kept = max(1, round(count * held_out))
    return np.sort(order[kept:]), np.sort(order[:kept])


def to_floats(images: npt.NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """uint8 (N, H, W, 3) as floats (N, 3, H, W) in [0, 1] on the device."""
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float().div_(255)


class Training:
    """A classifier with its optimizer and random numbers; equal settings and pictures give equal weights.

    Raises: ConfigError when there are fewer pictures to train on than one batch.
    """

    def __init__(self, pictures: LabelledImages, config: TrainConfig, device: torch.device) -> None:
        self._pictures, self._config, self._device = pictures, config, device
        torch.manual_seed(config.seed)
        self._random = torch.Generator().manual_seed(config.seed)
        self.train, self.held_out = split(len(pictures.images), config.held_out, config.seed)
        require(
            len(self.train) >= config.batch,
            f"--batch must be at most the {len(self.train)} pictures to train on ({len(self.held_out)} are "
            f"held out), not {config.batch}; choose a smaller batch or add pictures",
        )
        self.model = Classifier(len(pictures.classes)).to(device).to(memory_format=torch.channels_last)
        self._forward = torch.compile(self.model) if config.compile else self.model
        self._optimizer = _optimizer(self.model, config)
        self.steps_per_epoch = len(self.train) // config.batch
        self.epochs: list[Epoch] = []

    def run_epoch(self, on_step: Callable[[], None]) -> Epoch:
        """Train once on every picture, except those that do not fill a batch, then measure the accuracy.

        Raises: ConfigError when the loss becomes NaN or infinite.
        """
        began, batch = time.monotonic(), self._config.batch
        self.model.train()
        order = self.train[torch.randperm(len(self.train), generator=self._random).numpy()]
        total = torch.zeros((), device=self._device)
        for step in range(self.steps_per_epoch):
            done = (len(self.epochs) + step / self.steps_per_epoch) / self._config.epochs
            total += self._step(order[step * batch : (step + 1) * batch], done)
            on_step()
        loss = total.item() / self.steps_per_epoch
        if not math.isfinite(loss):
            raise ConfigError(
                f"the loss is not finite in epoch {len(self.epochs) + 1}; choose a --peak-lr below "
                f"{self._config.peak_lr:g}"
            )
        accuracy = self._accuracy()
        self.epochs.append(Epoch(loss, accuracy, time.monotonic() - began))
        return self.epochs[-1]

    def _step(self, indices: npt.NDArray[np.int64], done: float) -> torch.Tensor:
        """One step on the pictures at these indices; returns its loss, still on the device."""
        shown = to_floats(self._pictures.images[indices], self._device)
        shown = random_colours(random_crops(shown, self._config.crop, self._random), self._random)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(done, self._config.peak_lr)
        with torch.autocast(self._device.type, torch.bfloat16):
            logits = self._forward(shown.contiguous(memory_format=torch.channels_last))
        target = torch.from_numpy(self._pictures.labels[indices]).to(self._device)
        loss = torch.nn.functional.cross_entropy(
            logits.float(), target, label_smoothing=self._config.label_smoothing
        )
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    @torch.no_grad()
    def _accuracy(self) -> float:
        self.model.eval()
        right = 0
        for part in np.array_split(self.held_out, math.ceil(len(self.held_out) / 500)):
            with torch.autocast(self._device.type, torch.bfloat16):
                logits = self.model(to_floats(self._pictures.images[part], self._device))
            right += int((logits.argmax(dim=1).cpu().numpy() == self._pictures.labels[part]).sum())
        return right / len(self.held_out)

    def tensors(self) -> dict[str, torch.Tensor]:
        """The state of the training; settings, pictures and the number of finished epochs are not in it."""
        momentum = {
            f"momentum.{name}": self._optimizer.state[weight][_MOMENTUM]
            for name, weight in self.model.named_parameters()
        }
        model = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        return {**model, **momentum, "random": self._random.get_state()}

    def load(self, tensors: dict[str, torch.Tensor], epochs: list[Epoch]) -> None:
        """Continue from the state in `tensors` after these epochs.

        Raises: KeyError or RuntimeError when the tensors do not fit this training.
        """
        names = self.model.state_dict()
        self.model.load_state_dict({name: tensors[f"model.{name}"] for name in names})
        for name, weight in self.model.named_parameters():
            momentum = torch.empty_like(weight).copy_(tensors[f"momentum.{name}"])
            self._optimizer.state[weight][_MOMENTUM] = momentum.detach()
        self._random.set_state(tensors["random"])
        self.epochs = list(epochs)


def _optimizer(model: Classifier, config: TrainConfig) -> torch.optim.SGD:
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    vectors = [weight for weight in model.parameters() if weight.ndim == 1]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=config.peak_lr, momentum=0.9, nesterov=True)
