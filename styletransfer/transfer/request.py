"""What is to be stylized, checked and turned into tensors of one batch; not how it is optimised."""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from common.errors import ConfigError, require
from styletransfer.config import StyleConfig
from styletransfer.transfer import targets
from styletransfer.transfer.colours import luminance
from styletransfer.transfer.features import Features, Network
from styletransfer.transfer.scales import Picture, as_tensor, mask_tensor, plan, resized
from styletransfer.transfer.statistics import Moments
from styletransfer.transfer.targets import ContentTargets, StyleTargets


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """A content picture and the styles it is to be drawn in, with what is known of them already.

    Pictures are RGB floats (H, W, 3) in [0, 1]. masks: one a style, (H, W) in [0, 1], 1 where it goes; None:
    everywhere. start: overrides `config.start`. seed: overrides `config.seed`. content_targets and
    style_targets: of these pictures, computed before with the same configuration and network.
    """

    content: Picture
    styles: Sequence[Picture]
    masks: Sequence[Picture | None] | None = None
    start: Picture | None = None
    seed: int | None = None
    content_targets: ContentTargets | None = None
    style_targets: Sequence[StyleTargets] | None = None


def check_jobs(jobs: Sequence[Job], config: StyleConfig) -> None:
    """Raise `ConfigError` unless the jobs are complete and go together in one batch."""
    require(bool(jobs), "there is nothing to stylize; give at least one content picture")
    require(
        len(jobs) == 1 or config.optimizer == "adam",
        f"--optimizer {config.optimizer} takes one pair at a time, not {len(jobs)}; use adam to batch them",
    )
    num_styles = len(jobs[0].styles)
    require(num_styles >= 1, "a content picture needs at least one style; give one")
    config.blend(num_styles)
    for job in jobs:
        require(
            len(job.styles) == num_styles,
            f"pairs of one batch must have equally many styles, not {num_styles} and "
            f"{len(job.styles)}; batch them apart",
        )
        for name, values in (("masks", job.masks), ("style targets", job.style_targets)):
            require(
                values is None or len(values) == num_styles,
                f"there must be as many {name} as styles, {num_styles}, not {len(values or ())}; "
                "give one for each style",
            )


def contents_of(jobs: Sequence[Job], config: StyleConfig, device: torch.device | str) -> Tensor:
    """The content pictures at the final size, (N, 3, H, W)."""
    pictures = []
    for job in jobs:
        picture = as_tensor(job.content, name="the content picture", device=device)
        finest = plan(config, *picture.shape[2:])[-1]
        pictures.append(resized(picture, finest.height, finest.width))
    sizes = {f"{picture.shape[3]} x {picture.shape[2]}" for picture in pictures}
    require(
        len(sizes) == 1,
        f"pairs of one batch must have contents of one final size, not {' and '.join(sorted(sizes))}; "
        "batch them apart",
    )
    return torch.cat(pictures)


def masks_of(jobs: Sequence[Job], height: int, width: int, device: torch.device | str) -> Tensor | None:
    """Where each style goes, (N, K, H, W); None where every style of every job goes everywhere."""
    masks = [list(job.masks or [None] * len(job.styles)) for job in jobs]
    if all(mask is None for row in masks for mask in row):
        return None
    everywhere = torch.ones(1, 1, height, width, device=device)
    rows = [
        torch.cat(
            [
                everywhere if mask is None else resized(mask_tensor(mask, device=device), height, width)
                for mask in row
            ],
            dim=1,
        )
        for row in masks
    ]
    return torch.cat(rows)


def goals_of(
    jobs: Sequence[Job], config: StyleConfig, *, network: Network, device: torch.device | str
) -> list[tuple[Features, dict[str, Moments]]]:
    """At every scale what the batch is drawn to: content features (N, C, h, w), style moments (N, K, ...)."""
    contents, styles = [], []
    for job in jobs:
        contents.append(
            job.content_targets
            or targets.content_targets(job.content, config, network=network, device=device)
        )
        styles.append(
            job.style_targets
            or [
                targets.style_targets(style, config, network=network, content=job.content, device=device)
                for style in job.styles
            ]
        )
    count = len(config.scale_shares())
    if any(len(each) != count for each in contents) or any(
        len(each) != count for row in styles for each in row
    ):
        raise ConfigError("targets must be of the same configuration; compute them anew")
    return [
        (
            _batched([each[index] for each in contents], device),
            _blended([[each[index] for each in row] for row in styles], device),
        )
        for index in range(count)
    ]


def start_of(jobs: Sequence[Job], config: StyleConfig, contents: Tensor) -> Tensor:
    """Where the optimization starts, like contents (N, C, H, W) at the coarsest size.

    Noise is uniform in [0, 1] and drawn on the CPU, so that devices agree.

    Raises: ConfigError when the start is a file that was not read.
    """
    starts = []
    for job, content in zip(jobs, contents.split(1), strict=True):
        if job.start is not None:
            picture = as_tensor(job.start, name="the start picture", device=content.device)
            picture = resized(picture, *content.shape[2:])
            starts.append(luminance(picture) if content.shape[1] == 1 else picture)
        elif config.start == "noise":
            random = torch.Generator().manual_seed(config.seed if job.seed is None else job.seed)
            starts.append(torch.rand(content.shape, generator=random).to(content.device))
        elif config.start == "gray":
            starts.append(torch.full_like(content, 0.5))
        else:
            require(
                config.start == "content", f"--start {config.start} is a file; read it and give it as `start`"
            )
            starts.append(content)
    return torch.cat(starts)


def _batched(rows: Sequence[Features], device: torch.device | str) -> Features:
    return {tap: torch.cat([row[tap] for row in rows]).to(device) for tap in rows[0]}


def _blended(rows: Sequence[Sequence[dict[str, Moments]]], device: torch.device | str) -> dict[str, Moments]:
    return {
        tap: Moments(
            *(
                torch.cat([torch.cat([style[tap][part] for style in row], dim=1) for row in rows]).to(device)
                for part in range(2)
            )
        )
        for tap in rows[0][0]
    }
