"""Exports the best saved state of a sweep to `best/`: generator, settings, a sample grid."""

import json
from collections.abc import Mapping

from common.errors import ConfigError
from gan import checkpoint, generation, image_grid
from gan.config import GanConfig
from gan.run_folder import GENERATOR
from tune.records.sweep_folder import SweepFolder
from tune.records.trial_records import Trial, best_first
from tune.trial_keys import STATE_FILE

BEST = "best"
GRID_FILE = "grid.png"
GRID_IMAGES = 64


def export_best(folder: SweepFolder, trials: Mapping[int, Trial]) -> str | None:
    """Write `best/` from the best state that still exists; returns its path, None without a state.

    The sweep has removed states that were neither the best nor the last of their trial, so that some of those
    listed do not exist any more.

    Raises: WriteError when the folder cannot be written.
    """
    saved_states = ((state.value, (trial, state)) for trial in trials.values() for state in trial.checkpoints)
    for trial, saved in best_first(saved_states):
        data = folder.files.read(f"{saved.path}/{STATE_FILE}")
        if data is None:
            continue
        state = checkpoint.from_bytes(data, name=folder.files.path(saved.path))
        generator = checkpoint.generator_of(state)
        folder.files.write(f"{BEST}/{GENERATOR}", checkpoint.generator_to_bytes(generator))
        folder.files.write(f"{BEST}/config.json", _json(GanConfig.from_dict(state.config).to_dict()))
        origin = {"trial": trial.number, "images_seen": saved.images_seen, "value": saved.value}
        folder.files.write(f"{BEST}/trial.json", _json({**origin, "checkpoint": saved.path}))
        folder.files.write(f"{BEST}/{GRID_FILE}", image_grid.png_bytes(_sample_grid(folder)))
        return f"{folder.location}/{BEST}"
    return None


def best_config(folder: SweepFolder) -> GanConfig:
    """The settings of the best trial.

    Raises: ConfigError when no trial has saved a state yet.
    """
    data = folder.files.read(f"{BEST}/config.json")
    if data is None:
        raise ConfigError(f"{folder.location} has no best trial yet: none has finished a tick")
    return GanConfig.from_dict(json.loads(data))


def _sample_grid(folder: SweepFolder) -> generation.Pixels:
    generator, config = generation.load_trained(f"{folder.location}/{BEST}")
    return image_grid.grid(
        generation.sample(generator, generation.random_latents(config, GRID_IMAGES, 0), config)
    )


def _json(values: object) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()
