"""Starting and reading sweeps from Python: what `import tune` offers."""

import dataclasses
import functools
import html
import io
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from common.cli.parsing import check_settings, words_of
from common.cli.signals import as_keyboard_interrupt
from common.cli.terminal import Terminal
from common.errors import require, whole_number
from common.storage.reach import check_reachable
from gan.config import GanConfig
from tune.cli.flags import Sweep as SweepCommand
from tune.cli.flags import parse_command
from tune.config import SweepConfig
from tune.records.event_reading import read_events, searched_only
from tune.records.grids import read_grids
from tune.records.sweep_folder import SweepFolder
from tune.records.tables import history_table, ranked, trials_table
from tune.records.trial_records import Trial, best_of, collect, states_best_first
from tune.space.domains import Domain
from tune.space.space import Space
from tune.trial_keys import STATE_FILE

if TYPE_CHECKING:
    import optuna
    from PIL import Image

    from gan.api import TrainedGan

_SHOWN = 5  # trials in a notebook's view of a sweep


@dataclasses.dataclass(frozen=True, kw_only=True)
class Best:
    """The best saved state of a sweep."""

    number: int
    """Of its trial."""
    images_seen: int
    """Real images that its trial had been shown."""
    value: float
    """Its objective, as the search measured it: the best of many noisy values is lucky."""
    confirmed: float | None
    """Measured again on fresh samples at the end of the sweep; None before."""
    noise_floor: float | None
    """Of `confirmed`: the value of real training images."""
    config: GanConfig = dataclasses.field(repr=False)
    """Settings for training it anew, with another seed: `gan.train(best.config, images=500_000)`."""
    path: str
    """Folder or URL of the state."""

    @functools.cached_property
    def gan(self) -> "TrainedGan":
        """Its generator.

        Raises: ConfigError when the state is not there any more.
        """
        from gan.api import TrainedGan

        return TrainedGan(f"{self.path}/{STATE_FILE}")


class Sweep:
    """A sweep, running or ended; `tune.load` and `tune.run` return it.

    Every property reads the sweep's files anew, so that it is as new as the sweep: keep a frame in a variable
    where it should stay as it is. Nothing is written.

    Raises: ConfigError when there is no sweep at the location, a path or a URL.
    """

    def __init__(self, location: str | Path) -> None:
        check_reachable(str(location), flag="the sweep's folder")
        self._folder = SweepFolder.at(str(location))

    @property
    def location(self) -> str:
        """Its folder, an absolute path or a URL."""
        return self._folder.location

    @property
    def config(self) -> SweepConfig:
        """Its settings, without the search space; those of the last session where it was resumed."""
        return self._folder.config()

    @property
    def space(self) -> Space:
        """The searched settings by dotted path."""
        return self._folder.space(self.config)

    @property
    def objective(self) -> str:
        """Name of what is minimized, and of its column in the history: `fd_lite0_1k`."""
        return self.config.gan.evaluation.key()

    @property
    def trials(self) -> pd.DataFrame:
        """One row a trial; columns: docs/tables.md."""
        return trials_table(self._trials(), self.space, self.objective)

    @property
    def history(self) -> pd.DataFrame:
        """One row a tick; columns: docs/tables.md."""
        return history_table(self._trials(), self.space)

    @property
    def study(self) -> "optuna.Study":
        """A copy of the Optuna study as it is now; what is done to the copy does not reach the sweep.

        Raises: ConfigError when there is none yet, or its database cannot be opened.
        """
        from tune.search.study_copy import read_study

        return read_study(self._folder, self.config)

    def best(self) -> Best:
        """The best saved state so far: of those that were measured again at the end, if any were.

        Raises: ConfigError when no trial has saved a state yet.
        """
        from tune.records.export_best import best_config

        trials = self._trials()
        config = best_config(self.config.gan, trials)
        trial, state = states_best_first(trials)[0]
        assert state.value is not None, "states without a value are not ranked"
        again = trial.confirmed.get(state.path)
        return Best(
            number=trial.number,
            images_seen=state.images_seen,
            value=state.value,
            confirmed=None if again is None else again.value,
            noise_floor=None if again is None else again.noise,
            config=config,
            path=f"{self.location}/{state.path}",
        )

    def grids(self, number: int) -> dict[int, "Image.Image"]:
        """A trial's samples as one small picture a tick, by the images that it had seen.

        Kept for the best trials and the base settings (`--grid-trials`); empty for the others.

        Raises: ConfigError for what is no number of a trial.
        """
        from PIL import Image

        number = whole_number("number", number, 0, 10**9, 0)
        found = read_grids(self._folder.files, [number]).get(number, {})
        return {images_seen: Image.open(io.BytesIO(content)) for images_seen, content in found.items()}

    def report(self, out: str | Path | None = None) -> str:
        """Write the report, a page for the browser, and return where it is; default: in its folder."""
        from tune.report import write_report

        return write_report([self.location], None if out is None else str(out))

    def _trials(self) -> dict[int, Trial]:
        return collect(searched_only(read_events(self.location), self.space))

    def __repr__(self) -> str:
        return f"Sweep({self._summary()})"

    def _repr_html_(self) -> str:
        columns = ["rank", "number", "state", "best", "images_at_best", *self.space]
        board = ranked(self.trials).head(_SHOWN)[columns].astype(object)
        table = board.to_html(index=False, border=0, na_rep="", float_format="{:.4g}".format)
        return f"<p>{html.escape(self._summary())}</p>{table}"

    def _summary(self) -> str:
        """`/runs/x: 12 of 20 trials: 7 completed, 5 running; best fd_lite0_1k 460.8 of trial 6`."""
        trials, metric = self._trials(), self.objective
        states = Counter(trial.state for trial in trials.values())
        counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none yet"
        line = f"{self.location}: {len(trials)} of {self.config.trials} trials: {counts}"
        ticks = ((trial.best_tick(metric), trial.number) for trial in trials.values())
        first = best_of((tick.metrics[metric], (tick, number)) for tick, number in ticks if tick is not None)
        if first is None:
            return line
        return f"{line}; best {metric} {first[0].metrics[metric]:.4g} of trial {first[1]}"


def load(location: str | Path) -> Sweep:
    """The sweep in a folder or at a URL such as `s3://bucket/runs/x`, also while it runs.

    Raises: ConfigError when there is none.
    """
    return Sweep(location)


def run(
    config: SweepConfig | None = None,
    *,
    space: Space | Mapping[str, Domain] | str | Path | None = None,
    quiet: bool = False,
    **settings: Any,
) -> Sweep:
    """Run a sweep as `python -m tune sweep` does, and return it: `tune.run(data="paintings", trials=40)`.

    space: domains by dotted path, such as `{"optimizer.generator_lr": tune.Float(1e-5, 1e-3, log=True)}`, or
    a TOML file. settings: flags of the command with underscores, such as `images_per_trial=50_000`; they
    override those of `config`. quiet: print nothing.

    Raises: ConfigError for a wrong setting; SweepError, one line, when the sweep cannot continue;
    KeyboardInterrupt after Ctrl-C, when everything is saved.
    """
    check_settings("tune.run", config, SweepConfig)
    if isinstance(space, str | Path):
        settings, space = {**settings, "space": str(space)}, None
    command = parse_command(["sweep", *words_of(settings)], config)
    assert isinstance(command, SweepCommand)
    require(not command.print_space, "print_space has no meaning here; see Sweep.space")
    from tune.cli.sweeping import plan_new_sweep, run_plan

    console = Terminal(quiet=quiet, force_jupyter=False)
    with as_keyboard_interrupt():
        plan = plan_new_sweep(command.sweep, console, None if space is None else Space(dict(space)))
        run_plan(plan, console)
    return Sweep(plan.folder.location)
