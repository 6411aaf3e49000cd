"""Which style statistic should be the default: Gram and Wasserstein judged by what neither optimizes.

    python benchmarks/style_statistics.py [ART-FOLDER [PICTURES-FOLDER]]

ART-FOLDER: pictures in `content` and `style` (by default the one beside the checkout). Each content is
stylized at 128 pixels in two of the styles, and in one style without its colours. Measured are the distance
from the style in a network with other, random weights, by both statistics; SSIM with the photo; and the
chroma that is left where the style is grey, of which an ideal picture has none. PICTURES-FOLDER: gets the
pictures, Gram beside Wasserstein: look at them, since no number here sees an eye that is painted into a sky.
Prints one JSON object at the end.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image
from quality import structural_similarity, style_distance
from rich.console import Console
from rich.table import Table

from perceptual.loading import FeatureNetwork, load_network
from styletransfer.config import StyleConfig
from styletransfer.pictures.resizing import Pixels
from styletransfer.pictures.roles import read_content, read_style
from styletransfer.transfer.colours import luminance, rgb_to_lab
from styletransfer.transfer.scales import as_tensor, resized, style_sizes
from styletransfer.transfer.statistics import STATISTICS
from styletransfer.transfer.stylize import stylize

ART = Path(__file__).parents[2] / "shared" / "data" / "art"
CONFIG = StyleConfig(size=128)
JUDGE = "random:7"


def pairs_of(art: Path) -> list[tuple[str, Pixels, Pixels, bool]]:
    """(name, content, style, whether the style is grey): each content in two styles and in one grey one."""
    contents, styles = (sorted((art / kind).iterdir()) for kind in ("content", "style"))
    found = []
    for index, content in enumerate(contents):
        photo = read_content(content, CONFIG).rgb
        for offset in range(3):
            style = styles[(index + offset) % len(styles)]
            painting, is_grey = read_style(style, CONFIG).on_white(), offset == 2
            if is_grey:
                painting = np.array(Image.fromarray(painting).convert("L").convert("RGB"))
            found.append((f"{content.stem}__{style.stem}{'-grey' * is_grey}", photo, painting, is_grey))
    return found


def measured(made: np.ndarray, photo: Pixels, painting: Pixels, judge: FeatureNetwork) -> dict[str, float]:
    """Everything that is measured of a picture."""
    own, content, style = as_tensor(made), as_tensor(photo), as_tensor(painting)
    style = resized(style, *style_sizes(CONFIG, *style.shape[2:])[-1])
    lab = rgb_to_lab(own)
    return {
        "other_gram": style_distance(own, style, judge, CONFIG.style_layers, statistics="gram"),
        "other_wasserstein": style_distance(own, style, judge, CONFIG.style_layers, statistics="wasserstein"),
        "ssim": float(structural_similarity(luminance(own), luminance(content))[0]),
        "chroma": float(lab[:, 1:].norm(dim=1).mean()),
    }


def main() -> None:
    """Measure and print."""
    art = Path(sys.argv[1]) if len(sys.argv) > 1 else ART
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    network, judge = load_network("compact"), load_network("compact", weights=JUDGE)
    found: dict[str, list[dict[str, float]]] = {name: [] for name in STATISTICS.names}
    table = Table("pair", *(f"{name} {key}" for key in ("other_wasserstein", "chroma") for name in found))
    for name, photo, painting, is_grey in pairs_of(art):
        row = []
        for statistic, results in found.items():
            began = time.monotonic()
            made = stylize(photo, painting, CONFIG.with_values({"statistics": statistic}), network=network)
            result = {**measured(made.picture, photo, painting, judge), "is_grey": float(is_grey)}
            results.append({**result, "seconds": time.monotonic() - began})
            row.append(np.rint(made.picture * 255).astype(np.uint8))
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.concatenate(row, axis=1)).save(folder / f"{name}.png")
        last = {statistic: results[-1] for statistic, results in found.items()}
        table.add_row(
            name, *(f"{each[key]:.3f}" for key in ("other_wasserstein", "chroma") for each in last.values())
        )
        print(f"{name}: measured", flush=True)
    Console().print(table)
    print(json.dumps({name: summary(results) for name, results in found.items()}))


def summary(results: list[dict[str, float]]) -> dict[str, float]:
    """Means over the pairs; the chroma over those with a grey style, the others over those with colours."""
    grey, coloured = ([each for each in results if bool(each["is_grey"]) is kind] for kind in (True, False))
    means = {
        key: statistics.mean(each[key] for each in coloured)
        for key in ("other_gram", "other_wasserstein", "ssim", "seconds")
    }
    means["grey_chroma"] = statistics.mean(each["chroma"] for each in grey)
    return {key: round(value, 4) for key, value in means.items()}


if __name__ == "__main__":
    main()
