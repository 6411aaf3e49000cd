"""noise on the images that the discriminator sees, which falls to nothing (Sønderby et al. 2017)."""

import dataclasses
import math
from typing import TYPE_CHECKING

from common.errors import require
from gan.training.regularization import Change, Moment, Regularizer

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the regularizer."""

    instance_noise: float = 0.0
    """Standard deviation at the start of the noise on real and generated images, whose values are -1 to 1."""
    instance_noise_share: float = 0.5
    """Share of the run over which the noise falls linearly to 0, above 0 and up to 1."""

    def __post_init__(self) -> None:
        require(
            math.isfinite(self.instance_noise) and 0 <= self.instance_noise <= 10,
            f"--instance-noise must lie between 0 and 10, not {self.instance_noise:g}; try 0.1",
        )
        require(
            math.isfinite(self.instance_noise_share) and 0 < self.instance_noise_share <= 1,
            f"--instance-noise-share must be above 0 and at most 1, not {self.instance_noise_share:g}; "
            "try 0.5",
        )


def deviation(settings: Settings, progress: float) -> float:
    """The noise's standard deviation after this share of the run, 0 to 1."""
    return settings.instance_noise * max(0.0, 1 - progress / settings.instance_noise_share)


# Sønderby et al. 2017, "Amortised MAP inference for image super-resolution", section 3.2; Arjovsky and Bottou
# 2017, "Towards principled methods for training GANs", section 3. Both add normal noise to what the
# discriminator sees and lower it; the linear course is that of the first one's published experiments.
def _change(settings: Settings, moment: Moment) -> Change | None:
    scale = deviation(settings, moment.progress)
    if scale == 0:
        return None
    from gan.training import seeding

    shape = (moment.num_sets, moment.batch, *moment.image_shape)
    # on the device: too many numbers to be drawn by the host in every step
    noise = seeding.normal_on_device(moment.seed, "noise", moment.step, shape, moment.device)
    return Change(_add, noise[:, moment.mine] * scale)


def _add(images: "Tensor", noise: "Tensor", probability: "Tensor") -> "Tensor":
    return images + noise


REGULARIZER = Regularizer(change=_change, details={"instance_noise_share": "instance_noise"})
