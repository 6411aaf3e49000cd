"""Turns a picture's file into what pairs are stylized from, once for all pairs that need it."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, get_args

import numpy as np
import torch

from styletransfer.config import StyleConfig
from styletransfer.pictures.reading import Picture
from styletransfer.pictures.resizing import Pixels
from styletransfer.pictures.roles import read_content, read_mask, read_start, read_style
from styletransfer.pictures.thumbnails import thumbnail
from styletransfer.planning.inputs import PictureData
from styletransfer.planning.pairs import Kind
from styletransfer.transfer.features import Network
from styletransfer.transfer.moments import Moments
from styletransfer.transfer.request import TransferRequest
from styletransfer.transfer.targets import ContentTargets, StyleTargets, content_targets, style_targets

KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Content:
    """A content at its final size, and its targets, on the CPU."""

    rgb: Pixels
    alpha: Pixels | None
    notes: tuple[str, ...]
    targets: ContentTargets


@dataclasses.dataclass(frozen=True, kw_only=True)
class Style:
    """A style, of one picture or of several that are blended: their targets on the CPU, or the pictures where
    the targets depend on the content too."""

    pictures: tuple[Picture, ...] | None
    targets: tuple[StyleTargets, ...] | None
    notes: tuple[str, ...]


class PairInputs(NamedTuple):
    """What a pair is stylized from: a prepared picture for each of `KINDS`, in their order."""

    content: Content
    style: Style
    mask: Pixels | None
    start: Pixels | None

    def request(self) -> TransferRequest:
        """The same as a request of one pair."""
        # pictures are copied: Ray's arrays are read-only, which PyTorch does not know
        content, style = np.array(self.content.rgb), self.style
        # where their targets are known, only the number of styles matters
        styles = [content] * len(style.targets or ()) or [np.array(each.rgb) for each in style.pictures or ()]
        alphas = [None if each.alpha is None else np.array(each.alpha) for each in style.pictures or ()]
        return TransferRequest(
            content=content,
            styles=styles,
            masks=None if self.mask is None else [np.array(self.mask)] * len(styles),
            alpha=None if self.content.alpha is None else np.array(self.content.alpha),
            style_alphas=alphas or None,
            start=None if self.start is None else np.array(self.start),
            content_targets=self.content.targets,
            style_targets=style.targets,
        )


def prepare(
    kind: Kind,
    data: PictureData,
    name: str,
    config: StyleConfig,
    *,
    network: Network,
    device: torch.device | str,
) -> tuple[Any, bytes | None]:
    """Read a picture, and compute its targets at every scale; also its thumbnail if it is a content or style.

    Returns a `Content`, a `Style`, a start (H, W, 3) on white, or a mask as grey (H, W) on black.

    Raises: PictureError for a file that is not a picture.
    """
    if kind == "style":
        pictures = [(name, data)] if isinstance(data, bytes) else data
        return _style(pictures, config, network=network, device=device)
    assert isinstance(data, bytes)
    if kind == "content":
        return _content(data, name, config, network=network, device=device)
    if kind == "start":
        return read_start(data, config, name=name), None
    return read_mask(data, config, name=name), None


def _content(
    data: bytes, name: str, config: StyleConfig, *, network: Network, device: torch.device | str
) -> tuple[Content, bytes]:
    picture = read_content(data, config, name=name)
    found = content_targets(picture.rgb, config, network=network, device=device)
    targets: ContentTargets = [{tap: values.cpu() for tap, values in scale.items()} for scale in found]
    content = Content(rgb=picture.rgb, alpha=picture.alpha, notes=picture.notes, targets=targets)
    return content, thumbnail(picture.rgb, picture.alpha)


def _style(
    pictures: Sequence[tuple[str, bytes]],
    config: StyleConfig,
    *,
    network: Network,
    device: torch.device | str,
) -> tuple[Style, bytes]:
    """A style of one or several pictures, each with its name, and the first one's thumbnail."""
    read = [read_style(data, config, name=name) for name, data in pictures]
    notes = tuple(
        dict.fromkeys(note for picture in read for note in (*picture.notes, *_small(picture, config)))
    )
    thumb = thumbnail(read[0].rgb, read[0].alpha)
    if config.colours != "style":
        return Style(pictures=tuple(read), targets=None, notes=notes), thumb
    found = [
        style_targets(each.rgb, config, network=network, style_alpha=each.alpha, device=device)
        for each in read
    ]
    targets: list[StyleTargets] = [
        [
            {tap: Moments(*(part.cpu() for part in moments)) for tap, moments in scale.items()}
            for scale in each
        ]
        for each in found
    ]
    return Style(pictures=None, targets=tuple(targets), notes=notes), thumb


def _small(picture: Picture, config: StyleConfig) -> Iterator[str]:
    """A note where strokes of the size that was asked for would need a larger picture."""
    asked, side = round(config.size * config.style_scale), max(picture.size_px)
    if config.style_scale > 1 and side < asked:
        yield f"{side} pixels long, and --style-scale asks for {asked}: taken as large as it is"
