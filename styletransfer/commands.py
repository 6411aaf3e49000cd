"""The flags of `python -m styletransfer`; what is done with them lives in `run`.

Light to import, so that a wrong flag is answered before torch and Ray are loaded.
"""

import dataclasses
from collections.abc import Sequence
from typing import Annotated

import tyro

from common.cli.parsing import cluster_of_this_job, parse
from common.errors import require, require_between
from styletransfer.config import StyleConfig
from styletransfer.pictures.writing import Format

PROG = "python -m styletransfer"
PREVIEW_FOLDER = "_preview"  # no picture's own folder: their names never begin with an underscore

Places = Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="CONTENTS STYLES OUT")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Draw every content picture in the style of every style picture, on all cores or GPUs.

    OUT gets the pictures, manifest.jsonl (a line a pair: done or failed, and why) and index.html, a contact
    sheet. The same command again goes on where it was stopped and does only what is missing, has changed or
    has failed.
    """

    places: Places = ()
    """Folder, URL (s3://bucket/path) or single file of the contents and of the styles, and the folder or URL
    for the results; with --pairs OUT is enough."""
    style: Annotated[StyleConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=StyleConfig)
    pairs: str | None = None
    """CSV file with the columns content,style (and, if wanted, output): these pairs instead of all. Names are
    relative to CONTENTS and STYLES, where OUT alone is given to the CSV's own folder."""
    mask: str | None = None
    """A grey picture, white where the style goes, for all contents; or a folder of such, each named as its
    content."""
    format: Format = "png"
    """Of the pictures written."""
    quality: int = 95
    """Of JPEG and WebP, from 1 to 100."""
    preview: tyro.conf.FlagCreatePairsOff[bool] = False
    """A quick look: all pairs, small and with few iterations, in OUT/_preview."""
    sweep: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A setting and its values, such as style-weight=1,3,10: each pair is drawn with each; may be given for
    several settings, for all their combinations."""
    dry_run: tyro.conf.FlagCreatePairsOff[bool] = False
    """Say what would be done, how long it would take and how much memory, and stop."""
    redo: tyro.conf.FlagCreatePairsOff[bool] = False
    """Draw every pair again, also those that are up to date."""
    batch: int = 0
    """Pairs of equal size that are drawn together, with --optimizer adam; 0: 8 on a GPU, 1 on a CPU."""
    workers: int | None = None
    """Workers that draw at a time; default: one a GPU, else one a core, fewer where memory is short."""
    gpu: tyro.conf.FlagCreatePairsOff[bool] = False
    """Draw on GPUs, one a worker; default: when there are any."""
    no_gpu: tyro.conf.FlagCreatePairsOff[bool] = False
    """Draw on CPUs."""
    address: str | None = dataclasses.field(default_factory=cluster_of_this_job)
    """Address of a running Ray cluster (host:port, or auto on its machines); default: in a job that cluster,
    else Ray is started here."""

    def __post_init__(self) -> None:
        wanted = (1, 3) if self.pairs is not None else (3,)
        require(
            len(self.places) in wanted,
            f"give {'OUT, or ' * (1 in wanted)}CONTENTS STYLES OUT, not {len(self.places)} places; "
            f"try {PROG} photos paintings out",
        )
        require(all(place.strip() for place in self.places), "a place must not be ''; name a folder")
        require_between("--quality", self.quality, 1, 100)
        require(0 <= self.batch <= 256, f"--batch must lie between 0 and 256, not {self.batch}; try 0")
        require(
            self.workers is None or self.workers >= 1,
            f"--workers must be at least 1, not {self.workers}; leave it out for one a core",
        )
        require(not (self.gpu and self.no_gpu), "--gpu and --no-gpu exclude each other; give one of them")

    def wants_gpu(self) -> bool | None:
        """Whether GPUs were asked for; None when neither flag was given."""
        return True if self.gpu else False if self.no_gpu else None


def parse_command(args: Sequence[str]) -> Batch:
    """The command that `args` spell; `--help` prints and raises SystemExit(0).

    Raises: ConfigError, one line, when they spell none.
    """
    command: Batch = parse(
        Batch, args, prog=PROG, description="Draw every photo in the style of every painting."
    )
    return command
