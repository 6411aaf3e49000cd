"""Path-length regularization (Karras et al. 2020, "Analyzing and improving ... StyleGAN", section 3.2)."""

import torch
import torch.distributed as dist
from torch import Tensor, nn

MEAN_RATE = 0.01
"""Share of the mean path length that one term renews."""
_TINY = 1e-12


def path_length_penalty(generator: nn.Module, rows: Tensor, noise: Tensor, share: float = 1.0) -> Tensor:
    """How far the lengths of gradients, from images in random directions to styles, are from their mean.

    rows: the generator's numbers, one row an image, of which every second is used, as the authors use half a
    batch; noise: (N, C, H, W), standard normal, the random directions; share: of a rank's images that these
    are, by which the running mean moves. That mean, over ranks too, is the generator's. Returns: a scalar.
    """
    from gan.networks.families.style.networks import Generator

    assert isinstance(generator, Generator)
    rows, noise = rows[::2], noise[::2]
    styles = generator.styles(rows)
    images = generator.images(styles, generator.layout.noise(rows))
    (gradient,) = torch.autograd.grad(
        (images * noise).sum() / images.shape[-1], styles, create_graph=True
    )  # the side is the root of the number of pixels
    lengths = (gradient.square().sum(dim=2).mean(dim=1) + _TINY).sqrt()
    generator.path_length.lerp_(_mean_over_ranks(lengths.detach().mean()), MEAN_RATE * share)
    return (lengths - generator.path_length).square().mean()


def _mean_over_ranks(value: Tensor) -> Tensor:
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total / dist.get_world_size()
