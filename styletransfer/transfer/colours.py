"""Keeps the content's colours: luminance and chroma, CIE Lab, matching a style's palette to the content."""

import torch
from torch import Tensor

from common.decompositions import eigh

# YIQ of NTSC as Gatys et al. 2016 ("Preserving Color in Neural Artistic Style Transfer", section 3) use it:
# the luminance of an RGB in [0, 1]
_LUMINANCE = (0.299, 0.587, 0.114)

# sRGB (IEC 61966-2-1) to XYZ under D65, its white at Y = 1
_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_WHITE = (0.95047, 1.0, 1.08883)
_KNEE = 6 / 29
_LEAST_STD = 1e-3


def luminance(pictures: Tensor) -> Tensor:
    """RGB (N, 3, H, W) in [0, 1] -> (N, 1, H, W), the Y of YIQ."""
    weights = pictures.new_tensor(_LUMINANCE).view(3, 1, 1)
    return (pictures * weights).sum(dim=1, keepdim=True)


def match_luminance(style: Tensor, content: Tensor, palette: Tensor | None = None) -> Tensor:
    """Style (N, 1, H, W) with the mean and standard deviation of content, clamped to [0, 1].

    palette: the pixels of the style, (N, 1, ...), that are brought there; None: all. Gatys et al. 2016,
    "Preserving Color", section 3, equation 1.
    """
    own = style if palette is None else palette
    spread, level = torch.std_mean(own, dim=(2, 3), correction=0, keepdim=True)
    wanted_spread, wanted_level = torch.std_mean(content, dim=(2, 3), correction=0, keepdim=True)
    # a flat style stays flat instead of becoming 0/0
    factor = wanted_spread / spread.clamp_min(_LEAST_STD)
    return ((style - level) * factor + wanted_level).clamp(0, 1)


def with_chroma(lightness: Tensor, content: Tensor) -> Tensor:
    """RGB with this luminance (N, 1, H, W) and the chroma of content (N, 3, H, W).

    Where no RGB in [0, 1] has both, the chroma is lowered and the luminance kept.
    """
    chroma = content - luminance(content)  # I and Q are linear in it
    # the largest share of the chroma at which every channel stays within [0, 1]
    room = torch.where(chroma > 0, 1 - lightness, lightness) / chroma.abs().clamp_min(1e-12)
    share = room.amin(dim=1, keepdim=True).clamp(0, 1)
    return (lightness + share * chroma).clamp(0, 1)


def match_lab(style: Tensor, content: Tensor, palette: Tensor | None = None) -> Tensor:
    """Style recoloured so that its mean and covariance in CIE Lab are content's; both (1, 3, H, W) in [0, 1].

    palette: the pixels of the style, (1, 3, ...), whose mean and covariance become so; None: all. The linear
    map that moves colours least, Pitie and Kokaram 2007 (Monge-Kantorovitch), clamped to [0, 1].
    """
    pictures = (style, style if palette is None else palette, content)
    points, own, goal = (rgb_to_lab(picture).flatten(2)[0].double() for picture in pictures)
    mean, wanted_mean = own.mean(dim=1, keepdim=True), goal.mean(dim=1, keepdim=True)
    covariance, wanted = (_covariance(values) for values in (own, goal))
    root, inverse_root = _root(covariance, 0.5), _root(covariance, -0.5)
    transport = inverse_root @ _root(root @ wanted @ root, 0.5) @ inverse_root
    moved = transport @ (points - mean) + wanted_mean
    return lab_to_rgb(moved.to(style.dtype).view(1, 3, *style.shape[2:])).clamp(0, 1)


def _covariance(points: Tensor) -> Tensor:
    # at least a hundredth of a just noticeable difference: a grey or flat picture's would be singular
    floor = 1e-4 * torch.eye(3, dtype=points.dtype, device=points.device)
    return torch.cov(points, correction=0) + floor


def _root(matrix: Tensor, power: float) -> Tensor:
    values, vectors = eigh(matrix)
    root: Tensor = (vectors * values.clamp_min(1e-12).pow(power)) @ vectors.T
    return root


def rgb_to_lab(pictures: Tensor) -> Tensor:
    """sRGB (N, 3, H, W) in [0, 1] -> CIE L*a*b* under D65, L* in [0, 100]."""
    linear = torch.where(
        pictures > 0.04045, ((pictures.clamp_min(0) + 0.055) / 1.055) ** 2.4, pictures / 12.92
    )
    xyz = torch.einsum("ij,njhw->nihw", pictures.new_tensor(_XYZ), linear)
    ratio = xyz / pictures.new_tensor(_WHITE).view(3, 1, 1)
    f = torch.where(ratio > _KNEE**3, ratio.clamp_min(0) ** (1 / 3), ratio / (3 * _KNEE**2) + 4 / 29)
    x, y, z = f.unbind(dim=1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def lab_to_rgb(pictures: Tensor) -> Tensor:
    """The inverse of `rgb_to_lab`; colours outside sRGB give values outside [0, 1]."""
    lightness, a, b = pictures.unbind(dim=1)
    y = (lightness + 16) / 116
    f = torch.stack([y + a / 500, y, y - b / 200], dim=1)
    ratio = torch.where(f > _KNEE, f**3, 3 * _KNEE**2 * (f - 4 / 29))
    xyz = ratio * pictures.new_tensor(_WHITE).view(3, 1, 1)
    to_rgb = torch.linalg.inv(pictures.new_tensor(_XYZ).double()).to(pictures.dtype)
    linear = torch.einsum("ij,njhw->nihw", to_rgb, xyz)
    return torch.where(
        linear > 0.0031308, 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055, 12.92 * linear
    )
