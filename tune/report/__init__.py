"""The page of a sweep, or of several side by side, without Ray and PyTorch: pictures, ranking, charts."""

from collections.abc import Sequence


def write_report(locations: Sequence[str], out: str | None = None) -> str:
    """Write the page of one or several sweeps, which may still run, and return where it lies.

    locations: folders or URLs of sweeps. out: file to write; default: `report.html` in the sweep's folder,
    for several sweeps `comparison.html` in the first one's.

    Raises: ConfigError when there is no sweep, WriteError when the page cannot be written.
    """
    from tune.report.page import write_page  # imported here: pandas and plotly take a moment

    return write_page(locations, out)
