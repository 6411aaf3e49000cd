"""Stylizes pictures: from a content and its styles, as arrays, to the stylized picture."""

import dataclasses
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from common.device import exact_float32
from styletransfer.config import StyleConfig
from styletransfer.transfer.colours import luminance, with_chroma
from styletransfer.transfer.features import Network
from styletransfer.transfer.losses import Losses, mean_losses, style_share
from styletransfer.transfer.midway import Keeper, Midway
from styletransfer.transfer.objective import Objective
from styletransfer.transfer.optimizers import OPTIMIZERS, Evaluate, Optimized, Report
from styletransfer.transfer.request import (
    TransferRequest,
    alphas_of,
    check_requests,
    contents_of,
    masks_of,
    start_of,
    targets_of,
)
from styletransfer.transfer.scales import ImageArray, Scale, as_array, content_scales, resized


@dataclasses.dataclass(frozen=True, kw_only=True)
class Progress:
    """Progress of a style transfer: `done` of `total` evaluations, the last at scale `scale` of `scales`."""

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
    """A stylized picture, float32 (H, W, 3) in [0, 1], with its losses and times.

    losses: at the end, before the content's colours are restored. stayed_finite: false where a loss or a
    gradient was not finite and the optimizer stepped back. has_fallen: false where the loss fell at no scale.
    """

    picture: np.ndarray
    losses: Losses
    seconds_by_scale: tuple[float, ...]
    iterations: int
    stayed_finite: bool
    has_fallen: bool = True


def stylize(
    content: ImageArray,
    styles: ImageArray | Sequence[ImageArray],
    config: StyleConfig,
    *,
    network: Network,
    masks: Sequence[ImageArray | None] | None = None,
    alpha: ImageArray | None = None,
    style_alphas: Sequence[ImageArray | None] | None = None,
    start: ImageArray | None = None,
    device: torch.device | str = "cpu",
    on_step: Callable[[Progress], None] | None = None,
) -> Stylized:
    """Stylize the content picture in one style or in a blend of several.

    Gatys et al. 2016, coarse to fine: the picture is optimized at a small size, enlarged, and optimized
    further. For masks, alphas and start see `TransferRequest`. The same pictures, settings and number of
    threads give the same pixels.

    Raises: ConfigError for arrays that are not pictures, layers that the network lacks, numbers of styles,
    masks and blend weights that do not agree, and a loss that does not stay finite.
    """
    request = TransferRequest(
        content=content,
        styles=[styles] if isinstance(styles, np.ndarray | Tensor) else styles,
        masks=masks,
        alpha=alpha,
        style_alphas=style_alphas,
        start=start,
    )
    return stylize_together([request], config, network=network, device=device, on_step=on_step)[0]


@exact_float32()
def stylize_together(
    requests: Sequence[TransferRequest],
    config: StyleConfig,
    *,
    network: Network,
    device: torch.device | str = "cpu",
    on_step: Callable[[Progress], None] | None = None,
    begin: Midway | None = None,
    keeper: Keeper | None = None,
) -> list[Stylized]:
    """Stylize several pairs as one batch, each as it would be alone; `seconds_by_scale` is each one's share.

    Their contents must have the same size after scaling, and their numbers of styles must agree. L-BFGS takes
    one pair: its steps would depend on the others. `on_step` gets the mean losses. begin: goes on from there,
    with fresh optimizers. keeper: hands out where it is on the way.

    Raises: as `stylize`, and ConfigError for pairs that cannot share a batch.
    """
    check_requests(requests, config)
    contents = contents_of(requests, config, device)
    height, width = contents.shape[2:]
    scales = content_scales(config, height, width)
    masks, alphas = (find(requests, height, width, device) for find in (masks_of, alphas_of))
    targets = targets_of(requests, config, network=network, device=device)
    source = luminance(contents) if config.colours == "luminance" else contents
    share = style_share((height, width), _where_seen(masks, alphas, targets[-1].num_styles))
    canvas = start_of(requests, config, resized(source, scales[0].height, scales[0].width))
    optimize = OPTIMIZERS[config.optimizer].optimize
    begin = begin if begin is not None and _fits(begin, scales, canvas) else None
    follow = _ProgressTracker(scales, len(requests), on_step, begin)

    for index, (scale, goal) in enumerate(zip(scales, targets, strict=True)):
        if begin is not None and index < begin.scale:
            continue
        before = begin.evaluations if begin is not None and index == begin.scale else 0
        if begin is not None and index == begin.scale:
            canvas = begin.pictures.to(canvas)
        canvas = resized(canvas, scale.height, scale.width)
        mask, alpha = (None if each is None else resized(each, *scale[:2]) for each in (masks, alphas))
        objective = Objective(
            network,
            config,
            goal,
            height=scale.height,
            width=scale.width,
            masks=_where_seen(mask, alpha, goal.num_styles),
            share=share,
        )
        evaluate: Evaluate = objective
        if keeper is not None:
            evaluate = keeper.watching(objective, scale=index, evaluations=before, seconds=follow.seconds)
        left = max(1, scale.iterations - before)
        optimized = optimize(canvas, evaluate, left, config, follow.reporter(index))
        canvas = optimized.pictures
        if mask is not None:
            # only a style changes pixels: where none goes, the content stays as it is
            reach = mask.sum(dim=1, keepdim=True).clamp(0, 1)
            canvas = torch.lerp(resized(source, scale.height, scale.width), canvas, reach)
        follow.scale_ended(optimized)

    losses = objective.losses(canvas)
    if alphas is not None:
        canvas = torch.where(alphas > 0, canvas, source)  # what nobody sees stays as it was read
    pictures = with_chroma(canvas, contents) if config.colours == "luminance" else canvas
    return [
        Stylized(
            picture=as_array(picture[None]),
            losses=each,
            seconds_by_scale=tuple(follow.seconds_by_scale),
            iterations=follow.done,
            stayed_finite=follow.stayed_finite,
            has_fallen=follow.has_fallen,
        )
        for picture, each in zip(pictures, losses, strict=True)
    ]


def _where_seen(masks: Tensor | None, alphas: Tensor | None, num_styles: int) -> Tensor | None:
    """Where each style goes and the content is not clear, (N or 1, K, H, W); None: everywhere."""
    if alphas is None:
        return masks
    return alphas.expand(-1, num_styles, -1, -1) if masks is None else masks * alphas


def _fits(begin: Midway, scales: Sequence[Scale], canvas: Tensor) -> bool:
    """Whether the pictures are those of one of the scales, with the canvas's number and channels."""
    if not 0 <= begin.scale < len(scales):
        return False
    return begin.pictures.shape == (*canvas.shape[:2], *scales[begin.scale][:2])


class _ProgressTracker:
    """Counts evaluations and seconds, and reports them to `on_step`; goes on from where `begin` is."""

    def __init__(
        self,
        scales: Sequence[Scale],
        num_pictures: int,
        on_step: Callable[[Progress], None] | None,
        begin: Midway | None,
    ) -> None:
        self._scales, self._num_pictures, self._on_step = scales, num_pictures, on_step
        self._began = self._scale_began = time.monotonic()
        self.done, self.seconds_by_scale = 0, list[float]()
        self.stayed_finite, self.has_fallen = True, False
        if begin is not None:
            self.done = sum(scale.iterations for scale in scales[: begin.scale]) + begin.evaluations
            self.seconds_by_scale.append(begin.seconds)
            self.has_fallen = True

    def seconds(self) -> float:
        """Seconds of optimization so far, of each picture."""
        return sum(self.seconds_by_scale) + (time.monotonic() - self._scale_began) / self._num_pictures

    def reporter(self, index: int) -> Report:
        """The callback that the optimizer at that scale calls after every evaluation."""
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

    def scale_ended(self, optimized: Optimized) -> None:
        """Record the scale's seconds, and whether its losses stayed finite and fell."""
        now = time.monotonic()
        self.seconds_by_scale.append((now - self._scale_began) / self._num_pictures)
        self._scale_began = now
        self.stayed_finite &= optimized.stayed_finite
        self.has_fallen |= optimized.has_fallen
