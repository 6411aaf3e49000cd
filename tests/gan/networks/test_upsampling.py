"""Kinds of upsampling against PyTorch's resizing, the code of before, and a Fourier transform."""

import re
import typing
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from common.errors import ConfigError
from gan.checkpoint import CheckpointError, GeneratorState, generator_to_bytes
from gan.config import DataConfig, EvaluationConfig, GanConfig, NetworkConfig
from gan.data.images import Images
from gan.generation import fixed_latents, load_trained, sample
from gan.networks import build_generator, describe
from gan.networks.families.dcgan import Upsampling
from gan.networks.families.dcgan.upsampling import doubling
from gan.training.compilation import compiled_passes
from gan.training.run import GanRun
from tests.gan.ranks import on_two_ranks
from tune.space.acceptance import check_accepts
from tune.space.space import suggest
from tune.space.toml import load_space

KINDS: tuple[Upsampling, ...] = typing.get_args(Upsampling)
CONFIG = GanConfig(
    data=DataConfig(resolution=16),
    network=NetworkConfig(width=4, latent_size=8, upsampling="transposed"),
    evaluation=EvaluationConfig(metric="swd", metric_images=32),
    batch=16,
    images=64,
    images_per_tick=32,
    precision="fp32",
    compile="off",
)


def with_upsampling(kind: str, **values: Any) -> GanConfig:
    return CONFIG.with_values({"network.upsampling": kind, **values})


def noise_images() -> Images:
    pixels = np.random.default_rng(0).integers(0, 256, (100, 16, 16, 3), dtype=np.uint8)
    return Images(
        train=pixels[:60],
        held_out=pixels[60:],
        train_labels=None,
        held_out_labels=None,
        class_names=(),
        skipped=(),
        fingerprint="upsampling",
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("resolution", [16, 32, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_kind_makes_images_with_as_many_layers_of_the_same_widths(
    kind: str, resolution: int, channels: int
) -> None:
    shape = {"resolution": resolution, "channels": channels}
    generator = build_generator(with_upsampling(kind).network, **shape)
    images = generator(torch.randn(3, 8))
    assert images.shape == (3, channels, resolution, resolution)
    assert images.abs().max() <= 1
    plain = build_generator(CONFIG.network, **shape)
    tensors, expected = generator.state_dict(), plain.state_dict()
    assert list(tensors) == list(expected)
    for name, tensor in tensors.items():
        wanted = expected[name].shape
        if kind != "transposed" and len(wanted) == 4:
            wanted = (*wanted[:2], 3, 3)
        assert tensor.shape == wanted


def resized_and_convolved(input: Tensor, weight: Tensor) -> Tensor:
    """By PyTorch; weight: (inner, outer, 3, 3), mirrored as a transposed convolution has it."""
    resized = F.interpolate(input, scale_factor=2, mode="nearest")
    return F.conv2d(resized, weight.flip(2, 3).transpose(0, 1), padding=1)


def test_result_and_gradients_of_nearest_are_those_of_resizing_and_convolving() -> None:
    torch.manual_seed(0)
    layer = doubling("nearest", 5, 3).double()
    input = torch.randn(2, 5, 6, 4, dtype=torch.float64, requires_grad=True)
    output = layer(input)
    gradient = torch.randn_like(output)
    found = torch.autograd.grad(output, (input, layer.weight), gradient)
    expected = resized_and_convolved(input, layer.weight)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(found, torch.autograd.grad(expected, (input, layer.weight), gradient))


def test_in_bf16_nearest_unfolds_and_is_resizing_and_convolving_to_bf16_accuracy() -> None:
    torch.manual_seed(0)
    layer = doubling("nearest", 12, 5).to(memory_format=torch.channels_last)
    input = torch.randn(2, 12, 4, 4).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        output = layer(input)
    assert output.grad_fn.name() == "_TransposedConvolutionBackward"
    output.float().square().sum().backward()
    wide, weight = (tensor.detach().double().requires_grad_() for tensor in (input, layer.weight))
    expected = resized_and_convolved(wide, weight)
    expected.square().sum().backward()
    for found, value in ((output, expected), (layer.weight.grad, weight.grad)):
        scale = float(value.detach().abs().max())
        torch.testing.assert_close(found.double(), value, rtol=0, atol=scale * 2**-6)


def test_nearest_costs_as_many_multiplications_as_a_transposed_convolution(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernels: list[tuple[int, ...]] = []
    convolve = F.conv_transpose2d

    def noted(input: Tensor, weight: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        kernels.append(tuple(weight.shape))
        return convolve(input, weight, *args, **kwargs)

    monkeypatch.setattr(F, "conv_transpose2d", noted)
    for kind in ("transposed", "nearest"):
        doubling(kind, 12, 5)(torch.randn(2, 12, 4, 4))
    assert kernels == [(12, 5, 4, 4)] * 2


def test_the_weights_of_every_kind_follow_the_paper_s_distribution() -> None:
    for kind in KINDS:
        generator = build_generator(
            with_upsampling(kind, **{"network.width": 32}).network, resolution=32, channels=3, seed=3
        )
        for layer in [*(block[0] for block in generator.blocks), generator.to_image]:
            count = layer.weight.numel()
            # five standard errors of a sample of this size
            assert abs(layer.weight.mean().item()) < 5 * 0.02 / count**0.5
            assert abs(layer.weight.std().item() - 0.02) < 5 * 0.02 / (2 * count) ** 0.5
            assert layer.bias is None


def test_transposed_is_the_network_of_before_to_the_last_bit() -> None:
    """Written down from the code before there was a choice: names, shapes and order of the random numbers."""
    config = CONFIG.network
    generator = build_generator(config, resolution=16, channels=3, seed=5)
    randomness = torch.Generator().manual_seed(5)
    means_and_shapes = {
        "first.weight": (0.0, (8 * 16, 8)),
        "first_norm.weight": (1.0, (8,)),
        "blocks.0.0.weight": (0.0, (8, 4, 4, 4)),
        "blocks.0.1.weight": (1.0, (4,)),
        "to_image.weight": (0.0, (4, 3, 4, 4)),
    }
    weights = {
        name: torch.empty(shape).normal_(mean, 0.02, generator=randomness)
        for name, (mean, shape) in means_and_shapes.items()
    }
    own = dict(generator.named_parameters())
    assert [name for name in own if name.endswith("weight")] == list(weights)
    assert all(torch.equal(own[name], weight) for name, weight in weights.items())

    latents = torch.randn(6, 8)
    with torch.no_grad():
        images = generator(latents)
    x = F.linear(latents, weights["first.weight"]).view(-1, 4, 4, 8).permute(0, 3, 1, 2)
    x = F.batch_norm(x, None, None, weights["first_norm.weight"], torch.zeros(8), training=True).relu()
    x = F.conv_transpose2d(x, weights["blocks.0.0.weight"], stride=2, padding=1)
    x = F.batch_norm(x, None, None, weights["blocks.0.1.weight"], torch.zeros(4), training=True).relu()
    expected = F.conv_transpose2d(x, weights["to_image.weight"], stride=2, padding=1).tanh()
    assert torch.equal(images, expected)


def test_configurations_states_and_generators_of_before_are_transposed(tmp_path: Path) -> None:
    before = CONFIG.to_dict()
    before["network"] = {
        "family": "dcgan",
        "width": 4,
        "latent_size": 8,
        "spectral_norm": False,
        "sync_batch_norm": False,
    }
    assert GanConfig.from_dict(before) == CONFIG
    generator = build_generator(CONFIG.network, resolution=16, channels=3, seed=1)
    (tmp_path / "generator.safetensors").write_bytes(
        generator_to_bytes(GeneratorState(generator.state_dict(), 3, before))
    )
    loaded, config = load_trained(str(tmp_path))
    assert config == CONFIG
    assert all(
        torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in generator.state_dict().items()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_trained_generator_is_exported_and_sampled_from(kind: str, tmp_path: Path) -> None:
    run = GanRun(with_upsampling(kind), noise_images())
    run.tick()
    state = run.state_dict()
    tensors = {
        name.removeprefix("ema."): tensor for name, tensor in state.tensors.items() if name.startswith("ema.")
    }
    (tmp_path / "generator.safetensors").write_bytes(
        generator_to_bytes(GeneratorState(tensors, 3, state.config))
    )
    generator, config = load_trained(str(tmp_path))
    assert config.network.upsampling == kind
    found = sample(generator, fixed_latents(config, "evaluation", 5), config)
    np.testing.assert_array_equal(found, run.samples(5))


def test_a_state_of_another_kind_is_refused_in_one_line() -> None:
    state = GanRun(CONFIG, noise_images()).state_dict()
    with pytest.raises(CheckpointError, match=r"^generator\.blocks\.0\.0\.weight must have shape .*settings"):
        GanRun(with_upsampling("nearest"), noise_images()).load_state_dict(state)


def test_a_kind_that_there_is_not_is_refused_in_one_line() -> None:
    with pytest.raises(ConfigError, match=r"^network\.upsampling is wrong: .*'transposed'.* not 'cubic'"):
        with_upsampling("cubic")


def power_at_period_2(kind: str) -> float:
    """Share of the power of untrained samples, without their mean, that repeats every second pixel."""
    generator = build_generator(
        with_upsampling(kind, **{"network.width": 16}).network, resolution=32, channels=3, seed=2
    )
    with torch.no_grad():
        pixels = generator(torch.randn(64, 8, generator=torch.Generator().manual_seed(0))).numpy()
    power = (np.abs(np.fft.fft2(pixels)) ** 2).mean((0, 1))
    return float((power[::16, ::16].sum() - power[0, 0]) / (power.sum() - power[0, 0]))


def test_untrained_nearest_has_less_of_a_checkerboard_than_transposed() -> None:
    assert power_at_period_2("nearest") < power_at_period_2("transposed") / 4


def test_nearest_keeps_a_uniform_picture_uniform_within_the_border() -> None:
    with torch.no_grad():
        inside = doubling("nearest", 4, 3)(torch.ones(1, 4, 8, 8))[:, :, 3:-3, 3:-3]
        learned = doubling("transposed", 4, 3)(torch.ones(1, 4, 8, 8))[:, :, 3:-3, 3:-3]
    torch.testing.assert_close(inside, inside[:, :, :1, :1].expand_as(inside))
    assert learned.std((2, 3)).min() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_moved_after_a_tick_ends_as_one_that_stayed(kind: str) -> None:
    torch.set_num_threads(1)
    stayed, moved = (GanRun(with_upsampling(kind), noise_images()) for _ in range(2))
    for run in (stayed, moved):
        run.tick()
    again = GanRun(with_upsampling(kind), noise_images())
    again.load_state_dict(moved.state_dict())
    for run in (stayed, again):
        run.tick()
    ended, expected = again.state_dict().tensors, stayed.state_dict().tensors
    assert all(torch.equal(ended[name], tensor) for name, tensor in expected.items())


def _tensors_of_a_run(rank: int, kind: str, world_size: int = 2) -> dict[str, Tensor]:
    config = with_upsampling(kind, **{"network.sync_batch_norm": True})
    run = GanRun(config, noise_images(), rank=rank, world_size=world_size)
    run.tick()
    return run.state_dict().tensors


def test_two_ranks_with_nearest_end_where_one_does(tmp_path: Path) -> None:
    first, second = on_two_ranks(_tensors_of_a_run, "nearest", folder=tmp_path)
    alone = _tensors_of_a_run(0, "nearest", world_size=1)
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
        torch.testing.assert_close(tensor, alone[name], rtol=2e-3, atol=2e-4, msg=name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_generator_s_pass_is_compiled_as_a_whole(kind: str, precision: str) -> None:
    generator = build_generator(with_upsampling(kind).network, resolution=16, channels=3)
    latents = torch.randn(4, 8)
    dtype = torch.bfloat16 if precision == "bf16" else None
    found = compiled_passes("cpu", backend="aot_eager").generate(generator, latents, dtype)
    with torch.autocast("cpu", dtype, enabled=dtype is not None):
        torch.testing.assert_close(found, generator(latents), rtol=1e-2, atol=1e-2 if dtype else 1e-5)
    found.sum().backward()
    assert generator.to_image.weight.grad is not None


@pytest.mark.parametrize("kind", KINDS)
def test_the_description_names_the_kind(kind: str) -> None:
    found = describe(with_upsampling(kind).network, resolution=16, channels=3)
    assert f", {kind} upsampling" in found


def test_the_usual_kind_is_nearest_also_in_a_file_that_names_few_settings() -> None:
    assert NetworkConfig().upsampling == "nearest"
    assert GanConfig.from_dict({"network": {"width": 4}}).network.upsampling == "nearest"


def test_it_can_be_searched_as_the_example_says(tmp_path: Path) -> None:
    example = (Path(__file__).parents[3] / "examples" / "space.toml").read_text()
    [table] = re.findall(r"^# (\[network\.upsampling\])\n# (values = .*)$", example, re.MULTILINE)
    (tmp_path / "space.toml").write_text("\n".join(table))
    space = load_space(tmp_path / "space.toml")
    check_accepts(space, CONFIG)
    values = suggest(space, optuna.trial.FixedTrial({"network.upsampling": "nearest"}))
    assert CONFIG.with_values(values).network.upsampling == "nearest"
