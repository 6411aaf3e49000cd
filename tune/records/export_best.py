"""Exports the best saved state of a sweep to `best/`: generator, settings, a sample grid."""

import dataclasses
import json
from collections.abc import Mapping

from common.errors import require
from gan import checkpoint, generation, image_grid
from gan.config import GanConfig
from gan.run_folder import GENERATOR
from tune.records.sweep_folder import SweepFolder
from tune.records.trial_records import Trial, states_best_first
from tune.trial_keys import STATE_FILE

BEST = "best"
GRID_FILE = "grid.png"
GRID_IMAGES = 64


def export_best(folder: SweepFolder, trials: Mapping[int, Trial]) -> str | None:
    """Write `best/` from the best state that still exists; returns its path, None without a state.

    Raises: WriteError when the folder cannot be written.
    """
    for trial, saved in states_best_first(trials):
        data = folder.files.read(f"{saved.path}/{STATE_FILE}")
        if data is None:
            continue
        state = checkpoint.from_bytes(data, name=folder.files.path(saved.path))
        generator = checkpoint.generator_of(state)
        folder.files.write(f"{BEST}/{GENERATOR}", checkpoint.generator_to_bytes(generator))
        folder.files.write(f"{BEST}/config.json", _json(GanConfig.from_dict(state.config).to_dict()))
        origin: dict[str, object] = {
            "trial": trial.number,
            "images_seen": saved.images_seen,
            "value": saved.value,
        }
        found = [tick for tick in trial.valid_ticks() if tick.images_seen == saved.images_seen]
        if found and found[-1].verdict is not None:
            origin |= {"verdict": found[-1].verdict, "verdict_evidence": found[-1].verdict_evidence}
        again = trial.confirmed.get(saved.path)
        if again is not None:
            origin |= {"metric": again.metric, "confirmed": again.value, "noise_floor": again.noise}
            if again.second is not None:
                origin |= {"second_metric": again.second_metric, "second": again.second}
                origin |= {"second_noise_floor": again.second_noise}
        folder.files.write(f"{BEST}/trial.json", _json({**origin, "checkpoint": saved.path}))
        folder.files.write(f"{BEST}/{GRID_FILE}", image_grid.png_bytes(_sample_grid(folder)))
        return f"{folder.location}/{BEST}"
    return None


def best_config(base: GanConfig, trials: Mapping[int, Trial], *, keep_seed: bool = False) -> GanConfig:
    """The settings of the best saved state, for training a network with them; from the log alone.

    base: the sweep's settings. keep_seed: with the trial's seed training repeats it, its luck included;
    otherwise the seed is another one.

    Raises: ConfigError when no trial has saved a state yet.
    """
    states = states_best_first(trials)
    require(bool(states), "no trial has saved a state yet; wait for the first tick")
    trial, state = states[0]
    config = base.with_searched({**trial.values_at(state.images_seen), "evaluation.held_out_part": "all"})
    return config if keep_seed else dataclasses.replace(config, seed=config.seed + 1)


def _sample_grid(folder: SweepFolder) -> generation.Pixels:
    generator, config = generation.load_trained(f"{folder.location}/{BEST}")
    return image_grid.grid(
        generation.sample(generator, generation.random_latents(config, GRID_IMAGES, 0), config)
    )


def _json(values: object) -> bytes:
    return (json.dumps(values, indent=2) + "\n").encode()
