"""How much of a photo is left at each size, with the style's full weight and with its share at that size.

    python benchmarks/style_sizes.py [ART-FOLDER]

ART-FOLDER: pictures in `content` and `style` (by default the one beside the checkout). Three pairs at 32, 64
and 128 pixels: the correlation of the result's luminance with the photo's, and the content loss. From
128 x 96 pixels on both are the same. Prints one JSON object at the end.
"""

import json
import statistics
import sys
from pathlib import Path

import numpy as np

from perceptual.loading import load_network
from styletransfer.config import StyleConfig
from styletransfer.pictures.roles import read_content, read_style
from styletransfer.transfer.colours import luminance
from styletransfer.transfer.losses import style_share
from styletransfer.transfer.scales import as_tensor
from styletransfer.transfer.stylize import stylize

ART = Path(__file__).parents[2] / "shared" / "data" / "art"
PAIRS = (
    ("cornell.jpg", "starry_night.jpg"),
    ("tubingen.png", "udnie.jpg"),
    ("lion.jpg", "woman_with_hat.jpg"),
)


def main() -> None:
    """Measure and print."""
    art = Path(sys.argv[1]) if len(sys.argv) > 1 else ART
    network, found = load_network("compact"), dict[str, dict[str, float]]()
    for size in (32, 64, 128):
        config = StyleConfig(size=size)
        for weight in ("full", "share"):
            rows = []
            for content, style in PAIRS:
                photo = read_content(art / "content" / content, config).rgb
                painting = read_style(art / "style" / style, config).on_white()
                share = float(style_share((photo.shape[0], photo.shape[1]), None))
                factor = 1 / share if weight == "full" else 1.0
                asked = config.with_values({"style_weight": config.style_weight * factor})
                made = stylize(photo, painting, asked, network=network)
                own, before = (luminance(as_tensor(each)).flatten().numpy() for each in (made.picture, photo))
                rows.append((float(np.corrcoef(own, before)[0, 1]), made.losses["content"]))
            correlation, content_loss = (statistics.mean(each) for each in zip(*rows, strict=True))
            name = f"{size} px, {weight}"
            found[name] = {"correlation": round(correlation, 3), "content": round(content_loss, 3)}
            print(f"{name}: {found[name]}", flush=True)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
