"""The `report` and `gallery` commands, and the page that is written at the end of training."""

import shlex

from rich.console import Console

from common.cli.progress import say
from common.cli.signals import Interrupted
from common.errors import require
from common.storage.folder import Folder
from common.text import one_line
from gan.cli.flags import Gallery, Report
from gan.generator_file import find_generator
from gan.report.gallery import gallery_folder, gallery_pictures
from gan.report.page import write_report
from gan.run_folder import RunFolder


def run_report(command: Report, console: Console) -> int:
    """Write a run's page; returns the exit code, 0.

    Raises: ConfigError when the folder has no run; WriteError when it cannot be written.
    """
    with console.status("writing the report"):
        place = write_report(RunFolder(Folder(command.directory, flag="DIR")))
    say(console, f"wrote {place}")
    return 0


def run_gallery(command: Gallery, console: Console) -> int:
    """Make the gallery of a generator, compared with all its training pictures; returns the exit code, 0.

    Raises: ConfigError when there is no generator, or it is broken.
    """
    with console.status("making the gallery"):
        gallery = gallery_pictures(command.checkpoint, search_all=True)
    folder, name = find_generator(command.checkpoint)
    require(gallery is not None, f"{folder.path(name)} was removed a moment ago; give another checkpoint")
    assert gallery is not None
    say(console, f"gallery: {folder.path(gallery_folder(name))}")
    say(console, gallery.meaning() or f"nearest training pictures are left out: {gallery.missing}")
    return 0


def leave_page(results: RunFolder, outcome: str, reason: str, console: Console) -> None:
    """Note how training ended, and write the page; where that fails, a line says why.

    outcome: as of `Ended`, or interrupted: then the page is written in a second or two, without the gallery.
    """
    try:
        results.note_end(outcome, reason)
        with console.status("writing the report"):
            place = write_report(results, makes_gallery=outcome != "interrupted")
    except Interrupted:
        where = shlex.quote(results.folder.location)
        say(console, f"report.html was not written; python -m gan report {where} does it")
        raise
    except (
        Exception
    ) as error:  # whatever is wrong with the page, the training is done and its result is there
        say(console, f"report.html was not written: {one_line(error)}")
        return
    say(console, f"report: {place}")
