"""The regularizers of a run: what they do in each step, and their state."""

import dataclasses
import functools
from typing import Any

import torch
from torch import Tensor, nn

from common.device import autocast_dtype
from gan.config import GanConfig, RegularizationConfig
from gan.data.images import Images
from gan.distributed import Ranks, sum_over_ranks
from gan.networks import CriticNorm, scales_of
from gan.networks.families import FAMILIES
from gan.training import seeding
from gan.training.balance import POLICIES, Turn
from gan.training.losses import LOSSES
from gan.training.regularization import REGULARIZERS, Moment
from gan.training.regularization.augment import Settings, chosen
from gan.training.view import (
    HELD_OUT,
    PLAIN,
    GeneratorTerm,
    StepRegularization,
    mean_outputs,
    searched_half,
    see,
)


def critic_norm(config: GanConfig) -> CriticNorm:
    """How the discriminator must normalize: by layer where the loss or a regularizer demands it."""
    demanded = {REGULARIZERS[name].critic_norm(config.regularization) for name in REGULARIZERS}
    return "layer" if "layer" in demanded | {LOSSES[config.loss.name].critic_norm} else "batch"


def augmentations(config: GanConfig) -> tuple[str, ...]:
    """Names of the augmentations of a run, in their order."""
    settings, policy = config.regularization, POLICIES[config.balance.policy]
    assert isinstance(settings, Settings), "a RegularizationConfig has the settings of every regularizer"
    return chosen(settings, adapts=policy.augment_probability is not None)


class Regularizing:
    """What the regularizers of a run do in each step; with the defaults nothing, at no cost."""

    def __init__(self, config: GanConfig, images: Images, *, ranks: Ranks, device: torch.device) -> None:
        self._config, self._ranks, self._device = config, ranks, device
        self._held_out = searched_half(images)
        self._image_shape = (images.channels, images.resolution, images.resolution)
        self._entries = [REGULARIZERS[name] for name in REGULARIZERS]
        adapts = POLICIES[config.balance.policy].augment_probability
        self._adaptive = None if adapts is None else adapts(config.balance, device)
        self._probability = torch.ones((), device=device) if self._adaptive is None else self._adaptive.value
        self._is_augmented = bool(augmentations(config))
        self._scales = scales_of(config.network, images.resolution)
        self._generator_penalty = FAMILIES[config.network.family].generator_penalty(config.network)
        self._is_on = (
            config.regularization != RegularizationConfig()
            or config.network.packing > 1
            or self._scales > 1
            or self._generator_penalty is not None
            or self._adaptive is not None
        )
        self._updates = self._generator_updates = 0

    def for_step(self, step: int, *, images_seen: int, progress: float, batch: int) -> StepRegularization:
        """What is done in this step.

        images_seen: real images shown before. progress: their share of the run's, 0 to 1. batch: of the step,
        over all ranks.
        """
        if not self._is_on:
            return PLAIN
        settings = self._config.regularization
        is_watched = self._adaptive is not None and self._adaptive.is_due(step)
        moment = self._moment(step, progress, batch, num_sets=3 if is_watched else 2)
        found = [entry.change(settings, moment) for entry in self._entries if entry.change is not None]
        changes = [change for change in found if change is not None]
        weighted = [
            (entry.penalty, entry.penalty_weight(settings, self._updates))
            for entry in self._entries
            if entry.penalty is not None
        ]
        done = StepRegularization(
            functions=tuple(change.function for change in changes),
            numbers=tuple(change.numbers for change in changes),
            probability=self._probability,
            packing=self._config.network.packing,
            scales=self._scales,
            penalties=tuple((penalty, weight) for penalty, weight in weighted if weight > 0),
            generator_term=self._generator_term(step, batch),
        )
        if not is_watched:
            return done
        held_out = self._seen_held_out(images_seen, batch, done)
        return dataclasses.replace(done, watch=functools.partial(self._measure, held_out, batch))

    def count(self, turn: Turn) -> None:
        """Note that a step was taken, and who trained in it."""
        self._updates += turn.discriminator
        self._generator_updates += turn.generator

    def row(self) -> dict[str, float]:
        """What a tick reports: `augment_probability` where images are augmented."""
        return {"augment_probability": float(self._probability)} if self._is_augmented else {}

    def state(self) -> dict[str, Any]:
        """All that a resume needs, as JSON values."""
        return {
            "updates": self._updates,
            "generator_updates": self._generator_updates,
            "augmentation": None if self._adaptive is None else self._adaptive.state(),
        }

    def load_state(self, state: dict[str, Any] | None, *, step: int) -> None:
        """Continue from what `state` returned; None: a state of a version that had no regularizers.

        Raises: CheckpointError when the augmentation's part is broken; KeyError, TypeError, ValueError.
        """
        self._updates = step if state is None else int(state["updates"])
        # states of before have none, and no family with a penalty
        self._generator_updates = int((state or {}).get("generator_updates", step))
        if self._adaptive is not None and state is not None and state["augmentation"] is not None:
            self._adaptive.load_state(state["augmentation"])

    def _generator_term(self, step: int, batch: int) -> GeneratorTerm | None:
        penalty = self._generator_penalty
        if penalty is None or self._generator_updates % penalty.every > 0:
            return None
        noise = seeding.normal(self._config.seed, "generator_penalty", step, (batch, *self._image_shape))
        own = seeding.to_device(noise[self._ranks.share(batch)], self._device)
        return GeneratorTerm(penalty.function, own, penalty.weight)

    def _moment(self, step: int, progress: float, batch: int, *, num_sets: int) -> Moment:
        return Moment(
            seed=self._config.seed,
            step=step,
            progress=progress,
            batch=batch,
            mine=self._ranks.share(batch),
            image_shape=self._image_shape,
            num_sets=num_sets,
            adapts=self._adaptive is not None,
            device=self._device,
        )

    def _seen_held_out(self, first: int, batch: int, regularization: StepRegularization) -> Tensor:
        """This rank's share of as many held-out images as a batch has, as the discriminator sees them.

        Where fewer are held out, some come twice. Heuristic r_t, which needs none, is not used there: it
        counts logits over 0, which mean nothing with some losses.
        """
        seed = seeding.derived_seed(self._config.seed, "held_out")
        order = seeding.image_indices(seed, first, batch=batch, num_images=len(self._held_out))
        pixels = self._held_out[order[self._ranks.share(batch)]]
        images = seeding.images_on_device(pixels, self._device)
        return see(images, *regularization.view(HELD_OUT))

    def _measure(
        self, held_out: Tensor, batch: int, discriminator: nn.Module, real: Tensor, generated: Tensor
    ) -> None:
        """Tell the policy how the discriminator judges each set, the mean over the global batch."""
        assert self._adaptive is not None
        dtype = autocast_dtype(self._config.precision, self._device)
        outputs = mean_outputs(discriminator, (real, held_out, generated), dtype)
        if self._ranks.world_size > 1:
            outputs = sum_over_ranks([], outputs) / self._ranks.world_size
        self._adaptive.update(outputs, batch)
