"""Turns a picture's file into what pairs are stylized from, once for all pairs that need it."""

import dataclasses
from typing import Any, NamedTuple, get_args

import numpy as np
import torch
from PIL import Image

from styletransfer.config import StyleConfig
from styletransfer.pictures.reading import read_picture
from styletransfer.pictures.resizing import Pixels
from styletransfer.pictures.thumbnails import thumbnail
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
    """A style: its targets on the CPU, or the picture where they depend on the content too."""

    rgb: Pixels | None
    targets: StyleTargets | None
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
        return TransferRequest(
            content=content,
            # where its targets are known, only the number of styles matters
            styles=[content if style.rgb is None else np.array(style.rgb)],
            masks=None if self.mask is None else [np.array(self.mask)],
            start=None if self.start is None else np.array(self.start),
            content_targets=self.content.targets,
            style_targets=None if style.targets is None else [style.targets],
        )


def prepare(
    kind: Kind, data: bytes, name: str, config: StyleConfig, *, network: Network, device: torch.device | str
) -> tuple[Any, bytes | None]:
    """Read a picture, and compute its targets at every scale; also its thumbnail if it is a content or style.

    Returns a `Content`, a `Style`, a start (H, W, 3), or a mask as grey (H, W), as they look on white.

    Raises: PictureError for a file that is not a picture.
    """
    if kind == "content":
        return _content(data, name, config, network=network, device=device)
    if kind == "style":
        return _style(data, name, config, network=network, device=device)
    rgb = read_picture(data, name=name, long_side_px=config.size).on_white()
    return rgb if kind == "start" else np.array(Image.fromarray(rgb).convert("L")), None


def _content(
    data: bytes, name: str, config: StyleConfig, *, network: Network, device: torch.device | str
) -> tuple[Content, bytes]:
    picture = read_picture(data, name=name, long_side_px=config.size, enlarge=True)
    found = content_targets(picture.rgb, config, network=network, device=device)
    targets: ContentTargets = [{tap: values.cpu() for tap, values in scale.items()} for scale in found]
    content = Content(rgb=picture.rgb, alpha=picture.alpha, notes=picture.notes, targets=targets)
    return content, thumbnail(picture.rgb, picture.alpha)


def _style(
    data: bytes, name: str, config: StyleConfig, *, network: Network, device: torch.device | str
) -> tuple[Style, bytes]:
    largest = max(1, round(config.size * config.style_scale))
    picture = read_picture(data, name=name, long_side_px=largest)
    rgb = picture.on_white()
    if config.colours != "style":
        return Style(rgb=rgb, targets=None, notes=picture.notes), thumbnail(rgb)
    found = style_targets(rgb, config, network=network, device=device)
    targets: StyleTargets = [
        {tap: Moments(*(part.cpu() for part in moments)) for tap, moments in scale.items()} for scale in found
    ]
    return Style(rgb=None, targets=targets, notes=picture.notes), thumbnail(rgb)
