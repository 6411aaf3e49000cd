"""What a run must be able to do with the networks of every family."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gan.checkpoint import GeneratorState, generator_to_bytes
from gan.config import GanConfig
from gan.data.images import Images
from gan.generation import fixed_latents, load_trained, sample
from gan.networks import build_discriminator, build_generator, scales_of
from gan.networks.families import FAMILIES
from gan.training.run import GanRun
from gan.training.view import see
from tests.gan.ranks import on_two_ranks
from tests.gan.training.runs import assert_same_state, config_of, few_images, timeless

VARIANTS = [
    *(pytest.param({"network.family": name}, id=name) for name in FAMILIES),
    pytest.param(
        {"network.family": "resnet", "network.attention": 8, "network.spectral_norm": True},
        id="resnet-attention-spectral",
    ),
    pytest.param(
        {"network.family": "resnet", "network.widening": "none", "network.minibatch_std": 2},
        id="resnet-equal-widths-minibatch-std",
    ),
]


@pytest.mark.parametrize("values", VARIANTS)
def test_a_run_moved_after_a_tick_ends_as_one_that_stayed(values: dict[str, object]) -> None:
    torch.set_num_threads(1)
    config = config_of({**values, "batch": 20})
    stayed, moved = (GanRun(config, few_images()) for _ in range(2))
    for run in (stayed, moved):
        run.tick()
    again = GanRun(GanConfig.from_dict(moved.state_dict().config), few_images())
    again.load_state_dict(moved.state_dict())
    assert timeless(again.tick()) == timeless(stayed.tick())
    assert_same_state(stayed, again)


@pytest.mark.parametrize("values", VARIANTS)
@pytest.mark.parametrize("loss", ["hinge", "wasserstein"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_trains_with_penalties_and_packs_in_both_precisions(
    values: dict[str, object], loss: str, precision: str
) -> None:
    config = config_of({**values, "loss.name": loss, "precision": precision, "network.packing": 2})
    config = config.with_values({"regularization.r1": 1.0} if loss == "hinge" else {})
    row = GanRun(config, few_images()).tick()
    assert np.isfinite(row["generator_loss"]) and row["generator_gradient"] > 0
    assert row["discriminator_gradient"] > 0


@pytest.mark.parametrize("values", VARIANTS)
def test_a_trained_generator_is_exported_and_sampled_from(values: dict[str, object], tmp_path: Path) -> None:
    run = GanRun(config_of(values), few_images())
    run.tick()
    state = run.state_dict()
    tensors = {
        name.removeprefix("ema."): tensor for name, tensor in state.tensors.items() if name.startswith("ema.")
    }
    saved = generator_to_bytes(GeneratorState(tensors, 3, state.config))
    (tmp_path / "generator.safetensors").write_bytes(saved)
    generator, config = load_trained(str(tmp_path))
    assert config == run.config
    found = sample(generator, fixed_latents(config, "evaluation", 5), config)
    np.testing.assert_array_equal(found, run.samples(5))


def _tensors_of_a_run(rank: int, values: dict[str, object], world_size: int = 2) -> dict[str, Tensor]:
    config = config_of({**values, "network.sync_batch_norm": True})
    run = GanRun(config, few_images(), rank=rank, world_size=world_size)
    run.tick()
    return run.state_dict().tensors


@pytest.mark.parametrize("values", VARIANTS)
def test_two_ranks_end_where_one_does(values: dict[str, object], tmp_path: Path) -> None:
    first, second = on_two_ranks(_tensors_of_a_run, values, folder=tmp_path)
    alone = _tensors_of_a_run(0, values, world_size=1)
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
        torch.testing.assert_close(tensor, alone[name], rtol=2e-3, atol=2e-4, msg=name)


def pictures_of(images: Images, count: int) -> Tensor:
    """Smooth ones, (count, 3, 16, 16) in [-1, 1]: noise has nothing that a small network could learn."""
    pixels = torch.from_numpy(images.train[:count].copy()).permute(0, 3, 1, 2).float()
    return F.interpolate(F.avg_pool2d(pixels, 8), size=16, mode="bilinear") / 64 - 2


@pytest.mark.parametrize("values", VARIANTS)
def test_a_few_pictures_are_learned_by_heart(values: dict[str, object]) -> None:
    config = config_of({**values, "network.width": 8}).network
    shape = {"resolution": 16, "channels": 3}
    generator = build_generator(config, **shape)
    discriminator = build_discriminator(config, **shape)
    targets = pictures_of(few_images(), 4).clamp(-0.9, 0.9)
    randomness = torch.Generator().manual_seed(0)
    latents = torch.randn(4, config.latent_size, generator=randomness)
    others = targets + 0.3 * torch.randn(targets.shape, generator=randomness)
    targets, others = (see(images, (), (), None, 1, scales_of(config, 16)) for images in (targets, others))
    errors: dict[str, list[float]] = {"generator": [], "discriminator": []}
    makes = torch.optim.Adam(generator.parameters(), lr=5e-3)
    judges = torch.optim.Adam(discriminator.parameters(), lr=5e-3)
    for _ in range(80):
        makes.zero_grad()
        error = (generator(latents) - targets).square().mean()
        error.backward()
        makes.step()
        judges.zero_grad()
        doubt = F.softplus(-discriminator(targets)).mean() + F.softplus(discriminator(others)).mean()
        doubt.backward()
        judges.step()
        errors["generator"].append(error.item())
        errors["discriminator"].append(doubt.item())
    for who, values_of_error in errors.items():
        assert values_of_error[-1] < values_of_error[0] / 4, who
