"""Figures as JSON that a page may hold: every text is shown as text, and colours follow the page's theme.

A colour is given as `var(--blue)` and the like, the names of `page.css`; `page.js` puts the theme's colour in
its place.
"""

import html
import json
import math
from collections.abc import Mapping
from typing import Any

# Okabe and Ito's colours, which people with poor colour sight can tell apart; `page.css` has their values
SERIES = tuple(f"var(--{name})" for name in ("blue", "orange", "green", "vermillion", "purple", "sky"))
INK, SOFT, LINE = "var(--ink)", "var(--soft)", "var(--line)"

SCALE = "Cividis"
"""Colours of numbers, which people with poor colour sight see in the same order."""

# they hold marks of plotly, so that no text from outside may be in them: refer to it by %{customdata}
_TEMPLATES = ("hovertemplate", "texttemplate")


def figure_json(figure: Any) -> str:
    """A plotly figure, or a dict with its data and layout, as JSON for a `<script type="application/json">`.

    Plotly reads texts as a kind of HTML; here they are escaped, so that a `<b>` is shown as such. A line feed
    becomes a line break. Numbers that are not finite are missing. Plotly's own template is left out, since
    the page has another.
    """
    fields = figure if isinstance(figure, Mapping) else figure.to_dict()
    layout = {key: value for key, value in fields.get("layout", {}).items() if key != "template"}
    return script_json(_shown({"data": list(fields["data"]), "layout": layout}))


def script_json(value: Any) -> str:
    """JSON that cannot leave the script element that it is in, whatever its texts are."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"), default=_plain)
    # U+2028 and U+2029 need no escape: JSON.parse takes them, and json.dumps escapes them anyway
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _shown(value: Any, key: str = "") -> Any:
    if isinstance(value, str):
        # quotes are kept: plotly puts texts into no attribute
        return value if key in _TEMPLATES else html.escape(value, quote=False).replace("\n", "<br>")
    if isinstance(value, Mapping):
        return {name: _shown(inner, name) for name, inner in value.items()}
    if hasattr(value, "tolist"):  # NumPy's and pandas's
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_shown(inner, key) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(value: Any) -> Any:
    # such as a timestamp, or pandas's missing value
    return value.isoformat() if hasattr(value, "isoformat") else None
