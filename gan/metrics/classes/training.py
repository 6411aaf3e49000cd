"""Trains the classifier of a data set: a small network, or a linear probe where that is right more often."""

import numpy as np
import torch

from gan.metrics.classes.convnet import shrunk, train_convnet
from gan.metrics.classes.labelled import Labels
from gan.metrics.reference import RealImages, Tensors
from perceptual.embedding import Embedder
from perceptual.linear_probe import fit_probe, most_vectors, why_no_probe

PROBE = "probe."
"""What the names of a probe's tensors begin with."""
PROBE_FIELDS = ("mean", "std", "weight", "bias")

_MOST_IMAGES = 60_000  # single ones, to train and to validate on
_VALIDATED = 0.1  # share of them by which one of the two is chosen
_SUFFICES = 0.98  # accuracy of the small network from which on no probe is tried


def training_places(real: RealImages) -> Labels:
    """Places of the training images that a classifier is trained on, ascending: all, or a random part."""
    per_image = real.train.shape[3] if real.classes and real.classes.per_channel else 1
    order = np.random.default_rng(real.seed).permutation(len(real.train))
    return np.sort(order[: _MOST_IMAGES // per_image])


def train_classifier(real: RealImages, embedder: Embedder) -> Tensors:
    """Tensors of the better of two: a small network trained on the images, and a linear probe.

    The probe is fitted to what `embedder` sees, and only where the network is right for less than 98 % of the
    images that it is validated on, a tenth.
    """
    classes, places = real.classes, training_places(real)
    assert classes is not None
    labels = classes.single_labels(classes.train[places], real.train.shape[3])
    pixels = torch.cat([shrunk(batch) for batch in classes.batches(real.train, places)])
    shuffled = torch.randperm(len(pixels), generator=torch.Generator().manual_seed(real.seed))
    num_validated = max(1, round(len(pixels) * _VALIDATED))
    validated, trained = shuffled[:num_validated], shuffled[num_validated:]

    network = train_convnet(
        pixels[trained].to(real.device), labels[trained].to(real.device), classes.single, seed=real.seed
    )
    predicted = network.predict(pixels[validated].permute(0, 2, 3, 1))
    accuracy = share_right(predicted, labels[validated])
    found = {name: tensor.cpu().contiguous() for name, tensor in network.state_dict().items()}
    if accuracy >= _SUFFICES or why_no_probe(labels[trained]):
        return found

    trained = trained[: most_vectors(classes.single)]
    features = _features(real, embedder, places, torch.cat([validated, trained]))
    probe = fit_probe(features[num_validated:], labels[trained], classes.single, real.seed)
    if probe.accuracy(features[:num_validated], labels[validated]) <= accuracy:
        return found
    return {PROBE + field: getattr(probe, field).contiguous() for field in PROBE_FIELDS}


def share_right(predicted: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of the predictions (N,) that are the labels."""
    return float((predicted == labels).double().mean())


def _features(real: RealImages, embedder: Embedder, places: Labels, chosen: torch.Tensor) -> torch.Tensor:
    """Features (N, D) of single images, by their places among all of the images at `places`."""
    classes = real.classes
    assert classes is not None
    per_image = real.train.shape[3] if classes.per_channel else 1
    wanted, position = torch.unique(chosen // per_image, return_inverse=True)
    images = classes.batches(real.train, places[wanted.numpy()])
    features = torch.cat([embedder.embed(batch).cpu() for batch in images])
    return features[position * per_image + chosen % per_image]
