"""How many classes the generated images are of, and how evenly, from labels that a classifier predicted."""

from typing import NamedTuple

import torch

from common.errors import require

# images counted for a class that the real labels lack, so that the divergence stays finite
_LEAST_REAL = 0.5


class Modes(NamedTuple):
    """The two columns of tables on Stacked MNIST: modes, higher is better, and KL, lower is better."""

    covered: int
    in_real: int
    """Classes among the real labels: the most that `covered` can be."""
    kl: float
    """Of the generated histogram from the real one, in nats."""


def count_modes(
    generated: torch.Tensor, real: torch.Tensor, num_classes: int, *, least_images: int = 1
) -> Modes:
    """Modes covered and KL(generated || real) of the class histograms.

    generated, real: integer labels (N,) and (M,) in [0, num_classes), by one classifier. A class among the
    real labels is covered when at least `least_images` generated images are of it: 1 in the tables on Stacked
    MNIST (Metz et al. 2017, section 3.3.1, of 25,600 images; Lin et al. 2018, PacGAN, of 26,000). A single
    misclassified image can cover a class; the KL changes less.

    KL is the sum of p log(p / q), p generated and q real, in nats; a class that is not generated adds 0.
    For a class that the real labels lack, q is that of half an image. A perfect generator gets about
    (num_classes - 1) / 2 * (1 / N + 1 / M), not 0.

    Raises: ConfigError for an empty set, a label outside the classes, or another shape or type.
    """
    require(num_classes >= 1, f"the number of classes must be at least 1, not {num_classes}")
    require(least_images >= 1, f"least_images must be at least 1, not {least_images}; the tables have 1")
    counts = _histogram(generated, "generated", num_classes)
    return modes_of(counts, _histogram(real, "real", num_classes), least_images=least_images)


def modes_of(counts: torch.Tensor, real_counts: torch.Tensor, *, least_images: int = 1) -> Modes:
    """`count_modes` of images that are counted already: float64 (num_classes,), neither all 0."""
    held = real_counts > 0
    p = counts / counts.sum()
    q = torch.where(held, real_counts, _LEAST_REAL)
    q = q / q.sum()
    # xlogy: 0 log 0 is 0, not NaN
    kl = (torch.special.xlogy(p, p) - torch.special.xlogy(p, q)).sum()
    return Modes(int((held & (counts >= least_images)).sum()), int(held.sum()), max(0.0, float(kl)))


def _histogram(labels: torch.Tensor, whose: str, num_classes: int) -> torch.Tensor:
    """Images per class, float64 (num_classes,) on the CPU."""
    require(
        labels.ndim == 1 and not labels.is_floating_point() and not labels.is_complex(),
        f"{whose} labels must be integers of shape (N,), not {labels.dtype} {tuple(labels.shape)}; "
        "convert them",
    )
    require(len(labels) > 0, f"{whose} labels must be at least 1, not 0; take more images")
    require(
        bool(((labels >= 0) & (labels < num_classes)).all()),
        f"{whose} labels must lie between 0 and {num_classes - 1}, not {int(labels.min())} and "
        f"{int(labels.max())}; check the classifier",
    )
    return torch.bincount(labels.long().cpu(), minlength=num_classes).double()
