"""Requests to stylize pictures: checked, and turned into the tensors of one batch."""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from common.errors import ConfigError, require
from styletransfer.config import StyleConfig
from styletransfer.transfer import targets
from styletransfer.transfer.colours import luminance
from styletransfer.transfer.features import Features, Network
from styletransfer.transfer.moments import Moments
from styletransfer.transfer.optimizers import OPTIMIZERS
from styletransfer.transfer.scales import ImageArray, as_tensor, content_scales, mask_tensor, resized
from styletransfer.transfer.targets import ContentTargets, ScaleTargets, StyleTargets


@dataclasses.dataclass(frozen=True, kw_only=True)
class TransferRequest:
    """A content picture, the styles for it, and targets that were computed before.

    Pictures are RGB floats (H, W, 3) in [0, 1]. masks: one per style, (H, W) in [0, 1], 1 where it goes;
    None: everywhere. alpha: of the content, (H, W) in [0, 1]; what is clear counts in no loss; None: opaque.
    style_alphas: one per style; what is clear is no part of it. start: overrides `config.start`.
    content_targets and style_targets: of these pictures, with the same configuration and network.
    """

    content: ImageArray
    styles: Sequence[ImageArray]
    masks: Sequence[ImageArray | None] | None = None
    alpha: ImageArray | None = None
    style_alphas: Sequence[ImageArray | None] | None = None
    start: ImageArray | None = None
    content_targets: ContentTargets | None = None
    style_targets: Sequence[StyleTargets] | None = None


def check_requests(requests: Sequence[TransferRequest], config: StyleConfig) -> None:
    """Raise `ConfigError` unless the requests are complete and can share a batch."""
    require(bool(requests), "there is nothing to stylize; give at least one content picture")
    require(
        len(requests) == 1 or OPTIMIZERS[config.optimizer].takes_batches,
        f"--optimizer {config.optimizer} takes one pair at a time, not {len(requests)}; "
        "use adam to batch them",
    )
    num_styles = len(requests[0].styles)
    require(num_styles >= 1, "a content picture needs at least one style; give one")
    config.blend(num_styles)
    for request in requests:
        require(
            len(request.styles) == num_styles,
            f"pairs of one batch must have equally many styles, not {num_styles} and "
            f"{len(request.styles)}; batch them apart",
        )
        for name, values in (
            ("masks", request.masks),
            ("style alphas", request.style_alphas),
            ("style targets", request.style_targets),
        ):
            require(
                values is None or len(values) == num_styles,
                f"there must be as many {name} as styles, {num_styles}, not {len(values or ())}; "
                "give one for each style",
            )


def contents_of(
    requests: Sequence[TransferRequest], config: StyleConfig, device: torch.device | str
) -> Tensor:
    """The content pictures at the final size, (N, 3, H, W)."""
    pictures = []
    for request in requests:
        picture = as_tensor(request.content, name="the content picture", device=device)
        finest = content_scales(config, *picture.shape[2:])[-1]
        pictures.append(resized(picture, finest.height, finest.width))
    sizes = {f"{picture.shape[3]} x {picture.shape[2]}" for picture in pictures}
    require(
        len(sizes) == 1,
        f"pairs of one batch must have contents of one final size, not {' and '.join(sorted(sizes))}; "
        "batch them apart",
    )
    return torch.cat(pictures)


def masks_of(
    requests: Sequence[TransferRequest], height: int, width: int, device: torch.device | str
) -> Tensor | None:
    """Where each style goes, (N, K, H, W); None where every style of every request goes everywhere."""
    masks = [list(request.masks or [None] * len(request.styles)) for request in requests]
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


def alphas_of(
    requests: Sequence[TransferRequest], height: int, width: int, device: torch.device | str
) -> Tensor | None:
    """How opaque each content is, (N, 1, H, W); None where all are everywhere."""
    if all(request.alpha is None for request in requests):
        return None
    opaque = torch.ones(1, 1, height, width, device=device)
    return torch.cat(
        [
            opaque
            if request.alpha is None
            else resized(mask_tensor(request.alpha, name="alpha", device=device), height, width)
            for request in requests
        ]
    )


def targets_of(
    requests: Sequence[TransferRequest], config: StyleConfig, *, network: Network, device: torch.device | str
) -> list[ScaleTargets]:
    """The targets of the batch at every scale, coarse to fine."""
    contents, styles = [], []
    for request in requests:
        contents.append(
            request.content_targets
            or targets.content_targets(request.content, config, network=network, device=device)
        )
        styles.append(
            request.style_targets
            or [
                targets.style_targets(
                    style,
                    config,
                    network=network,
                    content=request.content,
                    alpha=request.alpha,
                    style_alpha=style_alpha,
                    device=device,
                )
                for style, style_alpha in zip(
                    request.styles, request.style_alphas or [None] * len(request.styles), strict=True
                )
            ]
        )
    count = len(config.scale_shares())
    if any(len(each) != count for each in contents) or any(
        len(each) != count for row in styles for each in row
    ):
        raise ConfigError("targets must be of the same configuration; compute them anew")
    return [
        ScaleTargets(
            content=_batched([each[index] for each in contents], device),
            styles=_blended([[each[index] for each in row] for row in styles], device),
        )
        for index in range(count)
    ]


def start_of(requests: Sequence[TransferRequest], config: StyleConfig, contents: Tensor) -> Tensor:
    """Where the optimization starts, like contents (N, C, H, W) at the coarsest size.

    Noise is uniform in [0, 1] and generated on the CPU, so that devices agree. The content and grey are
    dithered; a picture that is given is not.

    Raises: ConfigError when the start is a file that was not read.
    """
    starts = []
    for request, content in zip(requests, contents.split(1), strict=True):
        if request.start is not None:
            picture = as_tensor(request.start, name="the start picture", device=content.device)
            picture = resized(picture, *content.shape[2:])
            starts.append(luminance(picture) if content.shape[1] == 1 else picture)
        elif config.start == "noise":
            random = torch.Generator().manual_seed(config.seed)
            starts.append(torch.rand(content.shape, generator=random).to(content.device))
        elif config.start == "gray":
            starts.append(_dithered(torch.full_like(content, 0.5)))
        else:
            require(
                config.start == "content", f"--start {config.start} is a file; read it and give it as `start`"
            )
            starts.append(_dithered(content))
    return torch.cat(starts)


def _dithered(picture: Tensor) -> Tensor:
    """(1, C, H, W) with less than half a step of 8 bits added or taken off, the same in all channels.

    Of a flat picture strokes would grow from its borders alone, the only place that differs from others, as
    a frame. The numbers are always the same.
    """
    random = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 1, *picture.shape[2:], generator=random) - 0.5
    return (picture + noise.to(picture.device) / 255).clamp(0, 1)


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
