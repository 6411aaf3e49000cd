"""Training, loading and measuring a GAN from Python: what `import gan` offers."""

import io
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from common.cli.parsing import check_settings, words_of
from common.cli.signals import as_keyboard_interrupt
from common.cli.terminal import Terminal
from common.errors import ConfigError, whole_number
from common.storage.folder import Folder
from gan import generation, image_grid
from gan.cli.early import check_early
from gan.cli.flags import Evaluate, Train, parse_command
from gan.cli.flags.sampling import LARGEST_SEED, MOST_SAMPLES
from gan.config import GanConfig
from gan.run_folder import HISTORY, RunFolder
from gan.training.health import HEALTHY, TROUBLES


class TrainedGan:
    """A trained generator with the settings of its run; `gan.load` and `gan.train` return it.

    Raises: ConfigError when there is none at the location.
    """

    def __init__(self, location: str | Path) -> None:
        self.location = str(location)
        """Folder of a run or a sweep, or file, also at a URL."""
        self.generator, self.config = generation.load_trained(self.location)
        """The network in evaluation mode on the CPU; every setting of its run."""

    def sample(self, n: int = 64, *, seed: int = 0) -> generation.Pixels:
        """`n` images, uint8 (n, H, W, C); the seed decides the latents, as in `python -m gan sample`.

        Raises: ConfigError for a number of images or a seed that is out of range.
        """
        n = whole_number("n", n, 1, MOST_SAMPLES, 64)
        seed = whole_number("seed", seed, 0, LARGEST_SEED, 0)
        latents = generation.random_latents(self.config, n, seed)
        return generation.sample(self.generator, latents, self.config)

    def grid(self, n: int = 64, *, seed: int = 0) -> Image.Image:
        """The images of `sample` in one picture, which a notebook shows.

        Raises: ConfigError as `sample`, and for more images than a picture can hold.
        """
        from gan.cli.sample import check_grid

        n = whole_number("n", n, 1, MOST_SAMPLES, 64)
        check_grid(n, self.config.data.resolution, "n", "ask for fewer, or call sample")
        return image_grid.picture_of(image_grid.grid(self.sample(n, seed=seed)))

    @property
    def history(self) -> pd.DataFrame:
        """One row a tick of its run, read anew; columns: docs/tables.md.

        Raises: ConfigError where it is not the folder of a run.
        """
        folder = Folder(self.location)
        is_folder = not self.location.endswith(".safetensors")
        data = folder.read(HISTORY) if is_folder and RunFolder(folder).exists() else None
        if data is None:
            raise ConfigError(
                f"{self.location} has no {HISTORY}; give the folder of a run to gan.load, or that of a sweep "
                "to tune.load"
            )
        try:
            table = pd.read_csv(io.BytesIO(data)).astype({"images_seen": "int64"})
            if "verdict" not in table:  # of an earlier version
                return table
            verdicts = dict.fromkeys([HEALTHY, *TROUBLES, *table["verdict"].dropna()])
            return table.astype(
                {"verdict": pd.CategoricalDtype(list(verdicts)), "verdict_evidence": "string"}
            )
        except (KeyError, ValueError) as error:
            raise ConfigError(
                f"{folder.path(HISTORY)} is broken ({error!r}); repair the line or remove the file"
            ) from None

    def evaluate(self, *, quiet: bool = False, **settings: Any) -> pd.DataFrame:
        """Measure it against its data: one row a measure, with the noise floor beside the value.

        settings: flags of `python -m gan evaluate` with underscores, such as `images=1000`.

        Raises: ConfigError for a wrong setting, and when the data cannot be read.
        """
        from gan.cli.inspect import measure

        command = parse_command(["evaluate", self.location, *words_of(settings)])
        assert isinstance(command, Evaluate)
        found = measure(command, Terminal(quiet=quiet, force_jupyter=False)).found
        return pd.DataFrame(
            {
                "value": [each.value for each in found.measures],
                "noise_floor": [each.real for each in found.measures],
                "standard_error": [each.standard_error for each in found.measures],
                "reading": [each.reading for each in found.measures],
            },
            index=pd.Index([each.name for each in found.measures], name="measure"),
        ).astype({"standard_error": "float64", "reading": "string"})

    def __repr__(self) -> str:
        data = self.config.data
        return f"TrainedGan({self.location}: {data.resolution} x {data.resolution} pixels of {data.source})"

    def _repr_png_(self) -> bytes:
        return image_grid.png_bytes(image_grid.grid(self.sample(16)))


def load(location: str | Path) -> TrainedGan:
    """The generator of a run, of a sweep's best trial, or of a .safetensors file; a path or a URL.

    Raises: ConfigError when there is none.
    """
    return TrainedGan(location)


def train(config: GanConfig | None = None, *, quiet: bool = False, **settings: Any) -> TrainedGan:
    """Train a GAN as `python -m gan train` does: `gan.train(data="paintings", images=500_000).grid()`.

    settings: flags of the command with underscores, such as `generator_lr=1e-4`, `name="x"` or
    `resume="runs/x"`; they override those of `config`. quiet: print nothing.

    Raises: ConfigError for a wrong setting; RunError, one line, when the run diverged or failed;
    KeyboardInterrupt after Ctrl-C, when what is finished is saved.
    """
    check_settings("gan.train", config, GanConfig)
    command = parse_command(["train", *words_of(settings)], config)
    assert isinstance(command, Train)
    check_early(command)
    from gan.cli.train import plan_run, train_plan  # Ray takes seconds, and what is wrong was said before

    with as_keyboard_interrupt():
        plan = plan_run(command)
        train_plan(plan, command, Terminal(quiet=quiet, force_jupyter=False))
    return TrainedGan(plan.results.folder.location)
