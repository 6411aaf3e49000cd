"""Images/s of our training step against the commonly written one and this device's convolutions alone.

All candidates take turns, so that a machine whose speed drifts slows all alike; the best of each is compared.
The ceiling is the time of the step's convolutions and nothing else: each layer's forward, input-gradient and
weight-gradient kernel of PyTorch timed alone, in the type and memory format that our step uses, times how
often the step needs it. The last line is one JSON object.
"""

import argparse
import dataclasses
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing
import torch.nn.functional as F
from torch import Tensor, nn

from common.device import has_fast_bf16, keep_freed_memory
from gan.config import DataConfig, GanConfig, NetworkConfig
from gan.networks import build_discriminator
from gan.training.balance import Turn
from gan.training.compilation import compiled_passes
from gan.training.passes import UNCOMPILED, Passes
from gan.training.players import build_players
from gan.training.step import step_settings, train_step

CHANNELS = 3
STEPS_A_TURN = 4


@dataclasses.dataclass(frozen=True)
class Use:
    """How often a step runs each kernel of one convolution."""

    forward: int
    input_gradient: int
    weight_gradient: int


# Discriminator: forward on real, on fakes and for the generator; weights trained on real and fakes; gradients
# of inputs flow inwards for both, and in all layers for the generator.
IN_DISCRIMINATOR = Use(3, 3, 2)
FIRST_IN_DISCRIMINATOR = Use(3, 1, 2)
IN_GENERATOR = Use(1, 1, 1)


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    keep_freed_memory()
    config = GanConfig(
        data=DataConfig(resolution=arguments.resolution),
        network=NetworkConfig(width=arguments.width, upsampling="transposed"),  # as the plain loop
        batch=arguments.batch,
    )
    steps = {"ours_uncompiled": our_step(config, device, UNCOMPILED), "common": common_step(config, device)}
    if not arguments.no_compile:
        steps["ours_compiled"] = our_step(config, device, compiled_passes(device.type))
    kernels = convolution_kernels(config, device)
    step_s, kernel_s = take_turns(steps, kernels, arguments.rounds, device)
    figures = _figures(config, step_s, sum(kernel_s), device)
    if device.type == "cpu" and not arguments.no_workers:
        figures["two_workers_over_one"] = two_workers_over_one(config, arguments.rounds)
    _print(figures)


def our_step(
    config: GanConfig, device: torch.device, passes: Passes, world_size: int = 1
) -> Callable[[], None]:
    """A step as `GanRun` takes it, on `config.batch` images a rank that are on the device already."""
    players = build_players(config, channels=CHANNELS, device=device)
    settings = step_settings(config, device=device, world_size=world_size)
    real, latents = _batch(config, device, torch.channels_last)

    def step() -> None:
        train_step(
            players,
            real,
            latents,
            None,
            settings,
            passes,
            who_trains=Turn(discriminator=True, generator=True),
        )

    return step


def common_step(config: GanConfig, device: torch.device) -> Callable[[], None]:
    """The step and networks as PyTorch's DCGAN example writes them; no average of the generator is kept."""
    generator, discriminator = example_networks(config)
    for network in (generator, discriminator):
        network.to(device)
    adams = [
        torch.optim.Adam(network.parameters(), lr=2e-4, betas=(0.5, 0.999))
        for network in (generator, discriminator)
    ]
    real, latents = _batch(config, device, torch.contiguous_format)
    criterion = nn.BCEWithLogitsLoss()
    label = torch.ones(config.batch, device=device)

    def step() -> None:
        discriminator.zero_grad()
        output = discriminator(real).view(-1)
        loss_real = criterion(output, label.fill_(1.0))
        loss_real.backward()
        output.sigmoid().mean().item()
        fakes = generator(latents[:, :, None, None])
        output = discriminator(fakes.detach()).view(-1)
        loss_fake = criterion(output, label.fill_(0.0))
        loss_fake.backward()
        output.sigmoid().mean().item()
        (loss_real + loss_fake).item()
        adams[1].step()
        generator.zero_grad()
        loss = criterion(discriminator(fakes).view(-1), label.fill_(1.0))
        loss.backward()
        loss.item()
        adams[0].step()

    return step


def example_networks(config: GanConfig) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator of PyTorch's DCGAN example."""
    # the last layer's sigmoid is part of the loss, which is faster than in the example
    depth = (config.data.resolution // 4).bit_length() - 1
    widths = [config.network.width * 2**level for level in range(depth)]
    up: list[nn.Module] = [nn.ConvTranspose2d(config.network.latent_size, widths[-1], 4, 1, 0, bias=False)]
    down: list[nn.Module] = [nn.Conv2d(CHANNELS, widths[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)]
    for outer, inner in itertools.pairwise(widths):
        down += [nn.Conv2d(outer, inner, 4, 2, 1, bias=False), nn.BatchNorm2d(inner), nn.LeakyReLU(0.2, True)]
    for inner, outer in itertools.pairwise([*widths[::-1], CHANNELS]):
        up += [nn.BatchNorm2d(inner), nn.ReLU(True), nn.ConvTranspose2d(inner, outer, 4, 2, 1, bias=False)]
    networks = (
        nn.Sequential(*up, nn.Tanh()),
        nn.Sequential(*down, nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False)),
    )
    for network in networks:
        for parameter in network.parameters():
            nn.init.normal_(parameter, 1.0 if parameter.dim() == 1 else 0.0, 0.02)
    return networks


def _batch(
    config: GanConfig, device: torch.device, memory_format: torch.memory_format
) -> tuple[Tensor, Tensor]:
    side = config.data.resolution
    real = torch.rand(config.batch, CHANNELS, side, side, device=device) * 2 - 1
    latents = torch.randn(config.batch, config.network.latent_size, device=device)
    return real.to(memory_format=memory_format), latents


def convolution_kernels(config: GanConfig, device: torch.device) -> list[tuple[Callable[[], object], int]]:
    """Every convolution kernel of a step, with how often the step needs it."""
    dtype = torch.bfloat16 if has_fast_bf16(device) else torch.float32
    discriminator = build_discriminator(config.network, resolution=config.data.resolution, channels=CHANNELS)
    convs = [module for module in discriminator.modules() if isinstance(module, nn.Conv2d)]
    kernels: list[tuple[Callable[[], object], int]] = []
    side = config.data.resolution
    for conv in convs:
        outer = _random((config.batch, conv.in_channels, side, side), dtype, device)
        inner = _random((config.batch, conv.out_channels, side // 2, side // 2), dtype, device)
        weight = _random(tuple(conv.weight.shape), dtype, device)
        use = FIRST_IN_DISCRIMINATOR if conv is convs[0] else IN_DISCRIMINATOR
        kernels += _of_layer(outer, inner, weight, use, transposed=False)
        kernels += _of_layer(inner, outer, weight, IN_GENERATOR, transposed=True)
        side //= 2
    return kernels


def _random(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.randn(shape, device=device).to(dtype).to(memory_format=torch.channels_last)


def _of_layer(
    inputs: Tensor, outputs: Tensor, weight: Tensor, use: Use, *, transposed: bool
) -> list[tuple[Callable[[], object], int]]:
    forward = F.conv_transpose2d if transposed else F.conv2d

    def backward(of_input: bool, of_weight: bool) -> object:
        mask = [of_input, of_weight, False]
        return torch.ops.aten.convolution_backward(
            outputs, inputs, weight, None, [2, 2], [1, 1], [1, 1], transposed, [0, 0], 1, mask
        )

    return [
        (lambda: forward(inputs, weight, stride=2, padding=1), use.forward),
        (lambda: backward(True, False), use.input_gradient),
        (lambda: backward(False, True), use.weight_gradient),
    ]


def take_turns(
    steps: dict[str, Callable[[], None]],
    kernels: list[tuple[Callable[[], object], int]],
    rounds: int,
    device: torch.device,
) -> tuple[dict[str, float], list[float]]:
    """Seconds of each step and, times its uses, of each kernel: the best of `rounds`, taken in turns."""
    for step in steps.values():
        step(), step()
    step_s = dict.fromkeys(steps, float("inf"))
    kernel_s = [float("inf")] * len(kernels)
    for _ in range(rounds):
        for name, step in steps.items():
            step_s[name] = min(step_s[name], _seconds(step, device))
        for place, (kernel, _) in enumerate(kernels):
            # twice: the first finds another layer's data in the caches
            kernel_s[place] = min(kernel_s[place], _seconds(kernel, device), _seconds(kernel, device))
    return step_s, [seconds * uses for seconds, (_, uses) in zip(kernel_s, kernels, strict=True)]


def _seconds(function: Callable[[], object], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def two_workers_over_one(config: GanConfig, rounds: int) -> float:
    """Speed of two processes of one thread that share the batch over that of one process of two threads."""
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(_worker, (config, rounds, folder), nprocs=2)
        two, one = json.loads((Path(folder) / "seconds.json").read_text())
    return float(one / two)


def _worker(rank: int, config: GanConfig, rounds: int, folder: str) -> None:
    """Rank 0 takes turns: steps together with rank 1, and steps alone with two threads while rank 1 waits."""
    keep_freed_memory()
    device = torch.device("cpu")
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    half = dataclasses.replace(config, batch=config.batch // 2)
    together, alone = our_step(half, device, UNCOMPILED, world_size=2), our_step(config, device, UNCOMPILED)
    together_s, alone_s = [], []
    for _ in range(rounds):
        torch.set_num_threads(1)
        dist.barrier()
        together_s.append(_seconds_a_step(together))
        dist.barrier()
        if rank == 0:
            torch.set_num_threads(2)
            alone_s.append(_seconds_a_step(alone))
    dist.barrier()
    if rank == 0:
        # medians: minima would compare the luckiest of many steps alone with the luckiest pair of steps
        medians = [statistics.median(together_s), statistics.median(alone_s)]
        (Path(folder) / "seconds.json").write_text(json.dumps(medians))
    dist.destroy_process_group()


def _seconds_a_step(step: Callable[[], None]) -> float:
    step()  # the first after a change of threads pays for it
    began = time.perf_counter()
    for _ in range(STEPS_A_TURN):
        step()
    return (time.perf_counter() - began) / STEPS_A_TURN


def _figures(
    config: GanConfig, step_s: dict[str, float], convolutions_s: float, device: torch.device
) -> dict[str, float | str | int]:
    speed = {f"{name}_images_per_s": config.batch / seconds for name, seconds in step_s.items()}
    ours = max(value for name, value in speed.items() if name.startswith("ours"))
    common, ceiling = speed["common_images_per_s"], config.batch / convolutions_s
    return {
        "ours_images_per_s": ours,
        **speed,
        "ceiling_images_per_s": ceiling,
        "ours_over_common": ours / common,
        "ours_over_ceiling": ours / ceiling,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
    }


def _print(figures: dict[str, float | str | int]) -> None:
    for name, value in figures.items():
        print(f"{name:32} {value:.3g}" if isinstance(value, float) else f"{name:32} {value}")
    rounded = {
        name: round(value, 3) if isinstance(value, float) else value for name, value in figures.items()
    }
    print(json.dumps(rounded))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in (("resolution", 64), ("width", 64), ("batch", 64), ("rounds", 15), ("threads", 0)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--no-compile", action="store_true", help="leave the compiled step out")
    parser.add_argument("--no-workers", action="store_true", help="leave the comparison with two workers out")
    return parser.parse_args()


if __name__ == "__main__":
    main()
