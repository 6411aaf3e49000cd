"""The cases of `gpu.py`: training, evaluation, samples, style transfer, ranks, and faults of GPUs."""

import concurrent.futures
import contextlib
import dataclasses
import functools
import itertools
import math
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing
import torch.nn.functional as F
from gpu_speed import speed
from torch import Tensor, nn

from common import memory
from common.device import exact_float32
from gan import generation
from gan.config import (
    BalanceConfig,
    DataConfig,
    EvaluationConfig,
    GanConfig,
    LossConfig,
    NetworkConfig,
    OptimizerConfig,
)
from gan.data.images import Images
from gan.distributed import Ranks
from gan.metrics.evaluation import evaluate, real_features
from gan.metrics.preparation import metric_of_run, prepare_metric
from gan.networks import build_generator
from gan.training import compilation
from gan.training.balance import POLICIES
from gan.training.losses import LOSSES
from gan.training.players import build_players, players_tensors
from gan.training.run import GanRun
from gan.training.step import UNCOMPILED, Passes, step_settings, train_step
from perceptual.embedding import load_embedder
from perceptual.inception import InceptionEmbedder
from perceptual.loading import load_network
from styletransfer.config import StyleConfig
from styletransfer.transfer.moments import Moments
from styletransfer.transfer.scales import resized
from styletransfer.transfer.statistics.wasserstein import wasserstein_distance
from styletransfer.transfer.stylize import stylize
from tune.worker_groups.messages import WorkerCommand
from tune.worker_groups.session import WorkerSession

Figures = dict[str, Any]
Case = Callable[[Figures], None]
CPU = torch.device("cpu")
STEPS, BATCH = 20, 16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """Where the cases run, and how large they are."""

    device: torch.device
    backend: str
    """What compiles: Inductor on a GPU; on a CPU a backend that needs no C++ compiler."""
    sides: tuple[int, int]
    """Sides in pixels of the two stylized pictures."""
    enlarged: int
    """How many times as large a picture is before it is shrunk in one go."""


GPU = Setting(device=torch.device("cuda"), backend="inductor", sides=(512, 4096), enlarged=64)
SMALL = Setting(device=CPU, backend="aot_eager", sides=(32, 64), enlarged=8)

# How far numbers may be from the CPU's in float32. `weights`: distance of the weights after 20 steps over the
# way that training has moved them. Measured on a CPU: other kernels 5e-7 in fp32, 0.11 to 0.2 in bf16; TF32
# has an eighth of bf16's rounding and must fail in fp32. In bf16 a policy may decide otherwise in a step.
TOLERANCES = {
    "fp32": {"weights": 0.005, "loss": 0.001, "skipped": 0.0},
    "bf16": {"weights": 0.5, "loss": 0.05, "skipped": 0.15},
}
# in the middle of the losses of 20 steps, so that the discriminator rests in some of them
LOSS_THRESHOLDS = {"hinge": 1.8, "least-squares": 0.2, "non-saturating": 1.33, "wasserstein": 0.0}


def all_cases(device: str) -> dict[str, Case]:
    """All cases by name: first what is new, then what takes long."""
    setting = GPU if device == "cuda" else SMALL
    named: dict[str, Callable[[Setting, Figures], None]] = {
        "exact_float32": float32_is_exact,
        "inception_is_exact": inception_is_exact,
        "kernels_are_chosen_in_a_tick": kernels_are_chosen_in_a_tick,
        "driver_opens_no_gpu": driver_opens_no_gpu,
        "memory_share": memory_share,
        "memory_comes_back": memory_comes_back,
        "tick_is_repeated_once": tick_is_repeated_once,
        "compiler_error_moves_nothing": compiler_error_moves_nothing,
        "backward_is_compiled_first": backward_is_compiled_first,
        "out_of_memory_keeps_compiled_code": out_of_memory_keeps_compiled_code,
        "shrinking": shrinking,
        "eigenvalues": eigenvalues,
        "samples": samples,
        "metric": metric,
        "evaluation": evaluation,
        "stylize_small": stylize_small,
        "stylize_large": stylize_large,
        "ranks": ranks,
    }
    cases: dict[str, Case] = {name: functools.partial(case, setting) for name, case in named.items()}
    for compiled in (False, True):
        if compiled:  # before the many that compile
            cases |= {
                f"speed/{side}": functools.partial(speed, side, setting.device, setting.backend)
                for side in (32, 64)
            }
        for precision, loss, policy in itertools.product(TOLERANCES, LOSSES, POLICIES):
            name = f"train/{loss}/{policy}/{precision}/{'compiled' if compiled else 'plain'}"
            cases[name] = functools.partial(training, setting, loss, policy, precision, compiled)
    return cases


def check(figures: Figures, name: str, value: float, most: float) -> None:
    """Note a figure, and raise an error unless it is at most `most`; NaN is not."""
    figures[name] = round(float(value), 9) if math.isfinite(value) else str(value)  # JSON has no NaN
    if not value <= most:
        raise AssertionError(f"{name} is {value:.3g}, more than {most:.3g}")


def distance(found: Tensor, expected: Tensor) -> float:
    """Distance over the length of what is expected."""
    found, expected = found.detach().cpu().double(), expected.detach().cpu().double()
    return float((found - expected).norm() / expected.norm().clamp_min(1e-30))


def pictures(count: int, side: int, seed: int = 0) -> np.ndarray:
    """Squares of random colours, uint8 (count, side, side, 3)."""
    colours = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    return colours.repeat(side // 4, axis=1).repeat(side // 4, axis=2)


def images(side: int, count: int = 200) -> Images:
    """Pictures with labels, half of them held out."""
    pixels = pictures(2 * count, side)
    labels = np.arange(2 * count) % 4
    return Images(
        train=pixels[:count],
        held_out=pixels[count:],
        train_labels=labels[:count],
        held_out_labels=labels[count:],
        class_names=("a", "b", "c", "d"),
        skipped=(),
        fingerprint=f"gpu-check-{side}-{count}",
    )


def config_of(loss: str = "non-saturating", policy: str = "none", **values: Any) -> GanConfig:
    """A tiny run of one tick of 20 steps, in which the discriminator and the generator each rest at times."""
    return GanConfig(
        data=DataConfig(resolution=16),
        network=NetworkConfig(width=8, latent_size=8),
        loss=LossConfig(name=loss),
        balance=BalanceConfig(
            policy=policy,
            discriminator_steps=2,
            loss_threshold=LOSS_THRESHOLDS.get(loss, 1.0),
            accuracy_threshold=0.48,
        ),
        optimizer=OptimizerConfig(generator_lr=1e-3, discriminator_lr=1e-3),
        evaluation=EvaluationConfig(metric="swd", metric_images=32),
        batch=BATCH,
        images=STEPS * BATCH,
        images_per_tick=STEPS * BATCH,
        precision="fp32",
        compile="off",
    ).with_values(values)


# --- training


@dataclasses.dataclass(frozen=True)
class Trained:
    """A run's numbers, and its tensors before and after."""

    row: dict[str, float]
    before: dict[str, Tensor]
    after: dict[str, Tensor]

    def error(self, expected: "Trained") -> float:
        """Distance of the networks' weights over the way that the expected ones have moved."""
        names = [
            name
            for name in expected.after
            if name.startswith(("generator.", "discriminator.")) and name.endswith((".weight", ".bias"))
        ]
        found, wanted, start = (
            torch.cat([tensors[name].flatten().double() for name in names])
            for tensors in (self.after, expected.after, expected.before)
        )
        return float((found - wanted).norm() / (wanted - start).norm())


def trained(config: GanConfig, device: torch.device, **ranks: int) -> Trained:
    """A run of one tick."""
    run = GanRun(config, images(config.data.resolution), device=device, **ranks)
    before = run.state_dict().tensors
    row = run.tick()
    return Trained(row, before, run.state_dict().tensors)


@functools.cache
def on_cpu(loss: str, policy: str) -> Trained:
    """The run that others are compared with: on the CPU, in float32, uncompiled."""
    return trained(config_of(loss, policy), CPU)


def training(
    setting: Setting, loss: str, policy: str, precision: str, compiled: bool, figures: Figures
) -> None:
    """20 steps are those of the CPU."""
    config = config_of(loss, policy, precision=precision, compile="on" if compiled else "off")
    with _backend(setting.backend):
        found = trained(config, setting.device)
    expected, most = on_cpu(loss, policy), TOLERANCES[precision]
    others = 0.0
    for name in ("generator_skipped", "discriminator_skipped"):
        figures[name] = expected.row[name]
        others += abs(found.row[name] - expected.row[name])
    check(figures, "decided_otherwise", others, most["skipped"])
    for name in ("generator_loss", "discriminator_loss"):
        scale = max(1.0, abs(expected.row[name]))
        check(figures, name, abs(found.row[name] - expected.row[name]) / scale, most["loss"])
    # of steps in which others have trained, the weights are others
    check(figures, "weights", found.error(expected), math.inf if others else most["weights"])


@contextlib.contextmanager
def _backend(backend: Any) -> Iterator[None]:
    """Compile with this backend."""
    compiled = functools.partial(compilation.compiled_passes, backend=backend)
    with mock.patch.object(compilation, "compiled_passes", compiled):
        yield


def _after_steps(setting: Setting, passes: Passes, config: GanConfig, steps: int = 3) -> dict[str, Tensor]:
    """All tensors after some steps."""
    players = build_players(config, channels=3, device=setting.device)
    settings = step_settings(config, device=setting.device, world_size=1)
    randomness = torch.Generator().manual_seed(0)
    side = config.data.resolution
    for _ in range(steps):
        real = torch.rand(BATCH, 3, side, side, generator=randomness) * 2 - 1
        latents = torch.randn(BATCH, config.network.latent_size, generator=randomness)
        train_step(
            players,
            real.to(setting.device, memory_format=torch.channels_last),
            latents.to(setting.device),
            None,
            settings,
            passes,
            generator_trains=True,
            discriminator_trains=lambda: True,
        )
    return players_tensors(players)


def _same_state(setting: Setting, figures: Figures, passes: Passes) -> None:
    """Steps with these passes end where uncompiled ones do; BatchNorm has counted each pass once."""
    for spectral_norm in (False, True):
        config = config_of(**{"network.spectral_norm": spectral_norm})
        found = _after_steps(setting, passes, config)
        expected = _after_steps(setting, UNCOMPILED, config)
        counters = [name for name in expected if name.endswith("num_batches_tracked")]
        moved = [name for name in counters if not torch.equal(found[name], expected[name])]
        assert not moved, f"counted too often: {', '.join(moved)}"
        kind = "spectral" if spectral_norm else "batch_norm"
        states = {name: tensor for name, tensor in expected.items() if name.endswith((".u", "_mean", "_var"))}
        worst = max(distance(found[name], tensor) for name, tensor in states.items())
        check(figures, f"{kind}_state", worst, 0.01)


def compiler_error_moves_nothing(setting: Setting, figures: Figures) -> None:
    """Where the compiler fails, training goes on uncompiled as if it had never tried."""

    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("planted")

    _same_state(setting, figures, compilation.compiled_passes(setting.device.type, backend=broken))


def backward_is_compiled_first(setting: Setting, figures: Figures) -> None:
    """The same where only the backward pass cannot be compiled."""
    from torch._dynamo.backends.common import aot_autograd

    def broken(graph: Any, inputs: Any) -> Any:
        raise RuntimeError("planted")

    backend = aot_autograd(fw_compiler=lambda graph, inputs: graph.forward, bw_compiler=broken)
    _same_state(setting, figures, compilation.compiled_passes(setting.device.type, backend=backend))


def out_of_memory_keeps_compiled_code(setting: Setting, figures: Figures) -> None:
    """A lack of memory is raised, and the compiled code is used again afterwards."""
    state = {"short": False, "runs": 0}

    def backend(graph: Any, inputs: Any) -> Any:
        def run(*args: Any) -> Any:
            state["runs"] += 1
            if state["short"]:
                _run_out_of_memory(setting.device)
            return graph(*args)

        return run

    passes = compilation.compiled_passes(setting.device.type, backend=backend)
    _after_steps(setting, passes, config_of(), steps=1)
    state["short"] = True
    try:
        _after_steps(setting, passes, config_of(), steps=1)
    except torch.OutOfMemoryError:
        state["short"] = False
    assert not state["short"], "the lack of memory was not raised"
    before = state["runs"]
    _after_steps(setting, passes, config_of(), steps=1)
    figures["compiled_runs"] = state["runs"] - before
    assert state["runs"] - before == 3, "the compiled code was given up"


def _run_out_of_memory(device: torch.device) -> None:
    if device.type == "cuda":
        torch.empty(2**50, dtype=torch.uint8, device=device)
    raise torch.OutOfMemoryError("out of memory, planted")


# --- precision, kernels


def float32_is_exact(setting: Setting, figures: Figures) -> None:
    """Convolutions and products have float32's error in the block; after it the settings are as before."""
    randomness = torch.Generator().manual_seed(0)
    a, b = torch.randn(8, 64, 32, 32, generator=randomness), torch.randn(64, 64, 3, 3, generator=randomness)
    convolved = F.conv2d(a.double(), b.double())
    product = a.double().view(512, 1024) @ b.double().view(1024, 36)
    a, b = a.to(setting.device), b.to(setting.device)

    def errors() -> tuple[float, float]:
        return distance(F.conv2d(a, b), convolved), distance(a.view(512, 1024) @ b.view(1024, 36), product)

    for asked in ("highest", "high"):
        torch.set_float32_matmul_precision(asked)
        figures[f"conv_by_default_{asked}"], figures[f"product_by_default_{asked}"] = before = errors()
        with exact_float32():
            conv, found = errors()
        # TF32: 3e-4; fast algorithms for float32 may have ten times the rounding of plain sums
        check(figures, f"conv_{asked}", conv, 3e-5)
        check(figures, f"product_{asked}", found, 3e-5)
        assert torch.get_float32_matmul_precision() == asked and torch.backends.cudnn.allow_tf32
        assert np.allclose(errors(), before, rtol=0.5), "the settings were not restored"
    torch.set_float32_matmul_precision("highest")


class _Extractor(nn.Module):
    """Stands in for Inception, whose weights need a download."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.layers = nn.Sequential(*(nn.Conv2d(3 if at == 0 else 64, 64, 3) for at in range(4)))

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (self.layers(images.float() / 255).mean(dim=(2, 3)),)


def inception_is_exact(setting: Setting, figures: Figures) -> None:
    """The embedder that is always float32 gives the CPU's vectors."""
    shown = torch.from_numpy(pictures(8, 32))
    found, expected = (
        InceptionEmbedder(_Extractor(), device).embed(shown)  # type: ignore[arg-type]
        for device in (setting.device, CPU)
    )
    check(figures, "vectors", distance(found, expected), 3e-5)


def kernels_are_chosen_in_a_tick(setting: Setting, figures: Figures) -> None:
    """In a tick cuDNN chooses its kernels and float32 is exact; afterwards the settings are as before."""
    conv = torch.backends.cudnn.conv
    before = (torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32)
    seen: set[tuple[bool, str]] = set()
    run = GanRun(
        config_of(),
        images(16),
        device=setting.device,
        on_step=lambda progress: seen.add((torch.backends.cudnn.benchmark, conv.fp32_precision)),
    )
    run.tick()
    assert seen == {(True, "ieee")}, f"in the step: {seen}"
    assert (torch.backends.cudnn.benchmark, torch.backends.cudnn.allow_tf32) == before


def shrinking(setting: Setting, figures: Figures) -> None:
    """A large picture shrinks to its coarsest scale as on the CPU."""
    side = 64 * setting.enlarged
    large = torch.from_numpy(pictures(1, side)).permute(0, 3, 1, 2).float() / 255
    expected = resized(large, 64, 64)
    found = resized(large.to(setting.device), 64, 64)
    check(figures, "difference", float((found.cpu() - expected).abs().max()), 0.01)


def eigenvalues(setting: Setting, figures: Figures) -> None:
    """The Wasserstein distance and its gradient are the CPU's; seconds of its eigenvalues on each device."""
    points = torch.rand(2, 400, 64, generator=torch.Generator().manual_seed(0))
    moments = [Moments(each.mean(0)[None, None], (each.T @ each / 400)[None, None]) for each in points]

    def value_and_slope(device: torch.device) -> list[Tensor]:
        target, found = (Moments(*(part.to(device) for part in each)) for each in moments)
        second = found.second.clone().requires_grad_()
        value = wasserstein_distance(target)(Moments(found.mean, second))
        return [value, *torch.autograd.grad(value.sum(), second)]

    pairs = zip(value_and_slope(setting.device), value_and_slope(CPU), strict=True)
    for name, (found, expected) in zip(("value", "slope"), pairs, strict=True):
        check(figures, name, distance(found, expected), 1e-4)
    for size in (64, 320, 512):
        matrix = torch.rand(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        for device in {setting.device, CPU}:
            symmetric = (matrix @ matrix.T).to(device).requires_grad_()
            seconds = [_timed(lambda: torch.linalg.eigvalsh(symmetric).sum().backward()) for _ in range(4)]  # noqa: B023
            figures[f"eigvalsh_{size}_{device.type}_ms"] = round(1000 * min(seconds), 3)


def _timed(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter() - began


# --- memory, and who opens a GPU


def _apart(function: Callable[..., Any], *args: Any) -> Any:
    """What a function returns in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *args).result(timeout=100)


def driver_opens_no_gpu(setting: Setting, figures: Figures) -> None:
    """A driver prepares the metric without opening a GPU."""
    assert not _apart(prepared_by_a_driver), "the driver has opened the GPU"


def prepared_by_a_driver() -> bool:
    """Prepare the default metric; returns whether CUDA is open then."""
    with tempfile.TemporaryDirectory() as folder:
        prepare_metric(config_of(**{"evaluation.metric": "fd_compact", "data.cache": folder}), images(16))
    return torch.cuda.is_initialized()


def memory_share(setting: Setting, figures: Figures) -> None:
    """With a quarter of a GPU a process gets less than a quarter of its memory, and its own error."""
    if setting.device.type == "cuda":
        total = torch.cuda.get_device_properties(0).total_memory
        free = torch.cuda.mem_get_info()[0]
        got, free_with_context = _apart(filled_share, 0.25)
        figures["context_mib"] = round((free - free_with_context) / 2**20)
        check(figures, "share", got / total, 0.25)
        assert got / total > 0.1, "its share is too small"


def filled_share(share: float) -> tuple[int, int]:
    """Bytes that a process with this share of a GPU gets, and how many were free when it had none yet."""
    device = torch.device("cuda", 0)
    nn.Conv2d(3, 8, 3, device=device)(torch.zeros(1, 3, 16, 16, device=device)).sum().backward()
    free = torch.cuda.mem_get_info()[0]
    memory.limit_to_share(share, device)
    kept: list[Tensor] = []
    with contextlib.suppress(torch.OutOfMemoryError):
        while True:
            kept.append(torch.empty(2**28, dtype=torch.uint8, device=device))
    return sum(len(each) for each in kept), free


def memory_comes_back(setting: Setting, figures: Figures) -> None:
    """After a lack of memory what the failed attempt held is free, although the error is still at hand."""
    if setting.device.type != "cuda":
        return

    def attempt() -> None:
        held = torch.empty(2**29, dtype=torch.uint8, device=setting.device)
        held.zero_()
        _run_out_of_memory(setting.device)

    memory.release()
    before = torch.cuda.memory_reserved()
    try:
        attempt()
    except torch.OutOfMemoryError as error:
        figures["held_mib"] = (torch.cuda.memory_reserved() - before) // 2**20
        memory.release(error)
        check(figures, "kept_mib", (torch.cuda.memory_reserved() - before) / 2**20, 1)


def tick_is_repeated_once(setting: Setting, figures: Figures) -> None:
    """A trial that runs out of memory once goes on with the numbers that it would have had."""
    expected = trained(config_of(), setting.device).row
    session = WorkerSession(images(16), setting.device, 0, 1)
    session.keeps_state = True
    session.execute(WorkerCommand("begin", config=config_of()))
    tick, times = GanRun.tick, itertools.count()

    def short_of_memory(run: GanRun) -> dict[str, float]:
        row = tick(run)  # the state has moved
        if next(times) == 0:
            _run_out_of_memory(setting.device)
        return row

    with mock.patch.object(GanRun, "tick", short_of_memory):
        found = session.execute(WorkerCommand("tick"))
    assert next(times) == 2 and found["images_seen"] == expected["images_seen"]
    error = abs(found["generator_loss"] - expected["generator_loss"])
    check(figures, "generator_loss", error, TOLERANCES["fp32"]["loss"])


# --- pictures


def samples(setting: Setting, figures: Figures) -> None:
    """Samples are those of the CPU."""
    for precision, most in (("fp32", 0.01), ("bf16", 3.0)):
        config = config_of(precision=precision, **{"network.width": 32})
        generator = build_generator(config.network, resolution=16, channels=3, seed=1).eval()
        latents = generation.random_latents(config, 300, seed=0)
        expected = generation.sample(generator, latents, config_of())
        found = generation.sample(generator.to(setting.device), latents, config)
        levels = np.abs(found.astype(float) - expected).mean()
        check(figures, f"{precision}_mean_levels", levels, most)


def metric(setting: Setting, figures: Figures) -> None:
    """The metrics that a tick measures are those of the CPU."""
    shown = torch.from_numpy(pictures(100, 32, seed=1))
    for name in ("fd_compact", "kid_compact", "swd"):
        rows = []
        for device in (setting.device, CPU):
            # a cache for each device, so that neither takes the other's features
            with tempfile.TemporaryDirectory() as folder:
                values = {"evaluation.metric": name, "evaluation.metric_images": 100, "data.cache": folder}
                config = config_of(**values)
                data = dataclasses.replace(images(32), fingerprint=f"gpu-check-{device.type}")
                rows.append(metric_of_run(config, data, device=device).measure(shown.to(device), Ranks()))
        found, expected = (row[config.evaluation.key()] for row in rows)
        check(figures, name, abs(found - expected) / abs(expected), 0.05)


def evaluation(setting: Setting, figures: Figures) -> None:
    """All measures are those of the CPU."""
    data, shown = images(32), torch.from_numpy(pictures(200, 32, seed=1))
    found, expected = (
        evaluate(embedder.embed(shown).cpu(), real_features(data, embedder, None), seed=0)
        for embedder in (load_embedder("compact", device=device) for device in (setting.device, CPU))
    )
    for one, other in zip(found.measures, expected.measures, strict=True):
        scale = max(0.1, abs(other.value))
        check(figures, one.name.split("_compact")[0], abs(one.value - other.value) / scale, 0.1)


def _pair(side: int) -> tuple[np.ndarray, np.ndarray]:
    """A content and a style, floats (side, side, 3) in [0, 1]."""
    rows = np.linspace(0, 1, side, dtype=np.float32)
    content = np.stack(np.broadcast_arrays(rows[:, None], rows[None], 0.5 * rows[:, None]), axis=2)
    stripes = 0.5 + 0.5 * np.sin(40 * rows[:, None] + 15 * rows[None])
    style = np.stack([stripes, stripes**2, 1 - stripes], axis=2).astype(np.float32)
    return np.ascontiguousarray(content, dtype=np.float32), style


def stylize_small(setting: Setting, figures: Figures) -> None:
    """A stylized pair is that of the CPU, in float32; with the default settings it comes out finite."""
    side = setting.sides[0]
    config = StyleConfig(size=side, iterations=12, scales=2, optimizer="adam", precision="fp32")
    network = load_network("compact", last_tap=config.last_tap())
    expected = stylize(*_pair(side), config, network=network)
    network = network.to(setting.device)
    found = stylize(*_pair(side), config, network=network, device=setting.device)
    check(figures, "difference", np.abs(found.picture - expected.picture).mean(), 0.01)
    error = abs(found.losses["total"] - expected.losses["total"]) / expected.losses["total"]
    check(figures, "total_loss", error, 0.02)
    if setting.device.type == "cuda":
        config = StyleConfig(size=side)
        figures["default_s"] = round(
            _timed(lambda: stylize(*_pair(side), config, network=network, device=setting.device)), 2
        )


def stylize_large(setting: Setting, figures: Figures) -> None:
    """A large pair comes out finite; in tiles it is the same."""
    side = setting.sides[1]
    config = StyleConfig(size=side, iterations=16, optimizer="adam", precision="fp32")
    network = load_network("compact", last_tap=config.last_tap()).to(setting.device)
    stylized = []
    for tile in (0, max(64, side // 4)):
        if setting.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        tiled = dataclasses.replace(config, tile=tile)
        stylized.append(stylize(*_pair(side), tiled, network=network, device=setting.device).picture)
        kind = "tiled" if tile else "whole"
        figures[f"{kind}_s"] = round(time.perf_counter() - began, 2)
        if setting.device.type == "cuda":
            figures[f"{kind}_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
    whole, in_tiles = stylized
    assert np.isfinite(whole).all() and whole.std() > 0.01
    check(figures, "difference", np.abs(whole - in_tiles).mean(), 0.01)


# --- ranks


def ranks(setting: Setting, figures: Figures) -> None:
    """As many ranks as there are GPUs end where one does."""
    count = torch.cuda.device_count() if setting.device.type == "cuda" else 2
    figures["ranks"] = count
    # each has its own images of the batch, and BatchNorm sees them all
    config = config_of(**{"network.sync_batch_norm": True, "batch": 16 * count, "images": STEPS * 16 * count})
    config = config.with_values({"images_per_tick": config.images})
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(one_rank, (count, setting.device.type, config, folder), nprocs=count)
        after = torch.load(Path(folder, "after.pt"), weights_only=True)
    expected = trained(config, CPU)
    check(figures, "weights", Trained({}, {}, after).error(expected), TOLERANCES["fp32"]["weights"])


def one_rank(rank: int, count: int, kind: str, config: GanConfig, folder: str) -> None:
    """One rank's part; the first saves the tensors."""
    device = torch.device(kind, rank) if kind == "cuda" else CPU
    if kind == "cuda":
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(1)
    dist.init_process_group(
        "nccl" if kind == "cuda" else "gloo",
        init_method=f"file://{folder}/meeting",
        rank=rank,
        world_size=count,
    )
    total = torch.full((1000,), float(rank + 1), device=device)
    dist.all_reduce(total)
    assert math.isclose(float(total.mean()), count * (count + 1) / 2)
    run = trained(config, device, rank=rank, world_size=count)
    if rank == 0:
        torch.save(run.after, Path(folder, "after.pt"))
    dist.barrier()
    dist.destroy_process_group()
