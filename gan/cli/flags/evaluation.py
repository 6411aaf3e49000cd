"""The flags of the commands that judge what was trained: `evaluate`, `report`, `gallery`."""

import dataclasses
from typing import Annotated, Literal

import tyro

from common.errors import require
from gan.cli.flags.sampling import CheckpointArgument
from gan.config import GanConfig
from gan.metrics.config import LEAST_METRIC_IMAGES, MOST_METRIC_IMAGES


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Measure a trained generator against the held-out images of its data, as training does after a tick."""

    checkpoint: CheckpointArgument
    """Folder of a run or a sweep, or a .safetensors file."""
    data: str | None = None
    """Where its data are now, if they have moved; default: where they were."""
    data_root: str | None = None
    """Folder of torchvision's data sets, if it has moved."""
    cache_dir: str | None = None
    """Folder of the decoded arrays, if it has moved."""
    colour: Literal["auto", "grey", "rgb"] | None = None
    """Read its data as grey or in colour, as the generator's images are; default: as before."""
    images: int = 5000
    """Generated images that the table is measured on, 16 to 100,000."""
    modes: tyro.conf.FlagCreatePairsOff[bool] = False
    """Also count the classes that the images are of, by a classifier that is trained once, in a minute or
    two; needs labels."""
    features: Literal["compact", "lite0", "inception"] = "compact"
    """Network whose features are compared: compact and lite0 are shipped, inception is FID's."""
    weights: str | None = None
    """File of its weights; default: what is shipped, for inception the cache or a download."""
    metric_weights: str | None = None
    """File of the weights of the run's own metric, if it has moved."""
    json: bool = False
    """Print one JSON object instead of a table."""

    def __post_init__(self) -> None:
        require(
            LEAST_METRIC_IMAGES <= self.images <= MOST_METRIC_IMAGES,
            f"--images must lie between {LEAST_METRIC_IMAGES} and {MOST_METRIC_IMAGES}, not {self.images}; "
            "try 5000",
        )

    def moved(self, config: GanConfig) -> GanConfig:
        """The generator's settings with the places where its data and weights are now."""
        values = {
            "data.source": self.data,
            "data.root": self.data_root,
            "data.cache": self.cache_dir,
            "data.colour": self.colour,
            "evaluation.metric_weights": self.metric_weights,
        }
        return config.with_values({path: value for path, value in values.items() if value is not None})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """Write a run's page anew, report.html in its folder; also while the run trains."""

    directory: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """Folder of the run, a path or a URL."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gallery:
    """Make a generator's gallery: samples, a walk between latents, training pictures nearest to samples.

    The files are in the folder gallery/ beside the generator; the pages of runs and sweeps show them.
    """

    checkpoint: CheckpointArgument
    """Folder of a run or a sweep, or a .safetensors file."""
