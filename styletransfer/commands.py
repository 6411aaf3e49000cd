"""The flags of `python -m styletransfer`.

Light to import, so that a wrong flag is reported before torch and Ray are loaded.
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
PREVIEW_FOLDER = "_preview"  # never the folder of a picture: those don't begin with an underscore

Places = Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="CONTENTS STYLES OUT")]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Batch:
    """Stylize every content picture in the style of every style picture, on all cores or GPUs.

    OUT gets the pictures, manifest.jsonl (one line per pair: done or failed, and why) and index.html, a
    contact sheet. The same command again continues where it was stopped, and stylizes only pairs that are
    missing, have changed or have failed.
    """

    places: Places = ()
    """Folder, URL (s3://bucket/path) or single file of the contents and of the styles, and the folder or URL
    for the results; with --pairs OUT is enough."""
    style: Annotated[StyleConfig, tyro.conf.OmitArgPrefixes] = dataclasses.field(default_factory=StyleConfig)
    pairs: str | None = None
    """CSV file with the columns content,style (and optionally output): these pairs instead of all. Names are
    relative to CONTENTS and STYLES; if only OUT is given, to the CSV's own folder."""
    mask: str | None = None
    """A grey picture, white where the style is applied, for all contents; or a folder of such pictures, each
    named like its content."""
    blend_folders: tyro.conf.FlagCreatePairsOff[bool] = False
    """Make one style of each folder in STYLES: its pictures are blended, by --style-blend in the order of
    their names, or equally."""
    format: Format = "png"
    """File format of the results."""
    quality: int = 95
    """Quality of JPEG and WebP, from 1 to 100."""
    preview: tyro.conf.FlagCreatePairsOff[bool] = False
    """A quick look: all pairs, small and with few iterations, in OUT/_preview."""
    sweep: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A setting and its values, such as style-weight=1,3,10: each pair is stylized with each value; give it
    for several settings to get all combinations."""
    dry_run: tyro.conf.FlagCreatePairsOff[bool] = False
    """Only say what would be done, how long it would take and how much memory it would need."""
    redo: tyro.conf.FlagCreatePairsOff[bool] = False
    """Stylize every pair again, also those that are up to date."""
    batch: int = 0
    """Pairs of equal size that are stylized together, with --optimizer adam; 0: 8 on a GPU, 1 on a CPU."""
    workers: int | None = None
    """Number of workers; default: one per GPU, else one per core, fewer where memory is short."""
    threads: int | None = None
    """CPUs of each worker. Sums of other orders end in other brush strokes: give it where a picture must come
    out the same again; default: all CPUs, shared among as many workers as all pairs can use."""
    gpu: tyro.conf.FlagCreatePairsOff[bool] = False
    """Use GPUs, one per worker; default: if there are any."""
    no_gpu: tyro.conf.FlagCreatePairsOff[bool] = False
    """Use CPUs only."""
    address: str | None = dataclasses.field(default_factory=cluster_of_this_job)
    """Address of a running Ray cluster (host:port, or auto on its machines); default: in a job that job's
    cluster, else a Ray that is started here."""

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
            f"--workers must be at least 1, not {self.workers}; leave it out for one per core",
        )
        require(
            self.threads is None or 1 <= self.threads <= 1024,
            f"--threads must lie between 1 and 1024, not {self.threads}; leave it out to use all CPUs",
        )
        require(not (self.gpu and self.no_gpu), "--gpu and --no-gpu exclude each other; give one of them")

    def wants_gpu(self) -> bool | None:
        """Whether GPUs were asked for; None when neither flag was given."""
        return True if self.gpu else False if self.no_gpu else None


def parse_command(args: Sequence[str]) -> Batch:
    """Parse a command line; `--help` prints the help and raises SystemExit(0).

    Raises: ConfigError, one line, when it is wrong.
    """
    command: Batch = parse(
        Batch,
        _split_lists(args),
        prog=PROG,
        description="Stylize every photo in the style of every painting.",
    )
    return command


def _split_lists(args: Sequence[str]) -> list[str]:
    """The words with `--scales 0.5,1` as `--scales 0.5 1`, for all settings that take several values."""
    fields = dataclasses.fields(StyleConfig)
    several = {f"--{each.name.replace('_', '-')}" for each in fields if "tuple[" in str(each.type)}
    words: list[str] = []
    flag = ""
    for word in args:
        name, equals, value = word.partition("=")
        flag = name if word.startswith("--") else flag
        values = (value if equals and flag == name else word).split(",")
        if flag in several and len(values) > 1 and all(values):
            words += [*([flag] if word.startswith("--") else []), *values]
        else:
            words.append(word)
    return words
