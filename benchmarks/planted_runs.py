"""Short runs, each pushed into a known trouble or left healthy, for `planted_troubles.py`.

A plant has settings, and perhaps others from a tick on, at which the trouble begins. Its numbers are kept,
so that verdicts can be read anew without training.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from archive import unpacked

from gan.config import GanConfig
from gan.data.images import Images
from gan.data.loading import load_images
from gan.image_grid import png_bytes
from gan.training.run import Diverged, GanRun

DATA = Path(__file__).parents[2] / "shared" / "data"
RUNS = Path.home() / ".cache" / "artsweep" / "planted-runs"
TICKS = 10

Values = Mapping[str, Any]


def _rates(generator: float, discriminator: float) -> Values:
    return {"optimizer.generator_lr": generator, "optimizer.discriminator_lr": discriminator}


HEALTHY = _rates(4e-4, 2e-4)
AT_ONCE: Values = {"ema_half_life": 100}
"""The generator's average follows the generator at once, so that the tick of an onset is known."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plant:
    """A trouble and the settings that lead to it."""

    right: tuple[str, ...]
    """The verdicts that are right from the onset on."""
    values: Values
    later: Values = dataclasses.field(default_factory=dict)
    """Settings that change after `changes_after` ticks."""
    changes_after: int = 0
    onset: int = 3
    """The tick, counted from 1, in which the trouble has begun: where it was planted from the start, the
    third, before which no trouble but divergence can be told from youth."""
    ticks: int = TICKS
    images_per_tick: int = 2_000
    data: Values = dataclasses.field(default_factory=dict)
    """Settings of the data that are other than usual."""


PLANTS: dict[str, Plant] = {
    "base": Plant(right=("healthy",), values=HEALTHY),
    "equal rates": Plant(right=("healthy",), values=_rates(2e-4, 2e-4)),
    "hinge": Plant(
        right=("healthy",), values={**HEALTHY, "loss.name": "hinge", "network.spectral_norm": True}
    ),
    "wasserstein": Plant(
        right=("healthy",),
        values={
            **_rates(2e-4, 2e-4),
            "loss.name": "wasserstein",
            "balance.policy": "steps",
            "balance.discriminator_steps": 2,
        },
    ),
    # long enough for samples that are good: on the shapes' white ground nearly all values are then burnt out
    "high rates, longer": Plant(right=("healthy",), values=_rates(1e-3, 1e-3), images_per_tick=8_000),
    # its average goes on improving for some ticks
    "tiny generator rate": Plant(right=("discriminator_won",), values=_rates(1e-6, 5e-4), onset=6, ticks=12),
    "generator slowed": Plant(
        right=("discriminator_won", "stalled"),
        values=HEALTHY,
        later={**_rates(1e-7, 1e-3), **AT_ONCE},
        changes_after=6,
        onset=8,
        ticks=14,
    ),
    "discriminator rests": Plant(
        right=("generator_won",), values={**HEALTHY, "balance.policy": "loss", "balance.loss_threshold": 1e5}
    ),
    "tiny discriminator rate": Plant(right=("generator_won",), values=_rates(1e-3, 1e-6)),
    "discriminator slowed": Plant(
        right=("generator_won", "decayed"),
        values=HEALTHY,
        later=_rates(2e-3, 1e-7),
        changes_after=6,
        onset=9,
        ticks=13,
    ),
    "rate of one": Plant(right=("diverged",), values=_rates(1.0, 1.0), onset=1),
    "rate of one, later": Plant(
        right=("diverged", "mode_collapse"),
        values=HEALTHY,
        later=_rates(1.0, 2e-4),
        changes_after=6,
        onset=7,
    ),
    "one latent number": Plant(right=("mode_collapse",), values={**HEALTHY, "network.latent_size": 1}),
    "sixty-four pictures": Plant(
        right=("memorizing",),
        values=_rates(1e-3, 5e-4),
        data={"max_images": 80, "held_out": 16},
        images_per_tick=8_000,
        ticks=8,
    ),
    # stalled is what has not moved for six ticks
    "rates of nothing, later": Plant(
        right=("stalled", "discriminator_won"),
        values=HEALTHY,
        later={**_rates(1e-9, 1e-9), **AT_ONCE},
        changes_after=6,
        onset=13,
        ticks=17,
    ),
}


def data_values(name: str) -> dict[str, Any]:
    """Settings of a data set by its name."""
    if name == "mnist":
        return {"data.source": "mnist", "data.root": str(DATA / "mnist")}
    if name == "cifar10":
        return {"data.source": str(unpacked(DATA / "cifar10"))}
    return {"data.source": name}


def config_of(plant: Plant, data: str, seed: int, width: int) -> GanConfig:
    """The settings with which a plant begins."""
    return GanConfig().with_values(
        {
            "network.width": width,
            "images_per_tick": plant.images_per_tick,
            "images": plant.images_per_tick * plant.ticks,
            "seed": seed,
            **data_values(data),
            **{f"data.{name}": value for name, value in plant.data.items()},
            **plant.values,
        }
    )


def run_file(name: str, data: str, seed: int, width: int) -> Path:
    """Where a plant's rows are kept; its last grid of samples has the same name and ends in .png."""
    return RUNS / f"{data}-{seed}-{width}-{name.replace(' ', '_')}.json"


def rows_of(name: str, data: str, seed: int, width: int) -> list[dict[str, float]]:
    """The numbers of a plant's ticks, trained once; the last is {} where the run diverged."""
    file = run_file(name, data, seed, width)
    if not file.exists():
        RUNS.mkdir(parents=True, exist_ok=True)
        plant = PLANTS[name]
        config = config_of(plant, data, seed, width)
        rows = list(_trained(plant, config, load_images(config.data), file.with_suffix(".png")))
        file.write_text(json.dumps(rows))
    rows_read: list[dict[str, float]] = json.loads(file.read_text())
    return rows_read


def _trained(plant: Plant, config: GanConfig, images: Images, picture: Path) -> Iterator[dict[str, float]]:
    run = GanRun(config, images)
    for tick in range(plant.ticks):
        if tick == plant.changes_after and plant.later:
            state = run.state_dict()
            run = GanRun(config.with_values(dict(plant.later)), images)
            run.load_state_dict(state)
        try:
            yield run.tick()
        except Diverged:
            yield {}
            return
        picture.write_bytes(png_bytes(run.sample_grid()))
