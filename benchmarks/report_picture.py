"""Draws docs/report.webp, parts of a sweep's page in two columns.

    PYTHONPATH=. python benchmarks/report_picture.py SWEEP [OUT]

SWEEP: the folder of a finished sweep with its report.html, such as that of `make sweep`. The left column
shows the page from its top to the end of its ranking, the right one, as long, begins with the objective
while training.
Needs the tests' environment and a Chromium.
"""

import argparse
import io
from pathlib import Path

from PIL import Image

from tests.browser import Visit, visited

OUT = Path(__file__).parents[1] / "docs" / "report.webp"
COLUMN_WIDTH, ABOVE = 700, 40
LEFT_ENDS_BEFORE, RIGHT_BEGINS_WITH = "objective", "objective"


def columns(page: Path) -> Image.Image:
    """Both columns beside each other."""
    with visited(page, width=COLUMN_WIDTH) as visit:
        visit.plots()
        visit.broken_pictures()
        cut, begin = _top(visit, LEFT_ENDS_BEFORE), _top(visit, RIGHT_BEGINS_WITH)
        whole = Image.open(io.BytesIO(visit.page.screenshot(full_page=True))).convert("RGB")
    # the background's colour, so that a right column that ends earlier is filled
    both = Image.new("RGB", (2 * COLUMN_WIDTH, cut), whole.getpixel((0, 0)))
    both.paste(whole.crop((0, 0, COLUMN_WIDTH, cut)), (0, 0))
    both.paste(whole.crop((0, begin, COLUMN_WIDTH, min(begin + cut, whole.height))), (COLUMN_WIDTH, 0))
    return both


def _top(visit: Visit, section: str) -> int:
    place = f"document.getElementById('{section}').getBoundingClientRect().top + scrollY"
    return round(visit.page.evaluate(place)) - ABOVE


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sweep", type=Path)
    parser.add_argument("out", type=Path, nargs="?", default=OUT)
    command = parser.parse_args()
    columns((command.sweep / "report.html").resolve()).save(command.out, quality=80, method=6)
    print(f"wrote {command.out}")


if __name__ == "__main__":
    main()
