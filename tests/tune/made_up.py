"""Sweeps that nobody trained: plausible events and grids in a sweep's folder, without Ray and PyTorch."""

import dataclasses
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gan.config import GanConfig
from tune.config import SweepConfig
from tune.records.events import (
    CheckpointSaved,
    EventLog,
    StateConfirmed,
    SweepEvent,
    SweepStarted,
    Tick,
    TrialEnded,
    TrialStarted,
)
from tune.records.grids import grid_name
from tune.records.sweep_folder import SweepFolder
from tune.records.trial_records import collect, states_best_first
from tune.space.domains import Choice, Float
from tune.space.space import Space, baseline

METRIC = "fd_lite0_1k"
RATES = Float(1e-5, 2e-3, log=True)
SPACE = Space(
    {
        "optimizer.generator_lr": RATES,
        "optimizer.discriminator_lr": RATES,
        "optimizer.beta1": Float(0.0, 0.9),
        "balance.policy": Choice(("none", "loss", "accuracy")),
        "balance.loss_threshold": Float(0.1, 0.7, when={"balance.policy": ("loss",)}),
        "balance.accuracy_threshold": Float(0.6, 0.95, when={"balance.policy": ("accuracy",)}),
    }
)
"""Its own: what is said of these sweeps must not change with the default one."""
NOISE = 0.004
BEGIN = 1_790_000_000.0
"""When the first session starts, in seconds since 1970."""


@dataclasses.dataclass
class Made:
    """A made-up sweep: its folder and its events so far, which `write` puts there."""

    folder: SweepFolder
    config: SweepConfig
    space: Space
    events: list[SweepEvent]

    @property
    def location(self) -> str:
        """Of the sweep's folder."""
        return self.folder.location

    def write(self) -> str:
        """Write the event log; returns the sweep's location."""
        with EventLog(self.location) as log:
            log.append(b"")  # a sweep without events has a log as well
            for event in self.events:
                log.record(event)
        self.events = []
        return self.location


def empty(
    storage: Path | str, name: str = "shapes-made-up", *, space: Space | None = None, **settings: Any
) -> Made:
    """A sweep that has begun, and has no trial yet."""
    gan = GanConfig(images=64_000, images_per_tick=8_000)
    config = SweepConfig(**({"gan": gan, "name": name, "storage": str(storage), "trials": 8} | settings))
    space = space or SPACE
    folder = SweepFolder(str(storage), name)
    folder.begin(config, space, is_resumed=False)
    return Made(folder, config, space, [SweepStarted(trials=config.trials, time=BEGIN)])


def made_up(
    storage: Path | str,
    name: str = "shapes-made-up",
    *,
    trials: int = 8,
    ticks: int = 8,
    groups: int = 4,
    seed: int = 0,
    confirms: bool = True,
    grids: int = 0,
    prunes: bool = True,
    **settings: Any,
) -> Made:
    """A whole sweep. grids: trials that keep a grid a tick, which are the best ones. prunes: as ASHA does."""
    gan = GanConfig(images=8_000 * ticks, images_per_tick=8_000)
    made = empty(storage, name, gan=gan, trials=trials, **settings)
    draw = np.random.default_rng(seed)
    free_at = [BEGIN + 20.0] * groups
    lasts: list[float] = []
    for number in range(trials):
        group = int(np.argmin(free_at))
        values = baseline(made.space, gan) if number == 0 else _values(made.space, draw)
        free_at[group] = _train(
            made, number, values, group, free_at[group] + 0.1, ticks, lasts, draw, prunes=prunes
        )
    made.events.sort(key=lambda event: event.time)
    if confirms:
        confirm(made, max(free_at) + 5, draw)
    if grids:
        best = [trial.number for trial, _ in states_best_first(collect(made.events))]
        add_grids(made, list(dict.fromkeys([*best[:grids], 0])), ticks, draw)
    return made


def confirm(made: Made, time: float, draw: np.random.Generator) -> None:
    """Measure the best five states and the baseline's again."""
    states = states_best_first(collect(made.events))
    base = [(trial, state) for trial, state in states if trial.number == 0][:1]
    for trial, state in {state.path: (trial, state) for trial, state in [*states[:5], *base]}.values():
        assert state.value is not None
        made.events.append(
            StateConfirmed(
                number=trial.number,
                path=state.path,
                metric="fd_lite0_5k",
                value=state.value * float(np.exp(draw.normal(0, 0.03))) * 0.9,
                noise=NOISE / 4,
                second=state.value * 11,
                second_metric="fd_compact_5k",
                second_noise=0.05,
                time=time,
            )
        )


def add_grids(made: Made, numbers: list[int], ticks: int, draw: np.random.Generator) -> None:
    """Grids over time of these trials: discs that come out of noise; and `best/` of the first one."""
    for number in numbers:
        for tick in range(1, ticks + 1):
            made.folder.files.write(grid_name(number, 8_000 * tick), webp(discs(draw, tick / ticks)))
    buffer = io.BytesIO()
    Image.fromarray(discs(draw, 1.0, cells=8, side_px=64)).save(buffer, "PNG")
    made.folder.files.write("best/grid.png", buffer.getvalue())
    origin = f'{{"trial": {numbers[0]}, "images_seen": {8_000 * ticks}}}'
    made.folder.files.write("best/trial.json", origin.encode())


def discs(draw: np.random.Generator, clear: float, *, cells: int = 4, side_px: int = 40) -> np.ndarray:
    """A grid of pictures, uint8 (side, side, 3): noise at clear = 0, discs at 1."""
    y, x = np.mgrid[0:side_px, 0:side_px] / side_px
    rows = []
    for _ in range(cells):
        row = []
        for _ in range(cells):
            at, radius = draw.uniform(0.35, 0.65, 2), draw.uniform(0.18, 0.36)
            inside = np.hypot(x - at[0], y - at[1]) < radius
            back, front = draw.integers(0, 256, (2, 3))
            picture = np.where(inside[..., None], front, back) * clear
            row.append(picture + draw.uniform(0, 255, (side_px, side_px, 3)) * (1 - clear) ** 2)
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows).clip(0, 255).astype(np.uint8)


def webp(picture: np.ndarray) -> bytes:
    """A picture as a WebP file's content."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=75)
    return buffer.getvalue()


def _values(space: Space, draw: np.random.Generator) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for path, domain in space.items():
        if not space.is_active(path, values):
            continue
        if isinstance(domain, Choice):
            values[path] = domain.values[draw.integers(len(domain.values))]
        elif isinstance(domain, Float) and domain.log:
            values[path] = float(math.exp(draw.uniform(math.log(domain.low), math.log(domain.high))))
        else:
            drawn = draw.uniform(domain.low, domain.high)
            values[path] = float(drawn) if isinstance(domain, Float) else round(float(drawn))
    return values


def _train(
    made: Made,
    number: int,
    values: dict[str, Any],
    group: int,
    now: float,
    ticks: int,
    lasts: list[float],
    draw: np.random.Generator,
    *,
    prunes: bool,
) -> float:
    """One trial on one worker group; returns when that one is free again."""
    record = made.events.append
    trial_id = f"{number:05x}"
    record(TrialStarted(number=number, trial_id=trial_id, values=values, time=now))
    generator = float(values.get("optimizer.generator_lr", 2e-4))
    discriminator = float(values.get("optimizer.discriminator_lr", 2e-4))
    far = abs(math.log(generator / 4e-4)) + 0.5 * abs(math.log(discriminator / generator / 0.8))
    floor = 0.02 * math.exp(0.45 * far) * float(np.exp(draw.normal(0, 0.08)))
    diverges = generator > 1.2e-3 and number and draw.random() < 0.6
    end = TrialEnded(number=number, state="completed", trial_id=trial_id)
    for tick in range(1, ticks + 1):
        took = float(draw.uniform(5, 7))
        now += took
        if diverges and tick > 2:
            end = dataclasses.replace(
                end,
                state="failed",
                own_fault=True,
                verdict="diverged",
                reason="the generator's loss is not finite",
            )
            break
        value = (floor + 0.5 * math.exp(-tick / (0.12 * ticks + 1))) * float(np.exp(draw.normal(0, 0.04)))
        metrics = {
            METRIC: value,
            f"{METRIC}_noise": NOISE,
            "images_seen": 8_000.0 * tick,
            "discriminator_loss": 1.2 - 0.4 * far / 4 * tick / ticks + float(draw.normal(0, 0.03)),
            "generator_loss": 0.9 + 0.6 * far / 4 * tick / ticks + float(draw.normal(0, 0.05)),
            "accuracy_real": min(1.0, 0.6 + 0.08 * far + float(draw.normal(0, 0.02))),
            "accuracy_fake": min(1.0, 0.62 + 0.08 * far + float(draw.normal(0, 0.02))),
            "train_s": took * 0.9,
            "evaluate_s": took * 0.08,
        }
        record(
            Tick(
                number=number,
                trial_id=trial_id,
                images_seen=8_000 * tick,
                metrics=metrics,
                values=values,
                verdict="healthy",
                verdict_evidence=f"{METRIC} is {value:.4g}",
                worker_group=group,
                node=f"node-{group // 2}",
                time=now,
            )
        )
        path = f"trial_{number:04d}/checkpoint_{tick:06d}"
        record(CheckpointSaved(number=number, images_seen=8_000 * tick, path=path, value=value, time=now))
        if prunes and number and tick in (2, ticks // 2) and tick < ticks:
            if far > 4 and tick > 2:
                reason = "mode_collapse: spread fell to 12 % of the real images'"
                end = dataclasses.replace(end, state="pruned", verdict="mode_collapse", reason=reason)
                break
            if len(lasts) > 4 and value > sorted(lasts)[len(lasts) // 2] * (1.6 if tick == 2 else 1.2):
                end = dataclasses.replace(end, state="pruned")
                break
    if end.state == "completed":
        lasts.append(value)
    record(dataclasses.replace(end, time=now))
    return now
