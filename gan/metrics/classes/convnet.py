"""A small convolutional network that is trained on a data set's own images to predict their classes."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 32
VERSION = "convnet-1"  # raise it whenever the same images would train another network

_WIDTHS = (16, 32, 64)
_HIDDEN = 128
_BATCH = 128
_MOST_SHOWN, _MOST_EPOCHS = 200_000, 40  # a minute on two cores
_LARGEST_LR = 4e-3
_LARGEST_SHIFT = 2  # pixels that training images are moved by, at random


class Convnet(nn.Module):
    """Three convolutions and a hidden layer: (N, C, side, side) in [-1, 1] -> logits (N, num_classes)."""

    def __init__(self, channels: int, num_classes: int, side: int) -> None:
        super().__init__()
        first, second, third = _WIDTHS
        self.layers = nn.Sequential(
            *_block(channels, first, 5, stride=2),
            *_block(first, second, 3),
            nn.MaxPool2d(2),
            *_block(second, third, 3),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(third * (side // 8) ** 2, _HIDDEN),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(_HIDDEN, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        logits: Tensor = self.layers(images)
        return logits

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        """The likeliest class of each image: int64 (N,) on the CPU; images: uint8 (N, H, W, C)."""
        self.eval()
        device = next(self.parameters()).device
        parts = [self(as_input(part.to(device))).argmax(dim=1).cpu() for part in images.split(4 * _BATCH)]
        return torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)


def _block(channels: int, width: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(width), nn.ReLU()]


def shrunk(images: Tensor) -> Tensor:
    """uint8 (N, H, W, C) -> uint8 (N, C, side, side) with sides of at most 32: means over areas."""
    pixels = images.permute(0, 3, 1, 2)
    if pixels.shape[2] <= SIDE:
        return pixels.contiguous()
    return F.adaptive_avg_pool2d(pixels.float(), SIDE).round_().to(torch.uint8)


def as_input(images: Tensor) -> Tensor:
    """uint8 (N, H, W, C) -> what the network takes."""
    return _scaled(shrunk(images))


def _scaled(pixels: Tensor) -> Tensor:
    return pixels.float().div_(127.5).sub_(1)


def train_convnet(pixels: Tensor, labels: Tensor, num_classes: int, *, seed: int) -> Convnet:
    """A network trained on pixels, uint8 (N, C, side, side) as `shrunk` returns them, with labels (N,).

    It is shown each image 40 times, or 200,000 images if that is fewer, by AdamW with one cycle of its
    learning rate (Smith and Topin 2018). The seed decides weights, order and shifts; the caller's random
    numbers are not used. Both tensors are on the device on which it is trained.
    """
    epochs = min(_MOST_EPOCHS, max(1, round(_MOST_SHOWN / len(pixels))))
    batches = -(-len(pixels) // _BATCH)
    devices = [pixels.device] if pixels.device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.enable_grad():
        torch.manual_seed(seed)
        network = Convnet(pixels.shape[1], num_classes, pixels.shape[2]).to(pixels.device)
        network.train()
        optimizer = torch.optim.AdamW(network.parameters(), lr=_LARGEST_LR, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=_LARGEST_LR, total_steps=epochs * batches + 1
        )
        for _ in range(epochs):
            # parts of nearly equal size: BatchNorm needs two images
            for chosen in torch.randperm(len(pixels)).to(pixels.device).tensor_split(batches):
                shown = _shifted(_scaled(pixels[chosen]))
                optimizer.zero_grad()
                F.cross_entropy(network(shown), labels[chosen]).backward()
                optimizer.step()
                schedule.step()
    return network.eval()


def _shifted(images: Tensor) -> Tensor:
    """A batch moved by some pixels, the same for all its images; the edge is repeated."""
    down, right = torch.randint(2 * _LARGEST_SHIFT + 1, (2,)).tolist()
    height, width = images.shape[2:]
    padded = F.pad(images, (_LARGEST_SHIFT,) * 4, mode="replicate")
    return padded[:, :, down : down + height, right : right + width]
