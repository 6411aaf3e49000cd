"""The probability of augmentations, driven by how the discriminator tells held-out from training images.

All numbers stay on the device, so that nothing waits for a GPU.
"""

import torch
from torch import Tensor

from gan.checkpoint import CheckpointError

_NEW_SHARE = 0.1
"""Share of the newest measurement in the smoothed ones; the first ten count alike."""


class AdaptiveProbability:
    """Raises a probability while the discriminator overfits and lowers it while it does not.

    Adaptive discriminator augmentation: Karras et al. 2020, "Training generative adversarial networks with
    limited data", section 3, with the heuristic r_v of equation 1. Departures: the speed is a setting, since
    the paper's 500,000 images from 0 to 1 are longer than our runs; the outputs are averaged over the last
    measurements rather than over four batches; r_v is 0 while generated images are judged no worse than
    training images, when it means nothing.
    """

    def __init__(self, *, target: float, every: int, speed: float, device: torch.device) -> None:
        """every: steps from one measurement to the next; speed: change of the probability in 1,000 images."""
        self._target, self._every, self._speed = target, every, speed
        self._measurements = 0
        self.value = torch.zeros((), device=device)
        """Scalar on the device, 0 to 1."""
        self._outputs = torch.zeros(3, device=device)

    def is_due(self, step: int) -> bool:
        """Whether the discriminator's outputs are to be measured in this step."""
        return step % self._every == 0

    def update(self, outputs: Tensor, batch: int) -> None:
        """Move the probability.

        outputs: (3,), the discriminator's mean outputs on training, held-out and generated images. batch:
        images of a step, over all ranks.
        """
        self._measurements += 1
        self._outputs.lerp_(outputs.float(), max(_NEW_SHARE, 1 / self._measurements))
        training, held_out, generated = self._outputs.unbind()
        lead = training - generated
        overfitting = torch.where(lead > 0, (training - held_out) / lead, 0.0)
        change = self._speed * self._every * batch / 1000
        move = torch.where(overfitting > self._target, change, -change)
        self.value.copy_((self.value + move).clamp(0, 1))

    def state(self) -> list[float]:
        """Everything that a resume needs."""
        return [float(self._measurements), *torch.cat([self.value[None], self._outputs]).tolist()]

    def load_state(self, state: list[float]) -> None:
        """Continue from what `state` returned.

        Raises: CheckpointError when it is not five numbers.
        """
        try:
            measurements, value, *outputs = (float(number) for number in state)
            self._outputs.copy_(torch.tensor(outputs).view(3))
        except (TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"the state of the augmentation must be five numbers ({error}); give the checkpoint of a run"
            ) from None
        self._measurements = int(measurements)
        self.value.fill_(value)
