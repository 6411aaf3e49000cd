"""Quality of stylized pictures for the default settings and alternatives, by measures not optimized for.

    python benchmarks/style_quality.py [ART-FOLDER]

ART-FOLDER: pictures in `content` and `style` (by default the one beside the checkout); means over all pairs
at 256 pixels. Takes a quarter of an hour on 2 cores. Prints one JSON object at the end.
"""

import dataclasses
import itertools
import json
import statistics
import sys
import time
from pathlib import Path

from quality import Quality, measure
from rich.console import Console
from rich.table import Table

from perceptual.loading import load_network
from styletransfer.config import StyleConfig
from styletransfer.pictures.reading import read_picture
from styletransfer.transfer.stylize import stylize

ART = Path(__file__).parents[2] / "shared" / "data" / "art"
DEFAULT = StyleConfig(size=256)
VARIANTS = {
    "default": DEFAULT,
    "start from noise": DEFAULT.with_values({"start": "noise"}),
    "Adam": DEFAULT.with_values({"optimizer": "adam"}),
    "Gram": DEFAULT.with_values({"statistics": "gram"}),
    "one size": DEFAULT.with_values({"scales": 1}),
}
NAMES = tuple(field.name for field in dataclasses.fields(Quality))


def main() -> None:
    """Measure and print."""
    art = Path(sys.argv[1]) if len(sys.argv) > 1 else ART
    contents, styles = (
        [read_picture(path).on_white() for path in sorted((art / kind).iterdir())]
        for kind in ("content", "style")
    )
    network, other = load_network("compact"), load_network("compact", weights="random:7")
    found: dict[str, list[Quality]] = {"the content itself": []}
    seconds: dict[str, float] = {}
    for content, style in itertools.product(contents, styles):
        asked = {"network": network, "other_network": other}
        found["the content itself"].append(measure(content, content, style, DEFAULT, **asked))
    for name, config in VARIANTS.items():
        found[name], began = [], time.monotonic()
        for content, style in itertools.product(contents, styles):
            made = stylize(content, style, config, network=network)
            found[name].append(measure(made.picture, content, style, config, **asked))
        seconds[name] = (time.monotonic() - began) / len(found[name])
        print(f"{name}: {seconds[name]:.1f} s a pair, measured", flush=True)

    means = {
        name: {key: statistics.mean(getattr(each, key) for each in row) for key in NAMES}
        for name, row in found.items()
    }
    table = Table("", *NAMES, "s a pair")
    for name, row in means.items():
        table.add_row(name, *(f"{row[key]:.3f}" for key in NAMES), f"{seconds.get(name, 0):.1f}")
    Console().print(table)
    print(
        json.dumps(
            {name: {key: round(value, 4) for key, value in row.items()} for name, row in means.items()}
        )
    )


if __name__ == "__main__":
    main()
