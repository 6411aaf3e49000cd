"""One GAN run from its configuration to its end, tick by tick, in plain PyTorch.

On a CPU the same configuration, seed and world size give the same numbers bit by bit, whatever ran before in
the process and whether or not the state was moved through `state_dict`. Two ranks equal one rank with the
same global batch up to rounding, except for BatchNorm: each rank normalizes by its own share of the batch
unless `--sync-batch-norm` is set.
"""

import dataclasses
import math
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from common.device import exact_float32, fixed_shapes, keep_freed_memory
from gan.checkpoint import CheckpointError, RunState
from gan.config import GanConfig
from gan.data.images import Images
from gan.distributed import Ranks
from gan.generation import FixedPurpose, fixed_latents, sample_as_in_run
from gan.image_grid import TICK_COLUMNS, TICK_IMAGES, grid
from gan.training import lr_schedule
from gan.training.balance import POLICIES, Turn
from gan.training.compilation import count_steps, passes_for, variant_of
from gan.training.inputs import Inputs
from gan.training.measuring.confirmation import MeasuredAgain, measured_again
from gan.training.measuring.tick import Measuring
from gan.training.passes import Passes
from gan.training.players import (
    build_players,
    exceeds_fp16,
    gradient_norms,
    load_players,
    load_scales,
    players_tensors,
    scales,
)
from gan.training.regularizing import Regularizing
from gan.training.step import step_settings, sync_and_check, train_step
from gan.training.step_stats import StepProgress, StepStats

STEPS_BETWEEN_CHECKS = 16


class Diverged(Exception):  # noqa: N818 - an outcome of training, not a fault of the program
    """A loss or a weight is not finite any more; all ranks raise it in the same step with the same reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class GanRun:
    """A GAN in training.

    Builds everything that `config` decides. With `world_size` > 1 every rank builds one, on the same images,
    and all call the same methods in the same order; torch.distributed is initialised by the caller.

    Raises: ConfigError when the batch does not divide over the ranks.
    """

    def __init__(
        self,
        config: GanConfig,
        images: Images,
        *,
        device: torch.device | str = "cpu",
        rank: int = 0,
        world_size: int = 1,
        on_step: Callable[[StepProgress], None] | None = None,
    ) -> None:
        config.check_workers(world_size)
        self.config, self.images = config, images
        self.device, self.rank, self.world_size = torch.device(device), rank, world_size
        self.step = 0
        self.images_seen = 0
        self.total_images = config.total_images()
        self._batches = config.batches()
        self._on_step = on_step
        self._ranks = Ranks(rank, world_size)
        self._plateau = lr_schedule.Plateau()
        self._stats = StepStats(self.device)
        keep_freed_memory()
        self._players = build_players(config, channels=images.channels, device=self.device)
        self._policy = POLICIES[config.balance.policy]
        self._settings = step_settings(config, device=self.device, world_size=world_size)
        self._inputs = Inputs(config, images, self._ranks, self.device)
        self._regularizing = Regularizing(config, images, ranks=self._ranks, device=self.device)
        self._passes: Passes | None = None
        self._measuring = Measuring(config, images, self._ranks, self.device)

    @property
    def is_finished(self) -> bool:
        """Whether as many images were shown as the configuration asks for."""
        return self.images_seen >= self.total_images

    def tick(self) -> dict[str, float]:
        """Train until the batch that completes the next `config.images_per_tick` images, then measure the
        averaged generator.

        Returns: finite floats, the same on every rank. Losses and accuracies are means over the steps in
        which they were measured; `*_skipped` are shares of the tick's steps, 0 to 1.

        Raises: Diverged.
        """
        began, images_before = time.perf_counter(), self.images_seen
        with exact_float32(), fixed_shapes():
            row = self._train(began)
            trained = time.perf_counter()
            row |= self._evaluate()
        images = self.images_seen - images_before
        return row | self._timings(images, trained - began, time.perf_counter() - trained)

    def state_dict(self) -> RunState:
        """All that a resume needs, copied to the CPU; valid on ranks of any number."""
        meta = {
            "step": self.step,
            "images_seen": self.images_seen,
            "channels": self.images.channels,
            "plateau": dataclasses.asdict(self._plateau),
            "last_numbers": self._stats.state(),
            "regularizing": self._regularizing.state(),
            "scales": scales(self._players),
        }
        return RunState(players_tensors(self._players), meta, self.config.to_dict())

    def load_state_dict(self, state: RunState) -> None:
        """Continue from a state; learning rates and all other settings stay this run's own.

        Raises: CheckpointError when the state is that of networks of another shape or not that of a run.
        """
        load_players(self._players, state.tensors)
        try:
            self.step, self.images_seen = int(state.meta["step"]), int(state.meta["images_seen"])
            # "stall": the key of checkpoints before the schedule was called plateau
            plateau = state.meta["plateau"] if "plateau" in state.meta else state.meta["stall"]
            self._plateau = lr_schedule.Plateau(**plateau)
            self._stats.load_state(state.meta["last_numbers"])
            self._regularizing.load_state(state.meta.get("regularizing"), step=self.step)
            load_scales(self._players, state.meta.get("scales", {}))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"the checkpoint's metadata must hold step, images_seen, plateau and last_numbers "
                f"({error!r}); give the checkpoint of a run"
            ) from None

    def sample_grid(self) -> npt.NDArray[np.uint8]:
        """Samples of the averaged generator from latents fixed by the seed, as uint8 (H, W, C)."""
        return grid(self._sample("grid", TICK_IMAGES).cpu().numpy(), columns=TICK_COLUMNS)

    def samples(self, count: int, purpose: FixedPurpose = "evaluation") -> npt.NDArray[np.uint8]:
        """Samples of the averaged generator, uint8 (count, H, W, C), by default as a tick measures them."""
        return self._sample(purpose, count).cpu().numpy()

    def confirm(self) -> list[MeasuredAgain]:
        """Measure the averaged generator where the search has not chosen it by luck; see `measured_again`.

        Raises: Diverged.
        """
        with exact_float32(), torch.no_grad():
            return measured_again(
                self.config,
                self.images,
                lambda count, which: self._sample("confirmation", count, which),
                ranks=self._ranks,
                device=self.device,
            )

    def _sample(self, purpose: FixedPurpose, count: int, which: slice = slice(None)) -> Tensor:
        """The samples `which` out of `count` of the averaged generator, uint8 (N, H, W, C) on the device.

        Raises: Diverged, on every rank, when a sample of any rank is not finite.
        """
        latents = fixed_latents(self.config, purpose, count)[which]
        samples, num_broken = sample_as_in_run(self._players.ema, latents, self.config)
        if float(self._ranks.summed(num_broken)) > 0:
            raise Diverged(f"the generator's images are not finite after step {self.step}")
        return samples

    def _train(self, began: float) -> dict[str, float]:
        config = self.config
        steps = config.steps_to_next_tick(self.images_seen)
        passes = self._chosen_passes()
        skipped, shown = {"discriminator": 0, "generator": 0}, 0
        self._stats.start_tick()
        for index in range(steps):
            self._set_learning_rates()
            self._players.grow(self.images_seen)
            batch = self._batches.at(self.images_seen)
            real, latents, penalty_shares = self._inputs.of_step(self.step, self.images_seen, batch)
            stats, turn = train_step(
                self._players,
                real,
                latents,
                penalty_shares,
                self._settings,
                passes,
                who_trains=self._who_trains(),
                regularization=self._regularizing.for_step(
                    self.step, images_seen=self.images_seen, progress=self._progress(), batch=batch
                ),
            )
            self._regularizing.count(turn)
            self._stats.add(stats, generator_trained=turn.generator)
            skipped["discriminator"] += not turn.discriminator
            skipped["generator"] += not turn.generator
            self.step += 1
            self.images_seen += batch
            shown += batch
            self._after_step(index, shown, began)

        count_steps(variant_of(config, device=self.device, world_size=self.world_size), steps)
        means = self._stats.means(steps, generator_steps=steps - skipped["generator"])
        self._check_losses(means["discriminator_loss"], means["generator_loss"])
        broken = sync_and_check(self._players, self.world_size)
        if broken:
            raise Diverged(f"a weight of the {broken} is not finite after step {self.step}")
        broken = exceeds_fp16(self._players)
        if broken:
            raise Diverged(f"the {broken}'s gradients exceed fp16 by step {self.step}")
        gradients = self._gradient_norms()
        return {
            "images_seen": float(self.images_seen),
            "step": float(self.step),
            **means,
            **self._regularizing.row(),
            **{f"{player}_skipped": count / steps for player, count in skipped.items()},
            **gradients,
            "generator_lr": self._players.generator_optimizer.param_groups[0]["lr"],
            "discriminator_lr": self._players.discriminator_optimizer.param_groups[0]["lr"],
        }

    def _gradient_norms(self) -> dict[str, float]:
        norms = gradient_norms(self._players)
        for name, norm in norms.items():
            if not math.isfinite(norm):  # Adam divides by it: the player has stopped to learn
                raise Diverged(f"the {name} has exceeded fp32 by step {self.step}")
        return norms

    def _chosen_passes(self) -> Passes:
        """The passes, chosen in the first step, when it is known how many steps a resumed run has left."""
        if self._passes is None:
            self._passes = passes_for(
                self.config,
                device=self.device,
                world_size=self.world_size,
                steps_left=self._batches.until(self.images_seen, self.total_images)[0],
            )
        return self._passes

    def _who_trains(self) -> Turn | Callable[[], Turn]:
        """The policy's decision; where it reads the last step's numbers, a function that waits for them."""
        balance = self.config.balance
        if not self._policy.reads_measured:
            return self._policy.turn(balance, self.step, None)
        return lambda: self._policy.turn(balance, self.step, self._stats.measured())

    def _progress(self) -> float:
        """Share of the run's images that were shown, 0 to 1."""
        return self.images_seen / self.total_images

    def _set_learning_rates(self) -> None:
        optimizer = self.config.optimizer
        factor = lr_schedule.learning_rate_factor(
            optimizer, progress=self._progress(), drops=self._plateau.drops
        )
        self._players.generator_optimizer.param_groups[0]["lr"] = factor * optimizer.generator_lr
        self._players.discriminator_optimizer.param_groups[0]["lr"] = factor * optimizer.discriminator_lr

    def _after_step(self, index: int, shown: int, began: float) -> None:
        stats = self._stats.last
        assert stats is not None
        # costs nothing on a CPU; on a GPU it would wait for the step
        if self.device.type == "cpu" and (index + 1) % STEPS_BETWEEN_CHECKS == 0:
            self._check_losses(float(stats[0]), float(stats[3]))
        if self._on_step is not None:
            elapsed = time.perf_counter() - began
            speed = shown / elapsed
            self._on_step(StepProgress(self.step, self.images_seen, self.total_images, speed, stats))

    def _check_losses(self, discriminator_loss: float, generator_loss: float) -> None:
        for player, loss in (("discriminator", discriminator_loss), ("generator", generator_loss)):
            if not math.isfinite(loss):
                raise Diverged(f"the {player}'s loss is {loss} by step {self.step}")

    def _evaluate(self) -> dict[str, float]:
        samples = self._sample("evaluation", self._measuring.num_images, self._measuring.share)
        row = self._measuring.row(samples, self._players.discriminator)
        value, patience = row[self._measuring.objective], self.config.optimizer.patience
        self._plateau = lr_schedule.after_tick(self._plateau, value, patience=patience)
        return row

    def _timings(self, images: int, train_s: float, evaluate_s: float) -> dict[str, float]:
        """Seconds of the slowest rank, so that every rank reports the same."""
        train_s, evaluate_s = self._ranks.largest(train_s, evaluate_s, device=self.device)
        return {"train_s": train_s, "evaluate_s": evaluate_s, "images_per_s": images / train_s}
