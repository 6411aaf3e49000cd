"""Linear probe: logistic regression that predicts classes from frozen features."""

import dataclasses

import torch
import torch.nn.functional as F

from common.errors import require
from perceptual.feature_vectors import check_comparable, check_features

FEWEST = 20
_HELD_OUT = 0.1  # share of the vectors that the penalty is chosen on
_PENALTIES = (1.0, 0.1, 1e-2, 1e-3, 1e-4, 1e-5)
_ITERATIONS = 200  # at most, for each penalty
_CHUNK = 8192
# Of more vectors than give so many logits a random part is used: 60,000 of ten classes, 6,000 of a hundred.
_MOST_LOGITS = 600_000
_LEAST_PER_CLASS = 30
# relative to a feature's largest value; a smaller spread is the rounding of a constant
_LEAST_STD = 1e-6


@dataclasses.dataclass(frozen=True, eq=False)
class Probe:
    """A trained linear classifier of features (N, D)."""

    mean: torch.Tensor
    """(D,), of the features it was trained on."""
    std: torch.Tensor
    """(D,), 1 for a feature that was constant."""
    weight: torch.Tensor
    """(num_classes, D), for standardized features."""
    bias: torch.Tensor
    """(num_classes,)."""
    penalty: float
    """Factor of half the weights' squared norm, which is added to the mean cross-entropy in nats."""

    def predict(self, features: torch.Tensor) -> torch.Tensor:
        """The likeliest class of each vector: int64 (N,) on the features' device.

        Raises: ConfigError for vectors of another length, NaN or infinity.
        """
        check_features(features, "features to classify")
        check_comparable(features, self.mean)
        return torch.cat([self._logits(chunk).argmax(dim=1) for chunk in features.split(_CHUNK)])

    def accuracy(self, features: torch.Tensor, labels: torch.Tensor) -> float:
        """Share of vectors whose class is predicted, in [0, 1]; labels: integers (N,), on the same device.

        Raises: ConfigError as `predict`, and unless there is one label for each vector, a class of the probe.
        """
        predicted = self.predict(features)
        _check_labels(labels, len(features), len(self.bias))
        return float((predicted == labels).double().mean())

    def _logits(self, features: torch.Tensor) -> torch.Tensor:
        return F.linear((features.float() - self.mean) / self.std, self.weight, self.bias)


def why_no_probe(labels: torch.Tensor) -> str:
    """Why no probe can be fitted to vectors with these labels (N,), in words; '' where one can."""
    if len(labels) < FEWEST:
        return f"a linear probe needs at least {FEWEST} training images, not {len(labels)}"
    return "" if len(labels.unique()) >= 2 else "all training images are of one class"


def fit_probe(features: torch.Tensor, labels: torch.Tensor, num_classes: int, seed: int) -> Probe:
    """Multinomial logistic regression on standardized features, its L2 penalty chosen on a tenth held out.

    features: floats (N, D), N >= 20; labels: integers (N,) in [0, num_classes) on the same device. The
    penalties 1, 0.1, ... 1e-5 are tried in turn, each starting from the previous weights, until the
    cross-entropy on the held-out tenth, chosen by the seed, rises; the best penalty is then used to train on
    all vectors. Of more than `most_vectors` a random part is used. Full-batch L-BFGS (Liu and Nocedal 1989)
    needs no learning rate and is reproducible. The bias is not penalized.

    Raises: ConfigError for fewer vectors or fewer than 2 classes among the labels, NaN or infinity.
    """
    check_features(features, "features of a probe", least=FEWEST)
    _check_labels(labels, len(features), num_classes)
    classes = len(labels.unique())
    require(classes >= 2, f"a probe needs labels of at least 2 classes, not {classes}; add images of others")

    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(seed)).to(labels.device)
    order = order[: most_vectors(num_classes)]
    x, y = features[order].float(), labels[order].long()
    mean, std = _moments(x)
    x = x.sub_(mean).div_(std)

    held = round(len(x) * _HELD_OUT)
    weight, bias = x.new_zeros(num_classes, x.shape[1]), x.new_zeros(num_classes)
    best = (torch.inf, _PENALTIES[0], weight, bias)
    for penalty in _PENALTIES:
        weight, bias = _minimum(x[held:], y[held:], penalty, weight, bias)
        loss = float(F.cross_entropy(F.linear(x[:held], weight, bias), y[:held]))
        if loss >= best[0]:
            break
        best = (loss, penalty, weight, bias)

    _, penalty, weight, bias = best
    weight, bias = _minimum(x, y, penalty, weight, bias)
    return Probe(mean, std, weight, bias, penalty)


def most_vectors(num_classes: int) -> int:
    """How many vectors a probe is fitted to at most: its time grows with their number times the classes."""
    return max(_MOST_LOGITS // num_classes, _LEAST_PER_CLASS * num_classes)


def _moments(features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    std, mean = torch.std_mean(features.float(), dim=0, correction=0)
    low, high = features.float().aminmax(dim=0)
    return mean, torch.where(std > _LEAST_STD * torch.maximum(-low, high), std, 1.0)


def _minimum(
    x: torch.Tensor, y: torch.Tensor, penalty: float, weight: torch.Tensor, bias: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Minimize the penalized mean cross-entropy, starting from the given weights (C, D) and biases (C,)."""
    weight, bias = (each.clone().requires_grad_() for each in (weight, bias))
    optimizer = torch.optim.LBFGS(
        [weight, bias],
        max_iter=_ITERATIONS,
        history_size=10,
        tolerance_grad=1e-5,
        tolerance_change=1e-8,
        line_search_fn="strong_wolfe",
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = F.cross_entropy(F.linear(x, weight, bias), y) + penalty / 2 * weight.square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        optimizer.step(loss)
    return weight.detach(), bias.detach()


def _check_labels(labels: torch.Tensor, count: int, num_classes: int) -> None:
    require(
        labels.shape == (count,) and not labels.is_floating_point() and not labels.is_complex(),
        f"labels must be {count} integers, one for each vector, not {labels.dtype} {tuple(labels.shape)}; "
        "give as many labels as images",
    )
    require(
        bool(((labels >= 0) & (labels < num_classes)).all()),
        f"labels must lie between 0 and {num_classes - 1}, not {int(labels.min())} and "
        f"{int(labels.max())}; check the number of classes",
    )
