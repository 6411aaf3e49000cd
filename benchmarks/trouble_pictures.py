"""Draws the pictures of docs/troubles.md: for each verdict a planted run's last samples and its curves.

    python benchmarks/trouble_pictures.py

Reads the runs that `planted_troubles.py` has kept (or trains them) and writes docs/troubles/<verdict>.png.
Needs matplotlib (`pip install -e '.[benchmarks]'`).
"""

import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from planted_runs import PLANTS, rows_of, run_file

from gan.training.health import HEALTHY, verdicts

OUT = Path(__file__).parents[1] / "docs" / "troubles"
METRIC = "fd_lite0_1k"
SEED, WIDTH = 1, 24
SHOWN = 5  # rows and columns of the grid

# verdict -> plant, data, and what is drawn beside the objective
PICTURES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "healthy": ("base", "mnist", ("accuracy_real", "accuracy_fake")),
    "mode_collapse": ("one latent number", "mnist", ("spread_lite0_1k", "separation_lite0_1k")),
    "discriminator_won": ("tiny generator rate", "shapes", ("accuracy_real", "accuracy_fake")),
    "generator_won": ("discriminator slowed", "shapes", ("discriminator_margin",)),
    "diverged": ("rate of one, later", "cifar10", ("burnt",)),
    "memorizing": ("sixty-four pictures", "shapes", ("discriminator_overfit",)),
    "decayed": ("discriminator slowed", "cifar10", ("discriminator_margin",)),
    "stalled": ("rates of nothing, later", "cifar10", ("accuracy_real", "accuracy_fake")),
}


def grid(path: Path) -> np.ndarray:
    """The upper left `SHOWN` x `SHOWN` samples of a run's grid of 8 x 8, enlarged without smoothing."""
    with Image.open(path) as picture:
        side = math.ceil(picture.width * SHOWN / 8)
        part = picture.convert("RGB").crop((0, 0, side, side))
        return np.asarray(part.resize((3 * side, 3 * side), Image.Resampling.NEAREST))


def draw(name: str, plant: str, data: str, beside: tuple[str, ...]) -> None:
    """One picture: samples, the objective with the ticks of the verdict marked, and the numbers beside it."""
    rows = [row for row in rows_of(plant, data, SEED, WIDTH) if row]
    found = [verdict.name for verdict in verdicts(rows, METRIC)]
    images = [row["images_seen"] for row in rows]
    figure, (samples, objective, numbers) = plt.subplots(1, 3, figsize=(10, 3), width_ratios=(1, 1.3, 1.3))
    samples.imshow(grid(run_file(plant, data, SEED, WIDTH).with_suffix(".png")))
    samples.axis("off")
    objective.plot(images, [row[METRIC] for row in rows], color="#0072b2", marker="o", markersize=3)
    named = [place for place, verdict in enumerate(found) if verdict == name != HEALTHY]
    objective.plot(
        [images[place] for place in named],
        [rows[place][METRIC] for place in named],
        color="#d55e00",
        marker="s",
        linestyle="none",
        label=name,
    )
    objective.set_title(METRIC, fontsize=9)
    objective.set_ylim(bottom=0)
    for number, colour, style in zip(beside, ("#009e73", "#cc79a7"), ("-", "--"), strict=False):
        numbers.plot(images, [row[number] for row in rows], style, color=colour, label=number)
    numbers.set_title(f"{plant}, {data}", fontsize=9)
    numbers.legend(fontsize=7)
    if named:
        objective.legend(fontsize=7)
    changes = PLANTS[plant].changes_after
    for axes in (objective, numbers):
        axes.set_xlabel("images", fontsize=8)
        axes.tick_params(labelsize=7)
        if changes:
            axes.axvline(images[changes - 1], color="grey", linewidth=0.8, linestyle=":")
    figure.tight_layout()
    figure.savefig(OUT / f"{name}.png", dpi=80)
    plt.close(figure)
    print(f"{name}: {' '.join(found)}")


def main() -> None:
    """Draw all pictures."""
    OUT.mkdir(exist_ok=True)
    for name, (plant, data, beside) in PICTURES.items():
        draw(name, plant, data, beside)


if __name__ == "__main__":
    main()
