"""The residual family: shapes, the paper's counts of parameters, initial weights, what is judged alone."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from common.errors import ConfigError
from gan.config import NetworkConfig
from gan.networks import build_discriminator, build_generator, describe
from gan.networks.families.resnet import networks
from gan.networks.families.resnet.attention import SelfAttention
from gan.networks.families.resnet.blocks import DownBlock, UpBlock
from gan.networks.families.resnet.networks import Discriminator, Generator
from gan.training.compilation import compiled_passes
from gan.training.losses import LOSSES

SIDES = (16, 32, 64, 128, 256, 512)


def config_of(**values: Any) -> NetworkConfig:
    return NetworkConfig(family="resnet", **({"width": 4, "latent_size": 6} | values))


def num_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize("widening", ["double", "none"])
@pytest.mark.parametrize("resolution", SIDES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_side_has_images_and_logits_without_computing_them(
    resolution: int, channels: int, widening: str
) -> None:
    config = config_of(width=64, widening=widening, attention=8)
    with torch.device("meta"):
        generator = Generator(config, resolution, channels)
        discriminator = Discriminator(config, resolution, channels, "batch")
        images = generator(torch.empty(2, 6))
        assert images.shape == (2, channels, resolution, resolution)
        assert discriminator(images).shape == (2,)
        sides: list[int] = []
        for network in (generator, discriminator):
            for block in network.blocks:
                if isinstance(block, SelfAttention):
                    block.register_forward_hook(lambda _, __, output: sides.append(output.shape[-1]))
        discriminator(generator(torch.empty(2, 6)))
    assert sides == [8, 8]


@pytest.mark.parametrize("widening", ["double", "none"])
@pytest.mark.parametrize("spectral_norm", [False, True])
def test_small_images_are_made_and_judged(widening: str, spectral_norm: bool) -> None:
    config = config_of(
        widening=widening, spectral_norm=spectral_norm, attention=8, packing=2, minibatch_std=2
    )
    images = build_generator(config, resolution=16, channels=1)(torch.randn(4, 6))
    assert images.shape == (4, 1, 16, 16) and images.abs().max() <= 1
    for norm in ("batch", "layer"):
        discriminator = build_discriminator(config, resolution=16, channels=1, norm=norm)
        assert discriminator(images.repeat(1, 2, 1, 1)).shape == (4,)


def test_parameters_are_those_of_the_paper_s_networks_for_cifar_10() -> None:
    config = NetworkConfig(family="resnet", width=128, latent_size=128, widening="none", spectral_norm=True)
    # Table 4, counted by hand. Generator: a linear layer from 128 to 4 * 4 * 256, three blocks of 256
    # channels that double the side, BatchNorm, a convolution to 3 channels.
    linear = 128 * 4096 + 4096  # 528,384
    block = 2 * (9 * 256 * 256 + 256) + (256 * 256 + 256) + 2 * 2 * 256  # 1,246,976
    last = 2 * 256 + 9 * 256 * 3 + 3  # 7,427
    of_paper = linear + 3 * block + last
    assert of_paper == 4_276_739
    # without the biases that BatchNorm would subtract: of both convolutions and of the shortcut
    without = of_paper - 3 * 3 * 256
    assert num_parameters(build_generator(config, resolution=32, channels=3)) == without == 4_274_435

    # Discriminator: a block from the image and one more, which halve the side, two that keep it, a linear
    # layer from 128 to 1.
    first = (9 * 3 * 128 + 128) + (9 * 128 * 128 + 128) + (3 * 128 + 128)  # 151,680
    second = 2 * (9 * 128 * 128 + 128) + (128 * 128 + 128)  # 311,680
    kept = 2 * (9 * 128 * 128 + 128)  # 295,168
    of_paper = first + second + 2 * kept + 129
    found = build_discriminator(config, resolution=32, channels=3)
    assert num_parameters(found) == of_paper == 1_053_825


def test_channels_are_those_of_the_paper_s_networks_for_imagenet() -> None:
    config = config_of(width=64)
    with torch.device("meta"):  # table 6
        up = [each for each in Generator(config, 128, 3).modules() if isinstance(each, UpBlock)]
        down = [
            each for each in Discriminator(config, 128, 3, "batch").modules() if isinstance(each, DownBlock)
        ]
    assert [each.first.in_channels for each in up] == [1024, 1024, 512, 256, 128]
    assert [each.second.out_channels for each in up] == [1024, 512, 256, 128, 64]
    assert [each.second.out_channels for each in down] == [64, 128, 256, 512, 1024]


def test_larger_images_have_no_wider_layers() -> None:
    assert networks.generator_widths(config_of(width=2), 512) == [32, 32, 32, 32, 16, 8, 4, 2]
    assert networks.discriminator_widths(config_of(width=2), 512) == ([2, 4, 8, 16, 32, 32, 32], 1)


def test_weights_are_uniform_as_glorot_has_them_and_wider_in_3x3_convolutions_of_blocks() -> None:
    config = config_of(width=32, attention=8)
    for network in (
        build_generator(config, resolution=16, channels=3, seed=3),
        build_discriminator(config, resolution=16, channels=3, seed=3),
    ):
        for name, module in network.named_modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                outer, inner = module.weight.shape[:2]
                size = module.weight[0, 0].numel()
                gain = 2 if name.endswith((".first", ".second")) else 1
                limit = math.sqrt(gain * 6 / ((outer + inner) * size))
                assert module.weight.abs().max() <= limit
                count = module.weight.numel()
                # a uniform distribution's standard deviation, and five standard errors of it
                assert abs(module.weight.std().item() * math.sqrt(3) / limit - 1) < 5 * 0.45 / count**0.5
                assert module.bias is None or module.bias.abs().max() == 0


def test_weights_are_decided_by_the_seed_and_leave_the_global_random_state() -> None:
    config = config_of(attention=8, spectral_norm=True)
    before = torch.random.get_rng_state()
    for build in (build_generator, build_discriminator):
        first = build(config, resolution=16, channels=1, seed=5).state_dict()
        torch.manual_seed(99)
        second = build(config, resolution=16, channels=1, seed=5).state_dict()
        other = build(config, resolution=16, channels=1, seed=6).state_dict()
        torch.random.set_rng_state(before)
        assert all(torch.equal(first[name], second[name]) for name in first)
        assert not all(torch.equal(first[name], other[name]) for name in first)
    build_discriminator(config, resolution=16, channels=1)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_critic_under_gradient_penalty_judges_each_image_alone() -> None:
    critic = build_discriminator(config_of(attention=8), resolution=16, channels=1, norm="layer")
    images = torch.randn(4, 1, 16, 16)
    torch.testing.assert_close(critic(images)[:1], critic(images[:1]))


def test_a_penalty_on_the_critic_s_gradient_has_the_gradient_of_finite_differences() -> None:
    critic = build_discriminator(
        config_of(width=2, attention=8), resolution=16, channels=1, norm="layer"
    ).double()
    randomness = torch.Generator().manual_seed(0)
    images = torch.randn(2, 1, 16, 16, generator=randomness, dtype=torch.float64).requires_grad_()
    with torch.no_grad():
        next(each for each in critic.modules() if isinstance(each, SelfAttention)).strength.fill_(0.7)

    def penalty() -> torch.Tensor:
        (gradient,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
        return gradient.square().sum()

    parameters = list(critic.parameters())
    found = torch.autograd.grad(penalty(), parameters, allow_unused=True)
    directions = [torch.randn(each.shape, generator=randomness, dtype=each.dtype) for each in parameters]
    slope = sum((g * d).sum() for g, d in zip(found, directions, strict=True) if g is not None)
    step, values = 1e-7, []
    for sign in (1, -1):
        with torch.no_grad():
            torch._foreach_add_(parameters, directions, alpha=sign * step)
        values.append(float(penalty().detach()))
        with torch.no_grad():
            torch._foreach_add_(parameters, directions, alpha=-sign * step)
    assert (values[0] - values[1]) / (2 * step) == pytest.approx(float(slope), rel=1e-4)


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_with_minibatch_std_a_collapsed_batch_is_told_by_the_last_weights(norm: str) -> None:
    network = build_discriminator(config_of(minibatch_std=4), resolution=16, channels=3, norm=norm)  # type: ignore[arg-type]
    images = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        network.to_logit.weight.zero_()
        network.to_logit.weight[:, -1] = 1  # the spread alone
        varied, equal = network(images), network(images[:1].expand(8, -1, -1, -1))
    assert (varied > 0.5).all() and (equal.abs() < 0.01).all()


def test_attention_beyond_half_the_side_is_refused_in_one_line() -> None:
    for refuse in (build_generator, build_discriminator, describe):
        with pytest.raises(
            ConfigError, match=r"^--attention must be at most half of --resolution 32, not 32; try 16$"
        ):
            refuse(config_of(attention=32), resolution=32, channels=3)


def test_the_description_says_what_is_on() -> None:
    plain = describe(config_of(), resolution=32, channels=3, norm="layer")
    assert plain.startswith(
        "ResNet of width 4 for 32x32 pixels, 6 latents, layer normalization of the discriminator: "
    )
    config = config_of(widening="none", attention=16, spectral_norm=True)
    assert ", equal widths, self-attention at 16 pixels, spectral normalization: " in describe(
        config, resolution=32, channels=3
    )


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_both_passes_are_compiled_as_a_whole(precision: str) -> None:
    config = config_of(attention=8, spectral_norm=True)
    generator = build_generator(config, resolution=16, channels=3)
    discriminator = build_discriminator(config, resolution=16, channels=3)
    for network in (generator, discriminator):
        network.eval()  # spectral directions and averages stay, so that both ways compute the same
    dtype = torch.bfloat16 if precision == "bf16" else None
    passes = compiled_passes("cpu", backend="aot_eager")
    images = passes.generate(generator, torch.randn(4, 6, generator=torch.Generator().manual_seed(0)), dtype)
    assert images.shape == (4, 3, 16, 16)
    with torch.autocast("cpu", dtype, enabled=dtype is not None):
        expected = generator(torch.randn(4, 6, generator=torch.Generator().manual_seed(0)))
    torch.testing.assert_close(images, expected, rtol=1e-2, atol=2e-2 if dtype else 1e-5)
    loss = passes.judge_fakes(discriminator, images, LOSSES["hinge"], dtype)
    loss.backward()
    assert all(parameter.grad is not None for parameter in generator.parameters())
