"""Quality of stylized pictures for the default settings and alternatives, by measures not optimized for.

    python benchmarks/style_quality.py [ART-FOLDER [PAIRS]]

ART-FOLDER: pictures in `content` and `style` (by default the one beside the checkout). PAIRS: how many of
their pairs, spread over all pictures (all). Means over the pairs at 256 pixels, printed after each round of
contents. Prints one JSON object at the end.
"""

import dataclasses
import json
import statistics
import sys
import time
from pathlib import Path

from quality import measure, style_distance
from rich.console import Console
from rich.table import Table

from perceptual.loading import FeatureNetwork, load_network
from styletransfer.config import StyleConfig
from styletransfer.pictures.reading import read_picture
from styletransfer.pictures.resizing import Pixels
from styletransfer.transfer.scales import ImageArray, as_tensor, resized, style_sizes
from styletransfer.transfer.stylize import stylize

ART = Path(__file__).parents[2] / "shared" / "data" / "art"
DEFAULT = StyleConfig(size=256)
VARIANTS = {
    "default": DEFAULT,
    "Gram": DEFAULT.with_values({"statistics": "gram"}),
    "one size": DEFAULT.with_values({"scales": 1}),
    "start from noise": DEFAULT.with_values({"start": "noise"}),
    "Adam": DEFAULT.with_values({"optimizer": "adam"}),
}
PHOTO = "the content itself"
Row = dict[str, float]


def pairs_of(art: Path, most: int | None) -> list[tuple[Pixels, Pixels]]:
    """(content, style): each content in another style, then each in the next one, and so on."""
    contents, styles = (
        [read_picture(path).on_white() for path in sorted((art / kind).iterdir())]
        for kind in ("content", "style")
    )
    pairs = [
        (content, styles[(index + offset) % len(styles)])
        for offset in range(len(styles))
        for index, content in enumerate(contents)
    ]
    return pairs[:most]


def measured(
    made: ImageArray, content: Pixels, style: Pixels, network: FeatureNetwork, other: FeatureNetwork
) -> Row:
    """Everything that is measured of a picture."""
    own, goal = as_tensor(made), as_tensor(style)
    goal = resized(goal, *style_sizes(DEFAULT, *goal.shape[2:])[-1])
    quality = measure(made, content, style, DEFAULT, network=network, other_network=other)
    return {
        **dataclasses.asdict(quality),
        "other_wasserstein": style_distance(own, goal, other, DEFAULT.style_layers, statistics="wasserstein"),
    }


def main() -> None:
    """Measure and print."""
    art = Path(sys.argv[1]) if len(sys.argv) > 1 else ART
    pairs = pairs_of(art, int(sys.argv[2]) if len(sys.argv) > 2 else None)
    network, other = load_network("compact"), load_network("compact", weights="random:7")
    found: dict[str, list[Row]] = {name: [] for name in (PHOTO, *VARIANTS)}
    for number, (content, style) in enumerate(pairs, start=1):
        found[PHOTO].append(measured(content, content, style, network, other))
        for name, config in VARIANTS.items():
            began = time.monotonic()
            made = stylize(content, style, config, network=network)
            seconds = time.monotonic() - began
            found[name].append({**measured(made.picture, content, style, network, other), "seconds": seconds})
        print(f"{number} of {len(pairs)} pairs measured", flush=True)
        if number % 5 == 0 or number == len(pairs):
            print_means(found)
    print(json.dumps({name: {**means(rows), "pairs": len(rows)} for name, rows in found.items()}))


def means(rows: list[Row]) -> Row:
    """The mean of each measure."""
    return {key: round(statistics.mean(row[key] for row in rows), 4) for key in rows[0]}


def print_means(found: dict[str, list[Row]]) -> None:
    """A table of the means so far."""
    names = list(next(iter(found.values()))[0])
    table = Table("", *names, "s a pair")
    for variant, rows in found.items():
        row = means(rows)
        table.add_row(variant, *(f"{row[name]:.3f}" for name in names), f"{row.get('seconds', 0):.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
