"""Walks between latents, along arcs or straight lines.

The flags name the two ways, so that this file must not import PyTorch; its functions may.
"""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

Interpolation = Literal["spherical", "linear"]
FRAMES_BETWEEN = 16


def walk(
    latents: "Tensor", frames_between: int = FRAMES_BETWEEN, *, interpolation: Interpolation = "spherical"
) -> "Tensor":
    """(N, L) -> (N * frames_between, L): from each row to the next and from the last back to the first."""
    import torch

    between = slerp if interpolation == "spherical" else torch.lerp
    shares = torch.linspace(0, 1, frames_between + 1)[:-1, None]
    pairs = zip(latents, latents.roll(-1, dims=0), strict=True)
    return torch.cat([between(start, end, shares) for start, end in pairs])


def slerp(start: "Tensor", end: "Tensor", shares: "Tensor") -> "Tensor":
    """Spherical linear interpolation (Shoemake 1985): along the arc between both, at an even angular speed.

    start, end: (L,), not zero; shares: (N, 1) in [0, 1]; returns (N, L). White 2016, "Sampling generative
    networks": Gaussian latents are near a sphere, which a straight line leaves. Departure: the ends need not
    be of the same length, and the length changes from one to the other.
    """
    import torch

    angle = torch.arccos((torch.dot(start, end) / (start.norm() * end.norm())).clamp(-1, 1))
    if angle.sin().abs() < 1e-4:  # in one direction any way is the same, in opposite ones none is shortest
        return torch.lerp(start, end, shares)
    return (torch.sin((1 - shares) * angle) * start + torch.sin(shares * angle) * end) / angle.sin()
