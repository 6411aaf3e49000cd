"""The classifier of a data set's classes: trained once from its training images, then kept in the cache."""

import contextlib
import dataclasses
import hashlib
from collections.abc import Iterator
from typing import Protocol

import filelock
import numpy as np
import torch

from common.errors import ConfigError
from gan.metrics.classes import convnet
from gan.metrics.classes.convnet import Convnet
from gan.metrics.classes.labelled import Classes
from gan.metrics.classes.training import PROBE, PROBE_FIELDS, share_right, train_classifier, training_places
from gan.metrics.reference import RealImages, Tensors, remembered
from perceptual.embedding import Embedder, load_embedder
from perceptual.linear_probe import Probe, why_no_probe

_NETWORK = "compact"  # whose features the probe reads
_LOCK_TIMEOUT_S = 3600.0


class NoClassifierError(ConfigError):
    """No classifier can tell the classes apart; the message is the reason, without a remedy."""


class Model(Protocol):
    """Predicts classes of single images."""

    def predict(self, images: torch.Tensor) -> torch.Tensor:
        """uint8 (N, H, W, C) -> int64 (N,) on the CPU."""


@dataclasses.dataclass(frozen=True, eq=False)
class ProbeModel:
    """A linear probe of a network's features."""

    embedder: Embedder
    probe: Probe

    def predict(self, images: torch.Tensor) -> torch.Tensor:
        """See `Model`."""
        return self.probe.predict(self.embedder.embed(images).cpu())


@dataclasses.dataclass(frozen=True, eq=False)
class Classifier:
    """Predicts the classes of a data set's images and of generated ones."""

    model: Model
    classes: Classes
    identity: str
    """What kind it is: for people, and to know a resumed run's measure again."""

    def predict(self, images: torch.Tensor) -> torch.Tensor:
        """The likeliest class of each image: int64 (N,) on the CPU; images: uint8 (N, H, W, C)."""
        predicted = self.model.predict(self.classes.singles(images))
        return self.classes.joined(predicted, images.shape[3])


def classifier_of(real: RealImages) -> Classifier:
    """The classifier of images with labels, from the cache, else trained, in a minute or two on two cores.

    A small network is trained on the images themselves; where it is right for less than 98 % of those that it
    is validated on, a linear probe of the compact network's features is fitted too, and the better one is
    taken. So digits are known by the small network and photos by the probe, by one rule. Where each channel
    has a class of its own, the classifier sees channels.

    Raises: NoClassifierError without labels, for fewer than 20 training images and for only one class.
    """
    classes = real.classes
    if classes is None:
        raise NoClassifierError("the images have no classes")
    reason = why_no_probe(torch.from_numpy(np.array(classes.train)))
    if reason:
        raise NoClassifierError(reason)
    embedder = load_embedder(_NETWORK, device=real.device)
    key = None
    if classes.training_key is not None:
        key = [classes.training_key, "classifier", convnet.VERSION, embedder.key]
    with _one_at_a_time(real, key):
        tensors = remembered(real.cache, key, lambda: train_classifier(real, embedder))
    return _from_tensors(tensors, real, embedder)


def accuracy_of(classifier: Classifier, real: RealImages) -> float:
    """Share of held-out images whose class is predicted; where channels are classified, of channels.

    Channels that equal one that the classifier was trained on, pixel by pixel, are left out unless all do:
    the digits of stacked pictures recur.
    """
    classes = classifier.classes
    held_out = torch.cat(list(classes.batches(real.held_out, np.arange(len(real.held_out)))))
    labels = classes.single_labels(classes.held_out, real.held_out.shape[3])
    if classes.per_channel:
        seen = {
            _digest(each) for batch in classes.batches(real.train, training_places(real)) for each in batch
        }
        new = torch.tensor([_digest(each) not in seen for each in held_out])
        if new.any():
            held_out, labels = held_out[new], labels[new]
    return share_right(classifier.model.predict(held_out), labels)


def _digest(image: torch.Tensor) -> bytes:
    return hashlib.blake2b(image.numpy().tobytes(), digest_size=16).digest()


@contextlib.contextmanager
def _one_at_a_time(real: RealImages, key: list[str] | None) -> Iterator[None]:
    """Of the ranks on one machine, which ask at once, one trains and the others read what it kept."""
    with contextlib.ExitStack() as held:
        if real.cache is not None and key is not None:
            name = hashlib.blake2b("\0".join(key).encode(), digest_size=8).hexdigest()
            with contextlib.suppress(OSError):  # in a cache that cannot be written nothing is kept either
                real.cache.mkdir(parents=True, exist_ok=True)
                held.enter_context(filelock.FileLock(real.cache / f"{name}.lock", timeout=_LOCK_TIMEOUT_S))
        yield


def _from_tensors(tensors: Tensors, real: RealImages, embedder: Embedder) -> Classifier:
    classes = real.classes
    assert classes is not None
    if f"{PROBE}weight" in tensors:
        fields = {field: tensors[PROBE + field] for field in PROBE_FIELDS}
        probe = Probe(**fields, penalty=0.0)  # with which it was fitted: not needed to predict
        return Classifier(ProbeModel(embedder, probe), classes, f"linear-probe-{embedder.identity}")
    channels = 1 if classes.per_channel else real.train.shape[3]
    network = Convnet(channels, classes.single, min(convnet.SIDE, real.train.shape[1]))
    network.load_state_dict(tensors)
    return Classifier(network.to(real.device).eval(), classes, convnet.VERSION)
