"""The terminal: a console and error lines in which names from outside cannot control the screen."""

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from common.text import printable


class Terminal(Console):
    """A console that shows control characters of texts as escapes, in lines, tables and bars alike.

    File names come from archives and downloads: one with an escape sequence in it could clear the screen or
    change what was printed before. Rich's own control sequences pass.
    """

    def render_str(self, text: str, **options: Any) -> Text:
        """Convert a string to rich's text, escaped, so that its width is that of what is shown."""
        return super().render_str(_escaped(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render an object to segments, with control characters escaped."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=_escaped(segment.text))


def complain(prog: str, message: object) -> None:
    """Print an error as one line on stderr, with control characters escaped."""
    print(f"{prog}: {printable(str(message))}", file=sys.stderr)


def _escaped(text: str) -> str:
    # rich ends lines by segments of their own
    return text if text == "\n" or text.isprintable() else "\n".join(map(printable, text.split("\n")))
