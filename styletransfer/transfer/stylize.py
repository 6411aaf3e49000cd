"""One picture in another's style, from pictures to a picture; files, folders and Ray are others'."""

import dataclasses
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from styletransfer.config import StyleConfig
from styletransfer.transfer import optimizers
from styletransfer.transfer.colours import luminance, with_chroma
from styletransfer.transfer.features import Network
from styletransfer.transfer.losses import Losses, mean_losses
from styletransfer.transfer.objective import Objective
from styletransfer.transfer.request import Job, check_jobs, contents_of, goals_of, masks_of, start_of
from styletransfer.transfer.scales import Picture, Scale, as_array, plan, resized
from styletransfer.transfer.targets import ContentTargets, StyleTargets


@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a style transfer is: `done` of `total` evaluations, the last at scale `scale` of `scales`."""

    done: int
    total: int
    scale: int
    scales: int
    height: int
    width: int
    losses: Losses
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stylized:
    """A stylized picture, float32 (H, W, 3) in [0, 1], and how it came about.

    losses: at the end, before the content's colours are put back. stayed_finite: false where a loss or a
    gradient was not, once or more, and the optimizer went back.
    """

    picture: np.ndarray
    losses: Losses
    seconds_by_scale: tuple[float, ...]
    iterations: int
    stayed_finite: bool


def stylize(
    content: Picture,
    styles: Picture | Sequence[Picture],
    config: StyleConfig,
    *,
    network: Network,
    masks: Sequence[Picture | None] | None = None,
    start: Picture | None = None,
    content_targets: ContentTargets | None = None,
    style_targets: Sequence[StyleTargets] | None = None,
    device: torch.device | str = "cpu",
    on_step: Callable[[Progress], None] | None = None,
) -> Stylized:
    """Draw the content picture in one style or in a blend of several.

    Gatys et al. 2016, coarse to fine: the picture is optimised small, enlarged, and goes on. What else is
    given, see `Job`. Same pictures, settings and number of threads: the same pixels.

    Raises: ConfigError for pictures that are none, layers that the network lacks, numbers of styles, masks
    and blend weights that do not agree, and a loss that does not stay finite.
    """
    job = Job(
        content=content,
        styles=[styles] if isinstance(styles, np.ndarray | Tensor) else styles,
        masks=masks,
        start=start,
        content_targets=content_targets,
        style_targets=style_targets,
    )
    return stylize_together([job], config, network=network, device=device, on_step=on_step)[0]


def stylize_together(
    jobs: Sequence[Job],
    config: StyleConfig,
    *,
    network: Network,
    device: torch.device | str = "cpu",
    on_step: Callable[[Progress], None] | None = None,
) -> list[Stylized]:
    """Draw several pairs as one batch, each as it would be alone; `seconds_by_scale` is each one's share.

    Their contents must have one size after scaling and their numbers of styles must agree. L-BFGS takes one
    pair: its steps would depend on the others. `on_step` is told the mean losses.

    Raises: as `stylize`, and ConfigError for pairs that do not go together.
    """
    check_jobs(jobs, config)
    contents = contents_of(jobs, config, device)
    height, width = contents.shape[2:]
    scales = plan(config, height, width)
    masks = masks_of(jobs, height, width, device)
    goals = goals_of(jobs, config, network=network, device=device)
    drawn = luminance(contents) if config.colours == "luminance" else contents
    canvas = start_of(jobs, config, resized(drawn, scales[0].height, scales[0].width))
    follow = _Follower(scales, len(jobs), on_step)

    for index, (scale, (content, styles)) in enumerate(zip(scales, goals, strict=True)):
        canvas = resized(canvas, scale.height, scale.width)
        mask = None if masks is None else resized(masks, scale.height, scale.width)
        objective = Objective(
            network,
            config,
            height=scale.height,
            width=scale.width,
            content=content,
            styles=styles,
            masks=mask,
        )
        lowered = optimizers.lower(canvas, objective, scale.iterations, config, report=follow.reporter(index))
        canvas = lowered.pictures
        if mask is not None:
            # nothing but the style moves a pixel, so where none goes the content stays as it is
            reach = mask.sum(dim=1, keepdim=True).clamp(0, 1)
            canvas = torch.lerp(resized(drawn, scale.height, scale.width), canvas, reach)
        follow.scale_ended(lowered)

    losses = objective.judge(canvas)
    pictures = with_chroma(canvas, contents) if config.colours == "luminance" else canvas
    return [
        Stylized(
            picture=as_array(picture[None]),
            losses=each,
            seconds_by_scale=tuple(follow.seconds_by_scale),
            iterations=follow.done,
            stayed_finite=follow.stayed_finite,
        )
        for picture, each in zip(pictures, losses, strict=True)
    ]


class _Follower:
    """Counts evaluations and seconds, and passes them on."""

    def __init__(
        self, scales: Sequence[Scale], num_jobs: int, on_step: Callable[[Progress], None] | None
    ) -> None:
        self._scales, self._num_jobs, self._on_step = scales, num_jobs, on_step
        self._began = self._scale_began = time.monotonic()
        self.done, self.seconds_by_scale, self.stayed_finite = 0, list[float](), True

    def reporter(self, index: int) -> optimizers.Report:
        """What the optimizer at that scale calls after every evaluation."""
        scale, total = self._scales[index], sum(scale.iterations for scale in self._scales)

        def report(losses: list[Losses]) -> None:
            self.done += 1
            if self._on_step is not None:
                self._on_step(
                    Progress(
                        done=self.done,
                        total=total,
                        scale=index,
                        scales=len(self._scales),
                        height=scale.height,
                        width=scale.width,
                        losses=mean_losses(losses),
                        seconds=time.monotonic() - self._began,
                    )
                )

        return report

    def scale_ended(self, lowered: optimizers.Lowered) -> None:
        """Note a scale's time and trouble."""
        now = time.monotonic()
        self.seconds_by_scale.append((now - self._scale_began) / self._num_jobs)
        self._scale_began = now
        self.stayed_finite &= lowered.stayed_finite
