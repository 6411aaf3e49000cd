"""other brightness, saturation and contrast."""

from torch import Tensor

from gan.training.augmentations import Augmentation


def colour(images: Tensor, numbers: Tensor) -> Tensor:
    """Move the brightness by -0.5 to 0.5, scale the saturation by 0 to 2 and the contrast by 0.5 to 1.5.

    Zhao et al. 2020, "Differentiable augmentation for data-efficient GAN training", and the authors' code.
    images: (N, C, H, W) in [-1, 1], which may leave this range; numbers: (N, 3) in [0, 1).
    """
    brightness, saturation, contrast = numbers.to(images.dtype)[:, :, None, None, None].unbind(1)
    images = images + (brightness - 0.5)
    grey = images.mean(dim=1, keepdim=True)
    images = (images - grey) * (2 * saturation) + grey
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - mean) * (contrast + 0.5) + mean


AUGMENTATION = Augmentation(apply=colour, num_numbers=3)
