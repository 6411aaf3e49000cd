"""What a format of exported generators is."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor, nn

Floats = npt.NDArray[np.float32]
Run = Callable[[Floats], Floats]
"""latents (N, latent_size) -> images (N, C, H, W)."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Format:
    """How a generator becomes a file, and is read again."""

    suffix: str
    """Ending of the file's name, with its dot."""
    packages: tuple[str, ...] = ()
    """Packages that must be installed beside PyTorch."""
    to_bytes: "Callable[[nn.Module, Tensor, Mapping[str, str]], bytes]"
    """(generator in evaluation mode on the CPU, latents (2, latent_size) as an example, metadata) -> the
    file's content. The number of latents must stay open."""
    read: Callable[[Path], tuple[Run, dict[str, str]]]
    """The program in a file that was just written, and the metadata."""
