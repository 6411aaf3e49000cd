"""Layers of networks without weights, against numbers computed by hand and real networks."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan.config import GanConfig
from gan.costs.layers import layers_of, layers_of_both
from gan.training.players import build_networks

SMALL = GanConfig.from_dict({"data": {"resolution": 16}, "network": {"width": 4, "latent_size": 8}})


def test_a_small_dcgan_has_the_layers_and_operations_that_one_counts_by_hand() -> None:
    generator, discriminator = layers_of_both(SMALL, channels=3)
    rows = [(layer.name, layer.shape, layer.parameters, layer.macs) for layer in generator.layers]
    assert rows == [
        ("first", (128,), 8 * 128, 8 * 128),
        ("first_norm", (8, 4, 4), 2 * 8, 0),
        # each of 4 x 4 pixels goes with 4 x 4 weights into 8 x 8, from 8 channels to 4; 3 x 3 of them learn
        ("blocks.0.0", (4, 8, 8), 3 * 3 * 8 * 4, 4 * 4 * 16 * 8 * 4),
        ("blocks.0.1", (4, 8, 8), 2 * 4, 0),
        ("blocks.0.2", (4, 8, 8), 0, 0),
        ("to_image", (3, 16, 16), 3 * 3 * 4 * 3, 8 * 8 * 16 * 4 * 3),
    ]
    assert (generator.parameters, generator.macs) == (1444, 1024 + 8192 + 12288)
    assert generator.flops == 2 * generator.macs
    rows = [(layer.name, layer.shape, layer.parameters, layer.macs) for layer in discriminator.layers]
    assert rows == [
        ("from_image", (4, 8, 8), 4 * 4 * 3 * 4, 8 * 8 * 16 * 3 * 4),
        ("blocks.0.0", (8, 4, 4), 4 * 4 * 4 * 8, 4 * 4 * 16 * 4 * 8),
        ("blocks.0.1", (8, 4, 4), 2 * 8, 0),
        ("blocks.0.2", (8, 4, 4), 0, 0),
        ("to_logit", (1,), 128, 128),
    ]
    assert [layer.kind for layer in discriminator.layers][1:3] == ["UnfoldedConv2d", "BatchNorm2d"]


@pytest.mark.parametrize(
    "values",
    [
        {"network.packing": 2, "network.minibatch_std": 4, "network.spectral_norm": True},
        {"network.upsampling": "transposed", "loss.name": "wasserstein"},
        {"network.sync_batch_norm": True, "data.resolution": 32},
        *({"network.family": name} for name in ("dcgan", "resnet", "msg")),
    ],
    ids=str,
)
def test_parameters_are_those_of_the_real_networks(values: dict[str, object]) -> None:
    config = SMALL.with_values(values)
    real = build_networks(config, channels=1)
    for network, found in zip(real, layers_of_both(config, channels=1), strict=True):
        assert found.parameters == sum(parameter.numel() for parameter in network.parameters())
        assert found.parameters == sum(layer.parameters for layer in found.layers)
        assert found.macs == sum(layer.macs for layer in found.layers)


def test_weights_of_no_layer_count_for_their_network() -> None:
    config = SMALL.with_values({"network.family": "style"})
    generator = build_networks(config, channels=1)[0]
    found = layers_of_both(config, channels=1)[0]
    assert found.parameters == sum(parameter.numel() for parameter in generator.parameters())
    assert any(layer.kind == "ModulatedConv2d" for layer in found.layers)


class Odd(nn.Module):
    """A layer that is used twice, one that sees rows of pixels, and weights outside of any layer."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Conv2d(2, 2, 3, padding=1)
        self.colours = nn.Sequential(nn.Linear(2, 5), nn.Identity())
        self.kernel = nn.Parameter(torch.ones(7, 2, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        x = self.twice(self.twice(images))
        self.colours(x.permute(0, 2, 3, 1).reshape(-1, 2))
        return F.conv2d(x, self.kernel)


def test_any_network_is_taken_apart_by_what_its_modules_compute_themselves() -> None:
    found = layers_of(Odd(), torch.zeros(3, 2, 4, 4))
    rows = [(layer.name, layer.kind, layer.shape, layer.parameters, layer.macs) for layer in found.layers]
    assert rows == [
        ("twice", "Conv2d", (2, 4, 4), 38, 16 * 9 * 2 * 2),
        ("twice", "Conv2d", (2, 4, 4), 0, 16 * 9 * 2 * 2),
        ("colours.0", "Linear", (16, 5), 15, 16 * 2 * 5),
        ("", "Odd", (7, 4, 4), 14, 16 * 2 * 7),
    ]
    assert found.macs == 2 * 576 + 160 + 224
