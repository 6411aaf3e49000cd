"""The `export` command."""

from rich.console import Console

from common.cli.progress import say
from common.cli.terminal import complain
from gan import generation
from gan.cli.flags import Export
from gan.export.exporting import BATCHES, TOLERANCE, ExportError, export_generator
from gan.export.formats import check_out


def run_export(command: Export, console: Console) -> int:
    """Write a generator for other programs; returns the exit code: 0, or 1 when it cannot be written so.

    Raises: ConfigError when the checkpoint cannot be read, or the file cannot be written.
    """
    path = check_out(command.out, command.format)
    generator, config = generation.load_trained(command.checkpoint)
    try:
        with console.status(f"writing and checking {path}"):
            difference = export_generator(generator, config, command.format, path)
    except ExportError as error:
        complain("failed", error)
        return 1
    batches = ", ".join(map(str, BATCHES))
    say(
        console,
        f"wrote {path}, {path.stat().st_size / 1e6:.1f} MB; read again, it makes the generator's images for "
        f"{batches} latents within {difference:.1g} (at most {TOLERANCE:g})",
    )
    return 0
