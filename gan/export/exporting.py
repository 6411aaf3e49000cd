"""Writes a generator in a format, reads the file again, and keeps it only if it computes the same."""

import contextlib
import importlib.metadata
import secrets
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from common.device import exact_float32
from common.storage.atomic import WriteError, remedy_for
from common.text import one_line, os_reason
from gan.config import GanConfig
from gan.export.format import Floats, Format
from gan.export.formats import FORMATS, ExportFormat
from gan.generation import random_latents

BATCHES = (1, 2, 7, 32)
"""Numbers of latents for which both are compared; the file was made from 2."""
TOLERANCE = 1e-4
"""Largest difference of a value in [-1, 1]: an eightieth of a step of 8 bits. Measured with DCGANs of 16
to 128 pixels, grey and in colour: at most 1e-5 with ONNX Runtime 1.32, 0 with PyTorch 2.14."""
_LONGEST = 300  # characters of another program's message


class ExportError(Exception):
    """The generator cannot be written in that format; the message is one line."""


def about(config: GanConfig, channels: int) -> dict[str, str]:
    """What whoever uses the file must know, as the texts of its metadata. channels: of an image, 1 or 3."""
    size, side = config.network.latent_size, config.data.resolution
    return {
        "producer": f"artsweep {importlib.metadata.version('artsweep')}",
        "family": config.network.family,
        "latent_size": str(size),
        "latents": f"float32 (batch, {size}), independent standard normal numbers",
        "truncation": "none: latents are taken as they are drawn, in training too",
        "images": f"float32 (batch, {channels}, {side}, {side})",
        "value_range": "[-1, 1]; as 8 bits: round((value + 1) * 127.5)",
        "channel_order": "batch, channel, row, column; "
        + ("channels are red, green, blue" if channels == 3 else "the channel is grey"),
    }


@exact_float32()
@torch.no_grad()
def export_generator(generator: nn.Module, config: GanConfig, name: ExportFormat, path: Path) -> float:
    """Write a generator to `path`, replacing what is there; on any failure nothing changes there.

    generator: in evaluation mode on the CPU. It is written in fp32, whatever the run's precision.

    Returns: the largest difference between what the file and the generator compute, over `BATCHES`.

    Raises: ExportError when the format cannot hold it, or the file computes something else by more than
    `TOLERANCE`; WriteError when the file cannot be written.
    """
    form = FORMATS[name]
    latents = random_latents(config, max(BATCHES), seed=0)
    expected = {count: generator(latents[:count]).numpy() for count in BATCHES}
    texts = about(config, expected[1].shape[1])
    try:
        data = form.to_bytes(generator, latents[:2], texts)
    except Exception as error:  # whatever an exporter raises for a layer that it does not know
        raise ExportError(
            f"the generator cannot be written as --format {name}: {one_line(error, _LONGEST)}"
        ) from error
    # with its own ending, by which readers know it
    beside = path.with_name(f".{secrets.token_hex(4)}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(data)
        difference = _compare(form, beside, latents.numpy(), expected, texts)
        beside.replace(path)
    except OSError as error:
        raise WriteError(f"{path} cannot be written: {os_reason(error)}; {remedy_for(error)}") from error
    finally:
        with contextlib.suppress(OSError):  # where its folder is none, there is nothing to remove
            beside.unlink()
    return difference


def _compare(
    form: Format, path: Path, latents: Floats, expected: Mapping[int, Floats], texts: Mapping[str, str]
) -> float:
    """The largest difference between the program in a file and what it should compute.

    Raises: ExportError when it is too large, or the file lacks its metadata.
    """
    try:
        run, found = form.read(path)
        pairs = [(run(latents[:count]), images) for count, images in expected.items()]
    except Exception as error:  # whatever a runtime raises for a file that it cannot read
        raise ExportError(
            f"the file cannot be read again, and was removed: {one_line(error, _LONGEST)}"
        ) from error
    for found_images, images in pairs:
        if found_images.shape != images.shape:
            raise ExportError(
                f"the file computes images of shape {found_images.shape} where the generator's have "
                f"{images.shape}, and was removed"
            )
    difference = float(
        np.max([np.abs(one - other).max() for one, other in pairs])
    )  # not Python's max, which would pass over a NaN
    if not difference <= TOLERANCE:
        raise ExportError(
            f"the file computes images that differ by up to {difference:.2g} from the generator's, more than "
            f"{TOLERANCE:g}, and was removed"
        )
    if not texts.items() <= found.items():
        raise ExportError("the file has lost its metadata, and was removed")
    return difference
