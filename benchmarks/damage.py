"""Ways to damage a set of pictures by degrees; which metric notices is measured in `metric_ranking`."""

import io
from collections.abc import Callable

import numpy as np
import scipy.ndimage
from PIL import Image

Pictures = np.ndarray
"""uint8 (N, H, W, C)."""


def blurred(pictures: Pictures, sigma_px: float, seed: int) -> Pictures:
    """Gaussian blur of that standard deviation in pixels."""
    wide = scipy.ndimage.gaussian_filter(pictures.astype(np.float32), (0, sigma_px, sigma_px, 0))
    return wide.round().astype(np.uint8)


def noisy(pictures: Pictures, sigma: float, seed: int) -> Pictures:
    """Gaussian noise of that standard deviation, of 255 levels."""
    noise = np.random.default_rng(seed).normal(0, sigma, pictures.shape)
    return (pictures + noise).round().clip(0, 255).astype(np.uint8)


def recompressed(pictures: Pictures, quality: float, seed: int) -> Pictures:
    """Through JPEG of that quality, its blocks laid otherwise than those of data that were JPEGs before."""
    side = pictures.shape[1]
    shifted = np.pad(pictures, ((0, 0), (3, 0), (3, 0), (0, 0)), mode="reflect")
    return np.stack([_through_jpeg(picture, int(quality))[-side:, -side:] for picture in shifted])


def _through_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(picture.squeeze()).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer)).reshape(picture.shape)


PIXELS: dict[str, tuple[Callable[[Pictures, float, int], Pictures], tuple[float, ...]]] = {
    "blur, sigma in pixels": (blurred, (0.5, 0.75, 1, 2)),
    "noise, sigma of 255": (noisy, (4, 8, 16, 32)),
    "JPEG quality": (recompressed, (75, 50, 25, 10)),
}
"""What is done to every picture: function and degrees, the mildest first."""

MISSING_CLASSES = (1, 3, 5)
UNIQUE_SHARES = (0.5, 0.25, 0.1, 0.05)


def without_classes(order: np.ndarray, labels: np.ndarray, missing: int, count: int) -> np.ndarray:
    """The first `count` places of `order` whose class is not among the first `missing` ones."""
    return order[labels[order] >= missing][:count]


def repeated(order: np.ndarray, share: float, count: int) -> np.ndarray:
    """`count` places, of which only that share are different ones, each as often as the others."""
    different = order[: max(1, round(share * count))]
    return np.resize(different, count)
