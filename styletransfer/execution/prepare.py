"""A picture's file as what pairs are drawn from, done once for all of them; reading files is `images`'."""

import dataclasses

import numpy as np
import torch
from PIL import Image

from styletransfer.config import StyleConfig
from styletransfer.pictures.reading import Pixels, read_picture
from styletransfer.pictures.thumbnails import thumbnail
from styletransfer.transfer.features import Network
from styletransfer.transfer.statistics import Moments
from styletransfer.transfer.targets import ContentTargets, StyleTargets, content_targets, style_targets


@dataclasses.dataclass(frozen=True, kw_only=True)
class Content:
    """A content at its final size, and its targets, on the CPU."""

    rgb: Pixels
    alpha: Pixels | None
    notes: tuple[str, ...]
    targets: ContentTargets


@dataclasses.dataclass(frozen=True, kw_only=True)
class Style:
    """A style: its targets on the CPU, or the picture where they follow from the content too."""

    rgb: Pixels | None
    targets: StyleTargets | None
    notes: tuple[str, ...]


def prepare_content(
    data: bytes, name: str, config: StyleConfig, *, network: Network, device: torch.device | str
) -> tuple[Content, bytes]:
    """Read a content and look at it at every scale; also its thumbnail.

    Raises: PictureError for a file that is no picture.
    """
    picture = read_picture(data, name=name, long_side_px=config.size, enlarge=True)
    found = content_targets(picture.rgb, config, network=network, device=device)
    targets: ContentTargets = [{tap: values.cpu() for tap, values in scale.items()} for scale in found]
    content = Content(rgb=picture.rgb, alpha=picture.alpha, notes=picture.notes, targets=targets)
    return content, thumbnail(picture.rgb, picture.alpha)


def prepare_style(
    data: bytes, name: str, config: StyleConfig, *, network: Network, device: torch.device | str
) -> tuple[Style, bytes]:
    """Read a style and, where no content matters, look at it at every scale; also its thumbnail.

    Raises: PictureError for a file that is no picture.
    """
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


def prepare_mask(data: bytes, name: str, config: StyleConfig) -> Pixels:
    """Read a mask as grey (H, W), as it looks on white.

    Raises: PictureError for a file that is no picture.
    """
    rgb = read_picture(data, name=name, long_side_px=config.size).on_white()
    return np.array(Image.fromarray(rgb).convert("L"))


def prepare_start(data: bytes, name: str, config: StyleConfig) -> Pixels:
    """Read a picture to start from, (H, W, 3).

    Raises: PictureError for a file that is no picture.
    """
    return read_picture(data, name=name, long_side_px=config.size).on_white()
