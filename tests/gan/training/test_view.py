"""What the discriminator sees: packs against a loop; judging without learning leaves no trace."""

import torch
from torch import nn

from gan.config import GanConfig
from gan.networks import build_discriminator
from gan.training.view import PLAIN, mean_outputs, see


def test_a_pack_is_images_that_follow_each_other_stacked_as_channels() -> None:
    images = torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    for memory in (torch.contiguous_format, torch.channels_last):
        packs = see(images.contiguous(memory_format=memory), (), (), None, 2)
        assert packs.shape == (3, 6, 4, 4)
        for pack in range(3):
            for position in range(2):
                for channel in range(3):
                    expected = images[2 * pack + position, channel]
                    assert torch.equal(packs[pack, 3 * position + channel], expected)
    shares = [see(part, (), (), None, 3) for part in (images[:3], images[3:])]
    assert torch.equal(torch.cat(shares), see(images, (), (), None, 3))


def test_by_default_nothing_is_done() -> None:
    assert not PLAIN.changes_images and PLAIN.penalties == () and PLAIN.watch is None


def test_outputs_are_those_of_a_copy_in_training_and_nothing_of_the_discriminator_moves() -> None:
    for spectral_norm in (False, True):
        values = {"network.width": 4, "network.spectral_norm": spectral_norm}
        config = GanConfig().with_values(values).network
        network, copy = (build_discriminator(config, resolution=16, channels=3, seed=3) for _ in range(2))
        sets = tuple(
            torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1
            for seed in range(3)
        )
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        found = mean_outputs(network, sets, None)
        expected = torch.stack([copy(images).mean() for images in sets])
        torch.testing.assert_close(found, expected)
        assert not found.requires_grad
        assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
        moved = [name for name, tensor in copy.state_dict().items() if not torch.equal(before[name], tensor)]
        assert moved, "where it trains, its statistics move"
        assert isinstance(network, nn.Module) and network.training
