"""The last verdict on the run that a generator comes from, for `gan evaluate`."""

import contextlib

from common.errors import ConfigError
from common.storage.folder import parse_json
from gan.generator_file import SWEEPS_BEST, find_generator
from gan.run_folder import RunFolder
from gan.training.health import Verdict, verdict

TRIAL = "trial.json"
"""What a sweep says of the trial that its best generator is of."""


def verdict_of(checkpoint: str) -> Verdict | None:
    """The verdict on a run after its last tick, or on a sweep's best trial at its best state.

    checkpoint: as `find_generator` takes it. None where its folder does not say, or is broken there.
    """
    folder, name = find_generator(checkpoint)
    with contextlib.suppress(ConfigError, KeyError, TypeError):
        prefix = f"{SWEEPS_BEST}/" if name.startswith(f"{SWEEPS_BEST}/") else ""
        trial = folder.read(prefix + TRIAL)
        if trial is not None:
            found = parse_json(trial, TRIAL)
            return Verdict(str(found["verdict"]), str(found["verdict_evidence"]))
        results = RunFolder(folder)
        if results.exists() and (history := results.history()):
            return verdict(history, results.config().evaluation.key())
    return None
