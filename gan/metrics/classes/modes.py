"""Counts the classes of generated images against those of the training data."""

import dataclasses
from collections.abc import Callable

import numpy as np
import torch

from common.errors import require
from gan.config import EvaluationConfig
from gan.distributed import Ranks
from gan.metrics.classes.classifier import Classifier, NoClassifierError, accuracy_of, classifier_of
from gan.metrics.config import count_name
from gan.metrics.mode_coverage import Modes, modes_of
from gan.metrics.reference import RealImages

_AT_ONCE = 1024


@dataclasses.dataclass(frozen=True, eq=False)
class ModeCounter:
    """Counts classes with the data set's classifier."""

    classifier: Classifier
    accuracy: float
    """Share of held-out images whose class it predicts, see `accuracy_of`."""
    in_training: torch.Tensor
    """Training images of each class by their labels, float64 (num_classes,)."""
    _train: np.ndarray

    def counts(self, images: torch.Tensor) -> torch.Tensor:
        """Images of each predicted class, float64 (num_classes,) on the CPU; those of parts add up.

        images: uint8 (N, H, W, C) on any device.
        """
        total = torch.zeros_like(self.in_training)
        for part in images.split(_AT_ONCE):
            total += torch.bincount(self.classifier.predict(part), minlength=len(total))
        return total

    def modes(self, counts: torch.Tensor) -> Modes:
        """Modes and KL of images with these counts."""
        return modes_of(counts, self.in_training)

    def noise_floor(self, num_images: int) -> Modes:
        """What as many training images as generated ones get, or all if there are fewer."""
        total = torch.zeros_like(self.in_training)
        count = min(num_images, len(self._train))
        places = np.linspace(0, len(self._train) - 1, count).round().astype(np.int64)
        for start in range(0, count, _AT_ONCE):
            total += self.counts(torch.from_numpy(np.asarray(self._train[places[start : start + _AT_ONCE]])))
        return self.modes(total)


def mode_counter(real: RealImages) -> ModeCounter:
    """What counts the modes of images like the real ones, which have labels.

    Raises: NoClassifierError where no classifier can tell the classes apart.
    """
    classifier = classifier_of(real)
    classes = classifier.classes
    accuracy = accuracy_of(classifier, real)
    labels = classes.single_labels(classes.held_out, real.held_out.shape[3])
    guessed = float(labels.bincount().max()) / len(labels)
    if accuracy <= guessed:
        raise NoClassifierError(
            f"the classifier is correct on {accuracy:.1%} of the held-out images, no better than always "
            f"naming the most frequent class ({guessed:.1%})"
        )
    in_training = torch.from_numpy(np.bincount(classes.train, minlength=classes.number)).double()
    return ModeCounter(classifier, accuracy, in_training, real.train)


class ModesMetric:
    """A metric of the classes of generated images; see `gan.metrics.named.PreparedMetric`.

    Whichever of the numbers of classes it minimizes, it reports the modes and the KL beside it.
    """

    def __init__(self, config: EvaluationConfig, real: RealImages, value: Callable[[Modes], float]) -> None:
        """value: the number that is minimized.

        Raises: ConfigError for data without labels or without a classifier that is better than guessing.
        """
        self.name, self.num_images = config.key(), config.metric_images
        self._value, self._suffix = value, count_name(config.metric_images)
        try:
            self._counter = mode_counter(real)
        except NoClassifierError as error:
            raise NoClassifierError(
                f"--metric {config.metric} counts classes, but {error}; choose another"
            ) from None
        self._floor = self._counter.noise_floor(self.num_images)
        self.noise_floor = value(self._floor)

    @property
    def network(self) -> str:
        """Identifies the classifier's kind, on whatever machine."""
        return self._counter.classifier.identity

    def share(self, ranks: Ranks) -> slice:
        """Each rank generates and classifies a part of the images."""
        return ranks.share(self.num_images)

    def distance(self, generated: torch.Tensor, ranks: Ranks) -> float:
        """What is minimized, of all ranks' images."""
        return self._value(self._found(generated, ranks))

    def measure(self, generated: torch.Tensor, ranks: Ranks) -> dict[str, float]:
        """What is minimized, the modes and the KL, each with its noise floor."""
        values = self._row(self._found(generated, ranks))
        return values | {f"{name}_noise": floor for name, floor in self._row(self._floor).items()}

    def _row(self, modes: Modes) -> dict[str, float]:
        both = {f"modes_{self._suffix}": float(modes.covered), f"kl_{self._suffix}": modes.kl}
        return {self.name: self._value(modes)} | both

    def _found(self, generated: torch.Tensor, ranks: Ranks) -> Modes:
        share = self.share(ranks)
        expected = share.stop - share.start
        require(
            len(generated) == expected,
            f"a metric of {self.num_images} images takes {expected} from rank {ranks.rank} of "
            f"{ranks.world_size}, not {len(generated)}; generate its share",
        )
        # whole numbers: their sum, and so the value, is the same on every rank
        return self._counter.modes(ranks.summed(self._counter.counts(generated)))
