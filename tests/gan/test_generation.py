"""Latents and samples of a saved generator; loading refuses what is not one."""

from pathlib import Path

import pytest
import torch

from common.errors import ConfigError
from gan.checkpoint import GeneratorState, generator_to_bytes
from gan.config import GanConfig, NetworkConfig
from gan.generation import load_trained, random_latents, sample
from gan.networks import build_generator

CONFIG = GanConfig(network=NetworkConfig(width=4, latent_size=6), precision="fp32")


def save_untrained(path: Path, config: GanConfig = CONFIG) -> None:
    generator = build_generator(CONFIG.network, resolution=32, channels=3, seed=1)
    path.write_bytes(generator_to_bytes(GeneratorState(generator.state_dict(), 3, config.to_dict())))


def test_of_large_images_few_are_generated_at_once_and_all_are_returned() -> None:
    counts: list[int] = []

    class Grey(torch.nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            counts.append(len(input))
            return input[:, :1, None, None]

    latents = torch.linspace(-1, 1, 40)[:, None].expand(-1, 6)
    for width, resolution, expected in ((64, 128, [40]), (64, 256, [16, 16, 8]), (16, 512, [16, 16, 8])):
        counts.clear()
        shape = {"data.resolution": resolution, "network.width": width}
        pixels = sample(Grey(6, 1), latents, CONFIG.with_values(shape))
        assert counts == expected and pixels.shape == (40, 1, 1, 1)
        assert (pixels[1:] > pixels[:-1]).all()


def test_more_latents_begin_with_the_fewer_ones_and_another_seed_has_others() -> None:
    few, many = random_latents(CONFIG, 2, seed=5), random_latents(CONFIG, 4, seed=5)
    assert torch.equal(few, many[:2])
    assert not torch.equal(few, random_latents(CONFIG, 2, seed=6))
    assert len(torch.unique(many)) == many.numel()


def test_samples_come_from_the_saved_weights(tmp_path: Path) -> None:
    save_untrained(tmp_path / "generator.safetensors")
    generator, config = load_trained(str(tmp_path))
    assert config == CONFIG
    latents = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))
    original = build_generator(CONFIG.network, resolution=32, channels=3, seed=1).eval()
    with torch.no_grad():
        expected = (original(latents) + 1) * 127.5
    samples = torch.from_numpy(sample(generator, latents, config)).permute(0, 3, 1, 2)
    assert samples.shape == (3, 3, 32, 32)
    assert (samples - expected).abs().max() <= 0.5 + 1e-3


def test_what_is_not_a_generator_is_refused_in_one_line(tmp_path: Path) -> None:
    save_untrained(tmp_path / "other.safetensors", CONFIG.with_values({"network.width": 8}))
    (tmp_path / "text.safetensors").write_text("hello")
    for location in (tmp_path, tmp_path / "other.safetensors", tmp_path / "text.safetensors"):
        with pytest.raises(ConfigError) as caught:
            load_trained(str(location))
        assert str(location) in str(caught.value) and "\n" not in str(caught.value)
