"""Turns the trained classifier into the shipped network: folds BatchNorm away, scales channels to mean 1."""

from typing import cast

import torch
from torch import nn

from perceptual.network import CONVOLUTIONS_PER_STAGE, WIDTHS, CompactNetwork, FeatureNetwork, starts_stage

_LEAST_MEAN = (
    1e-3  # relative to the largest in its layer; channels that are hardly ever active are not scaled
)


class Classifier(nn.Module):
    """The compact network for training: BatchNorm after every convolution, a linear head on the mean of the
    last tap. Images (N, 3, H, W) in [0, 1] to logits (N, classes)."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.plain = CompactNetwork()
        for convolution in self.plain.layers():
            convolution.bias = None  # BatchNorm has its own
        widths = [width for width in WIDTHS for _ in range(CONVOLUTIONS_PER_STAGE)]
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for width in widths)
        self.head = nn.Linear(widths[-1], num_classes)
        for convolution in self.plain.layers():
            nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")

    def blocks(self) -> list[tuple[str, nn.Conv2d, nn.BatchNorm2d]]:
        """Tap, convolution and normalization, in order."""
        norms = cast(list[nn.BatchNorm2d], list(self.norms))
        return list(zip(self.plain.taps, self.plain.layers(), norms, strict=True))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes)."""
        x = (images - self.plain.mean) / self.plain.std
        for index, (tap, convolution, norm) in enumerate(self.blocks()):
            if index > 0 and starts_stage(tap):
                x = self.plain.pool(x)
            x = nn.functional.relu(norm(convolution(x)))
        logits: torch.Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


@torch.no_grad()
def folded(classifier: Classifier) -> CompactNetwork:
    """A network with the same activations and without BatchNorm, whose scale and shift go into weights and
    biases."""
    network = CompactNetwork()
    for plain, (_, convolution, norm) in zip(network.layers(), classifier.blocks(), strict=True):
        assert norm.running_mean is not None and norm.running_var is not None and plain.bias is not None
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        plain.weight.copy_(convolution.weight * scale[:, None, None, None])
        plain.bias.copy_(norm.bias - norm.running_mean * scale)
    return network.eval()


@torch.no_grad()
def rescale(network: FeatureNetwork, images: torch.Tensor, *, batch: int = 256) -> None:
    """Scale every channel of every tap to mean 1 over images (N, 3, H, W) in [0, 1], in place.

    In a ReLU network, dividing a layer's outputs and multiplying the next layer's weights by the same factors
    changes no later layer (Gatys et al. 2016, section 2, normalize VGG in this way). A channel whose mean is
    below a thousandth of the largest in its layer keeps its scale. `batch` images at a time are processed, on
    the network's device.
    """
    before = torch.ones_like(network.mean).flatten()
    means = _channel_means(network, images, batch)
    for convolution, mean in zip(network.layers(), means, strict=True):
        assert convolution.bias is not None
        mean = torch.where(mean > _LEAST_MEAN * mean.max(), mean, 1.0)
        convolution.weight.mul_(before[None, :, None, None] / mean[:, None, None, None])
        convolution.bias.div_(mean)
        before = mean


def _channel_means(network: FeatureNetwork, images: torch.Tensor, batch: int) -> list[torch.Tensor]:
    """Mean activation of each channel, by tap; summed in float64 because there may be many pictures."""
    sums = {tap: torch.zeros((), device=network.mean.device) for tap in network.taps}
    for part in images.split(batch):
        for tap, activation in network(part.to(network.mean.device), network.taps).items():
            sums[tap] = sums[tap] + activation.double().mean(dim=(2, 3)).sum(dim=0)
    return [(sums[tap] / len(images)).float() for tap in network.taps]
