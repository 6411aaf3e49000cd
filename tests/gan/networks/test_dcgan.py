"""DCGAN networks: shapes, weights, and layers against PyTorch's own or brute force."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from gan.config import NetworkConfig
from gan.networks import build_discriminator, build_generator
from gan.networks.families.dcgan.networks import Discriminator, Generator
from gan.networks.normalization import SpectralConv2d, SpectralLinear, SyncBatchNorm2d
from tests.gan.ranks import on_two_ranks

SMALL = NetworkConfig(width=4, latent_size=6)


@pytest.mark.parametrize("resolution", [16, 32, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_generator_makes_images_and_discriminator_judges_them(resolution: int, channels: int) -> None:
    generator = build_generator(SMALL, resolution=resolution, channels=channels)
    discriminator = build_discriminator(SMALL, resolution=resolution, channels=channels)
    images = generator(torch.randn(3, 6))
    assert images.shape == (3, channels, resolution, resolution)
    assert images.abs().max() <= 1
    assert discriminator(images).shape == (3,)


@pytest.mark.parametrize("resolution", [256, 512])
def test_sides_beyond_the_paper_have_layers_at_most_16_times_as_wide(resolution: int) -> None:
    with torch.device("meta"):
        generator = Generator(NetworkConfig(), resolution, 3)
        discriminator = Discriminator(NetworkConfig(), resolution, 3, "batch")
        images = generator(torch.empty(2, 100))
        assert images.shape == (2, 3, resolution, resolution) and discriminator(images).shape == (2,)
    widths = [block[0].in_channels for block in generator.blocks]
    assert widths == [1024] * (len(widths) - 4) + [1024, 512, 256, 128]
    assert [block[0].out_channels for block in discriminator.blocks] == [128, 256, 512, 1024] + [1024] * (
        len(widths) - 4
    )


def test_sixty_four_pixels_give_the_paper_s_channels() -> None:
    generator = build_generator(NetworkConfig(), resolution=64, channels=3)
    convs = [module for module in generator.modules() if isinstance(module, nn.ConvTranspose2d)]
    assert [conv.in_channels for conv in convs] == [512, 256, 128, 64]
    assert generator.first.weight.shape == (512 * 4 * 4, 100)


def test_batch_norm_is_missing_on_the_generator_s_output_and_the_discriminator_s_input_alone() -> None:
    generator = build_generator(SMALL, resolution=32, channels=3)
    discriminator = build_discriminator(SMALL, resolution=32, channels=3)
    for network, convs_without in ((generator, 1), (discriminator, 2)):
        norms = sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())
        layers = sum(
            isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear) for module in network.modules()
        )
        # the discriminator's last layer gives the logit and has none either
        assert norms == layers - convs_without


def test_the_first_layer_is_a_transposed_convolution_of_a_one_pixel_input() -> None:
    generator = build_generator(SMALL, resolution=16, channels=1, seed=1)
    latents = torch.randn(2, 6)
    rows = generator.first(latents)
    kernel = generator.first.weight.view(4, 4, 8, 6).permute(3, 2, 0, 1)
    expected = nn.functional.conv_transpose2d(latents[:, :, None, None], kernel)
    torch.testing.assert_close(rows.view(2, 4, 4, 8).permute(0, 3, 1, 2), expected)


def test_weights_follow_the_paper_s_distributions() -> None:
    for build in (build_generator, build_discriminator):
        network = build(NetworkConfig(width=32), resolution=32, channels=3, seed=3)
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                assert module.bias is None
                # five standard errors of a sample of this size
                count = module.weight.numel()
                assert abs(module.weight.mean().item()) < 5 * 0.02 / count**0.5
                assert abs(module.weight.std().item() - 0.02) < 5 * 0.02 / (2 * count) ** 0.5
            elif isinstance(module, nn.BatchNorm2d):
                assert 0.9 < module.weight.mean().item() < 1.1
                assert 0.01 < module.weight.std().item() < 0.03
                assert module.bias.abs().max() == 0


def test_weights_are_decided_by_the_seed_and_leave_the_global_random_state() -> None:
    before = torch.random.get_rng_state()
    first = build_generator(SMALL, resolution=16, channels=1, seed=5).state_dict()
    torch.manual_seed(99)
    second = build_generator(SMALL, resolution=16, channels=1, seed=5).state_dict()
    torch.random.set_rng_state(before)
    build_discriminator(NetworkConfig(width=4, spectral_norm=True), resolution=16, channels=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = build_generator(SMALL, resolution=16, channels=1, seed=6).state_dict()
    assert not torch.equal(first["first.weight"], other["first.weight"])


def test_spectral_layers_have_the_largest_singular_value_of_one() -> None:
    torch.manual_seed(0)
    for layer, inputs in (
        (SpectralConv2d(3, 8, 4, bias=False), torch.randn(1, 3, 8, 8)),
        (SpectralLinear(12, 5, bias=False), torch.randn(2, 12)),
    ):
        for _ in range(200):
            layer(inputs)
        matrix = layer.weight.detach().flatten(1).numpy()
        scaled = matrix / np.linalg.svd(matrix, compute_uv=False)[0]
        plain = nn.functional.conv2d if isinstance(layer, nn.Conv2d) else nn.functional.linear
        expected = plain(inputs, torch.from_numpy(scaled).view_as(layer.weight))
        torch.testing.assert_close(layer(inputs), expected, rtol=1e-4, atol=1e-5)


def test_a_power_iteration_and_its_gradient_are_those_of_pytorch_s_spectral_norm() -> None:
    torch.manual_seed(0)
    ours = SpectralLinear(6, 4, bias=False)
    theirs = nn.utils.parametrizations.spectral_norm(nn.Linear(6, 4, bias=False))
    with torch.no_grad():
        theirs.parametrizations.weight.original.copy_(ours.weight)
        theirs.parametrizations.weight[0]._u.copy_(ours.u)
        v = nn.functional.normalize(ours.weight.T @ ours.u, dim=0)
        # theirs iterates u before v, ours v before u: half an iteration apart
        theirs.parametrizations.weight[0]._v.copy_(v)
    inputs = torch.randn(3, 6)
    for _ in range(50):
        ours(inputs), theirs(inputs)
    first, second = ours(inputs), theirs(inputs)
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)
    first.square().sum().backward()
    second.square().sum().backward()
    gradient = theirs.parametrizations.weight.original.grad
    torch.testing.assert_close(ours.weight.grad, gradient, rtol=1e-3, atol=1e-4)


def test_spectral_state_is_saved_and_evaluation_does_not_move_it() -> None:
    config = NetworkConfig(width=4, spectral_norm=True)
    network = build_discriminator(config, resolution=16, channels=1)
    before = network.from_image.u.clone()
    network.eval()(torch.randn(2, 1, 16, 16))
    assert torch.equal(network.from_image.u, before)
    network.train()(torch.randn(2, 1, 16, 16))
    assert not torch.equal(network.from_image.u, before)
    assert {name for name in network.state_dict() if name.endswith(".u")} == {
        "from_image.u",
        "blocks.0.0.u",
        "to_logit.u",
    }
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def test_a_critic_under_gradient_penalty_judges_each_image_alone() -> None:
    critic = build_discriminator(SMALL, resolution=16, channels=1, norm="layer")
    images = torch.randn(4, 1, 16, 16)
    torch.testing.assert_close(critic(images)[:1], critic(images[:1]))


def test_sync_batch_norm_with_one_process_is_batch_norm() -> None:
    inputs = torch.randn(4, 3, 5, 5)
    torch.testing.assert_close(SyncBatchNorm2d(3)(inputs), nn.BatchNorm2d(3)(inputs))


def _sync_batch_norm_on_a_share(rank: int, inputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
    layer = SyncBatchNorm2d(3).to(inputs.dtype)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
    mine = slice(rank * 3, rank * 3 + 3)
    share = inputs[mine].clone().requires_grad_()
    outputs = layer(share)
    (outputs * targets[mine]).sum().backward()
    assert layer.weight.grad is not None
    dist.all_reduce(layer.weight.grad)
    return {
        "outputs": outputs.detach(),
        "inputs.grad": share.grad,
        "weight.grad": layer.weight.grad,
        "running_mean": layer.running_mean,
        "running_var": layer.running_var,
    }


def test_sync_batch_norm_on_two_ranks_is_batch_norm_over_both_shares(tmp_path: Path) -> None:
    torch.manual_seed(0)
    inputs, targets = torch.randn(2, 6, 3, 4, 4, dtype=torch.float64) + 3
    first, second = on_two_ranks(_sync_batch_norm_on_a_share, inputs, targets, folder=tmp_path)

    whole = nn.BatchNorm2d(3).double()
    with torch.no_grad():
        whole.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
    inputs.requires_grad_()
    outputs = whole(inputs)
    (outputs * targets).sum().backward()
    for name, expected in (("outputs", outputs.detach()), ("inputs.grad", inputs.grad)):
        torch.testing.assert_close(torch.cat([first[name], second[name]]), expected)
    for rank in (first, second):
        torch.testing.assert_close(rank["weight.grad"], whole.weight.grad)
        torch.testing.assert_close(rank["running_mean"], whole.running_mean)
        torch.testing.assert_close(rank["running_var"], whole.running_var)


def test_a_spectrally_normalized_discriminator_can_learn_what_to_say_of_a_grey_image() -> None:
    config = NetworkConfig(width=4, spectral_norm=True)
    network = build_discriminator(config, resolution=16, channels=1)
    grey = torch.zeros(2, 1, 16, 16)
    assert torch.equal(network(grey), torch.zeros(2)), "biases begin at 0, whatever the seed"
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    (1 - network(grey)).square().mean().backward()
    optimizer.step()
    assert network(grey).min() > 0.1  # without biases it is 0 for ever
