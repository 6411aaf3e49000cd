"""Renders a page from its template: styles, scripts and plotly.js are inside, and no other script may run."""

import base64
import functools
import gzip
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from common.page.figures import figure_json, script_json

_HERE = Path(__file__).parent


def render(
    template: Path,
    *,
    scripts: Sequence[Path] = (),
    parts: Sequence[Path] = (),
    has_plots: bool = True,
    **context: Any,
) -> bytes:
    """The page as UTF-8. `template` extends `base.html.jinja` and imports from `parts.html.jinja`.

    Everything in `context` is escaped. scripts: JavaScript files of this page, which run after `page.js`.
    parts: other folders with templates that this one imports. has_plots: whether plotly.js is inside, 1.9 MB;
    without it no plot is drawn.
    """
    sources = [path.read_text("utf-8") for path in (_HERE / "page.js", *scripts)]
    plotly = _plotly() if has_plots else None
    hashes = [_sha256(source) for source in sources] + ([plotly[1]] if plotly else [])
    page = _environment(template.parent, *parts).get_template(template.name)
    text = page.render(
        {
            "styles": Markup((_HERE / "page.css").read_text("utf-8")),
            "scripts": [Markup(source) for source in sources],
            "script_policy": " ".join(f"'sha256-{value}'" for value in hashes),
            "plotly": plotly[0] if plotly else "",
            **context,
        }
    )
    return text.encode("utf-8", "replace")  # a name that is not Unicode is shown with a replacement character


def data_url(picture: bytes) -> str:
    """A picture as a `data:` URL: WebP, PNG, GIF or JPEG, as its first bytes say."""
    kinds = {b"\x89PNG": "png", b"GIF8": "gif", b"\xff\xd8\xff": "jpeg"}
    kind = next((kind for start, kind in kinds.items() if picture.startswith(start)), "webp")
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


@functools.cache
def _plotly() -> tuple[str, str]:
    """plotly.js, compressed and in base64, and the hash of its source, by which the policy lets it run."""
    from plotly.offline import get_plotlyjs  # imported here: it takes a moment

    source = get_plotlyjs()
    return base64.b64encode(gzip.compress(source.encode(), mtime=0)).decode(), _sha256(source)


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@functools.cache
def _environment(*folders: Path) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([*folders, _HERE]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # both escape what could leave the script element that they are in
    environment.filters["figure_json"] = lambda figure: Markup(figure_json(figure))
    environment.filters["script_json"] = lambda value: Markup(script_json(value))
    environment.filters["data_url"] = data_url
    return environment
