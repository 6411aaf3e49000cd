"""The style-based family: its layers, mixing, noise, truncation and path lengths, each computed plainly."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from common.errors import ConfigError
from gan import checkpoint
from gan.config import NetworkConfig
from gan.networks import build_generator, numbers_per_image
from gan.networks.equalized import initialize
from gan.networks.families.style.inputs import Layout
from gan.networks.families.style.layers import Mapping, ModulatedConv2d, doubled
from gan.networks.families.style.networks import Generator
from gan.networks.families.style.path_length import path_length_penalty
from gan.training.run import GanRun
from tests.gan.ranks import on_two_ranks
from tests.gan.training.runs import assert_same_state, config_of, errors_on_a_ramp, few_images, timeless

CONFIG = NetworkConfig(family="style", width=4, latent_size=6, mapping_layers=2)
STYLE = {
    "network.family": "style",
    "network.mapping_layers": 2,
    "optimizer.generator_lr": 1e-3,
    "optimizer.discriminator_lr": 1e-3,
}


def small(**values: object) -> Generator:
    config = NetworkConfig(family="style", width=4, latent_size=6, mapping_layers=2, **values)  # type: ignore[arg-type]
    generator = build_generator(config, resolution=16, channels=3, seed=1)
    assert isinstance(generator, Generator)
    return generator


def rows(count: int = 4, seed: int = 0) -> torch.Tensor:
    shape = (count, numbers_per_image(CONFIG, 16))
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("demodulates", [True, False])
def test_a_modulated_convolution_has_other_weights_for_every_image(demodulates: bool) -> None:
    conv = ModulatedConv2d(3, 5, 3, 4, demodulates=demodulates)
    initialize(conv, 0)
    features, styles = torch.randn(2, 3, 6, 6), torch.randn(2, 4)
    for image, style, found in zip(features, styles, conv(features, styles), strict=True):
        scales = style @ conv.to_scales.weight.T / 2 + 1
        weight = conv.weight / np.sqrt(27) * scales[None, :, None, None]
        if demodulates:
            weight = weight / weight.square().sum((1, 2, 3), keepdim=True).sqrt()
        expected = F.conv2d(image[None], weight, padding=1)[0]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_its_gradients_are_those_of_finite_differences() -> None:
    conv = ModulatedConv2d(2, 3, 3, 2).double()
    initialize(conv, 0)
    given = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((2, 2, 3, 3), (2, 2))]

    def computed(features: torch.Tensor, styles: torch.Tensor) -> torch.Tensor:
        scales = conv.to_scales(styles) + 1
        weight = conv.weight[None] * conv.scale * scales[:, None, :, None, None]
        weight = weight * torch.rsqrt(weight.square().sum((2, 3, 4), keepdim=True) + 1e-8)
        return torch.cat(
            [F.conv2d(one[None], own, padding=1) for one, own in zip(features, weight, strict=True)]
        )

    for function in (computed, lambda *inputs: conv(*inputs).float().double()):
        torch.autograd.gradcheck(computed, given)
        ours = torch.autograd.grad(function(*given).square().sum(), given)
        plain = torch.autograd.grad(computed(*given).square().sum(), given)
        for one, other in zip(ours, plain, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_the_mapping_begins_at_the_scale_of_its_input_and_learns_slowly() -> None:
    mapping = Mapping(512, 4)
    initialize(mapping, 0)
    styles = mapping(torch.randn(64, 512))
    assert 0.5 < styles.square().mean() < 2
    before = styles.detach()
    optimizer = torch.optim.SGD(mapping.parameters(), lr=0)
    optimizer.zero_grad()
    with torch.no_grad():
        for parameter in mapping.parameters():
            parameter.add_(0.01)  # a step of Adam's at a rate of 0.01
    assert (mapping(torch.randn(64, 512)).square().mean() / before.square().mean()).sqrt() < 1.5


def test_images_are_doubled_by_the_filter_1331() -> None:
    line = torch.tensor([0.0, 0.0, 8.0, 0.0, 0.0])
    found = doubled(line.expand(1, 1, 5, 5))[0, 0, 5]
    assert found.tolist() == [0, 0, 0, 2, 6, 6, 2, 0, 0, 0]


def test_a_row_has_two_latents_two_numbers_and_the_noise_of_every_layer() -> None:
    layout = Layout.of(CONFIG, 16)
    assert layout.noise_sides == (4, 8, 8, 16, 16)
    assert layout.total == numbers_per_image(CONFIG, 16) == 6 + 6 + 2 + 16 + 2 * 64 + 2 * 256
    noise = layout.noise(rows())
    assert [tuple(each.shape) for each in noise] == [(4, 1, side, side) for side in layout.noise_sides]
    assert noise[-1][2, 0, -1, -1] == rows()[2, -1]
    alone = layout.noise(rows()[:, :6])
    assert [each.shape[0] for each in alone] == [1] * 5 and not torch.equal(alone[1], alone[2])


def test_styles_are_mixed_with_their_probability_and_from_every_layer_on() -> None:
    layout, many = Layout.of(CONFIG, 16), rows(20_000)
    crossing = layout.first_mixed(many, 0.8)
    shares = torch.bincount(crossing.long(), minlength=6) / len(many)
    assert shares[0] == 0
    np.testing.assert_allclose(shares[1:5], 0.2, atol=0.02)
    np.testing.assert_allclose(shares[5], 0.2, atol=0.02)
    generator = small(style_mixing=1.0)
    styles, first = generator.styles(rows(64)), generator.styles(rows(64)[:, :6])
    second = generator.styles(rows(64)[:, 6:12])
    for image, layer in enumerate(layout.first_mixed(rows(64), 1.0).long().tolist()):
        torch.testing.assert_close(styles[image, :layer], first[image, :layer])
        torch.testing.assert_close(styles[image, layer:], second[image, layer:])


def test_noise_acts_by_its_learned_strength_alone() -> None:
    generator = small(style_mixing=0.0)
    given = rows()
    other = torch.cat([given[:, :14], rows(seed=1)[:, 14:]], dim=1)
    torch.testing.assert_close(generator(given), generator(other))
    with torch.no_grad():
        generator.blocks[1].second.strength.fill_(0.5)
    assert not torch.allclose(generator(given), generator(other), atol=1e-3)


def test_truncation_goes_to_the_image_of_the_mean_style() -> None:
    generator = small().eval()
    latents = rows()[:, :6]
    with torch.no_grad():
        generator.mean_style.copy_(generator.mapping(torch.randn(1000, 6)).mean(0))
    plain = generator(latents)
    generator.truncation = 0.0
    mean = generator(latents)
    torch.testing.assert_close(mean[0], mean[3])
    generator.truncation = 0.5
    half = generator(latents)
    assert (half - mean).abs().mean() < (plain - mean).abs().mean()


def test_the_mean_style_follows_the_styles_in_training_only() -> None:
    generator = small()
    styles = generator.styles(rows())[:, 0].detach()
    generator(rows())
    torch.testing.assert_close(generator.mean_style, 0.005 * styles.mean(0))
    generator.eval()(rows()[:, :6])
    torch.testing.assert_close(generator.mean_style, 0.005 * styles.mean(0))


def test_path_lengths_are_norms_of_the_jacobian_s_products() -> None:
    generator = small(style_mixing=0.0)
    given, noise = rows(), torch.randn(4, 3, 16, 16)
    penalty = path_length_penalty(generator, given, noise)
    lengths = []
    for index in (0, 2):
        row = given[index : index + 1]
        style = generator.styles(row).detach()

        def product(styles: torch.Tensor, row: torch.Tensor = row, index: int = index) -> torch.Tensor:
            return (generator.images(styles, generator.layout.noise(row))[0] * noise[index]).sum() / 16

        (gradient,) = torch.autograd.functional.jacobian(product, (style,))
        lengths.append(gradient[0].square().sum(1).mean().sqrt())
    both = torch.stack(lengths)
    mean = 0.01 * both.mean()
    torch.testing.assert_close(generator.path_length, mean, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(penalty, (both - mean).square().mean(), rtol=1e-3, atol=1e-6)


def test_the_gradient_of_the_path_length_term_is_that_of_finite_differences() -> None:
    generator = small(style_mixing=0.0).double()
    given, noise = rows(2).double(), torch.randn(2, 3, 16, 16, dtype=torch.float64)
    weight = generator.blocks[0].first.conv.weight
    mean = generator.path_length.clone()

    def term() -> torch.Tensor:
        generator.path_length.copy_(mean)
        return path_length_penalty(generator, given, noise)

    term().backward()
    assert weight.grad is not None
    place, step = (1, 2, 0, 1), 3e-2  # scales are computed in fp32
    values = []
    for change in (step, -2 * step):
        with torch.no_grad():
            weight[place] += change
        values.append(term().detach())
    slope = (values[0] - values[1]) / (2 * step)
    torch.testing.assert_close(weight.grad[place], slope, rtol=0.05, atol=1e-6)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {
            "network.path_length": 0.0,
            "regularization.r1": 1.0,
            "network.minibatch_std": 2,
            "precision": "bf16",
        },
        {"balance.policy": "steps", "balance.discriminator_steps": 2, "network.packing": 2},
    ],
)
def test_a_moved_run_gives_the_numbers_of_one_that_stayed(values: dict[str, object]) -> None:
    torch.set_num_threads(1)
    config, images = config_of({**STYLE, **values}), few_images()
    stayed, moved = GanRun(config, images), GanRun(config, images)
    for _ in range(3):
        data = checkpoint.to_bytes(moved.state_dict())
        moved = GanRun(config, images)
        moved.load_state_dict(checkpoint.from_bytes(data))
        assert timeless(moved.tick()) == timeless(stayed.tick())
    assert_same_state(moved, stayed)
    np.testing.assert_array_equal(moved.sample_grid(), stayed.sample_grid())


def test_two_ranks_end_where_one_rank_does(tmp_path: Path) -> None:
    first, second = on_two_ranks(_ticks, folder=tmp_path)
    alone = _ticks(0, world_size=1)
    assert first["rows"] == second["rows"]
    for row, expected in zip(first["rows"], alone["rows"], strict=True):
        assert timeless(row) == pytest.approx(timeless(expected), rel=2e-3)
    for name in ("mean_style", "path_length"):
        torch.testing.assert_close(
            first["tensors"][f"generator.{name}"], alone["tensors"][f"generator.{name}"], rtol=1e-3, atol=1e-5
        )


def _ticks(rank: int, world_size: int = 2) -> dict[str, object]:
    run = GanRun(config_of(STYLE), few_images(), rank=rank, world_size=world_size)
    return {"rows": [run.tick() for _ in range(2)], "tensors": run.state_dict().tensors}


def test_it_learns_a_picture() -> None:
    before, after = errors_on_a_ramp(STYLE)
    assert after < before / 2


@pytest.mark.parametrize(
    ("name", "value"),
    [("mapping_layers", 0), ("style_mixing", 1.5), ("path_length", -1.0), ("path_length_every", 0)],
)
def test_a_setting_out_of_its_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"^--{name.replace('_', '-')} must lie between"):
        config_of({"network.family": "style", f"network.{name}": value})
