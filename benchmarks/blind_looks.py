"""Pairs of sample grids to choose from by looking, without names or numbers.

    python benchmarks/blind_looks.py make FOLDER DATA [--pairs 50] [--seed 0]
    python benchmarks/blind_looks.py agree FOLDER...

make: takes pairs of end states of one search from the bank of `objective.py` and writes FOLDER/NN.png, the
one on the left and the other on the right, in random order, below a strip of real pictures. Write what you
choose into FOLDER/choices.txt, a line `NN left`, `NN right` or `NN same` each.
agree: only then reads which states they were, writes them beside the choices into FOLDER/pairs.csv, and
prints how often each candidate prefers the same one, among all pairs and among those of which its values
differ by more than a tenth.
"""

import argparse
import csv
import json
import random
from pathlib import Path

import numpy as np
from objective import BANK, data_config
from objective_bank import Search, read_bank
from objective_candidates import CANDIDATES, value_of
from PIL import Image

from gan.data.loading import load_images
from gan.image_grid import grid

FAR = 0.1  # of the smaller value
ROWS, COLUMNS, GAP, ENLARGED = 8, 8, 12, 3
KEY = "key.json"

Pair = tuple[str, dict[str, float], dict[str, float]]
"""What was chosen, and by candidate the values of the left and of the right one."""


def picture(real: np.ndarray, left: np.ndarray, right: np.ndarray) -> Image.Image:
    """Real pictures above, the two grids side by side below, enlarged."""
    grids = [grid(np.array(each[: ROWS * COLUMNS]), columns=COLUMNS) for each in (left, right)]
    strip = grid(np.array(real[: 2 * COLUMNS]), columns=2 * COLUMNS)
    height, width, channels = grids[0].shape
    canvas = np.full((height + strip.shape[0] + GAP, 2 * width + GAP, channels), 255, np.uint8)
    canvas[: strip.shape[0], : min(strip.shape[1], canvas.shape[1])] = strip[:, : canvas.shape[1]]
    canvas[-height:, :width], canvas[-height:, -width:] = grids
    shown = Image.fromarray(canvas.squeeze())
    return shown.resize((shown.width * ENLARGED, shown.height * ENLARGED), Image.Resampling.NEAREST)


def make(folder: Path, data: str, pairs: int, seed: int) -> None:
    """Write the pictures, and apart from them which states they show."""
    folder.mkdir(parents=True)
    real = load_images(data_config(data)).held_out[1::2]
    chance = random.Random(seed)
    searches = sorted(path for path in BANK.glob(f"{Path(data).name}-*-*") if path.suffix != ".partial")
    key = {}
    for number in range(pairs):
        search = chance.choice(searches).name
        states = [state for state in read_bank(BANK, Search.named(search)) if state.is_end]
        left, right = chance.sample(states, 2)
        picture(real, left.samples, right.samples).save(folder / f"{number:02}.png")
        key[f"{number:02}"] = [search, left.trial, right.trial]
    (folder / KEY).write_text(json.dumps(key))


def agree(folders: list[Path]) -> dict[str, dict[str, float]]:
    """How often each candidate prefers what was chosen."""
    pairs = [pair for folder in folders for pair in _chosen(folder)]
    return {name: _agreement(pairs, name) for name in CANDIDATES}


def _agreement(pairs: list[Pair], name: str) -> dict[str, float]:
    agrees, agrees_far = [], []
    for chosen, left, right in pairs:
        if chosen == "same":
            continue
        agrees.append((left[name] < right[name]) == (chosen == "left"))
        if abs(left[name] - right[name]) > FAR * min(left[name], right[name]):
            agrees_far.append(agrees[-1])
    return {"all": float(np.mean(agrees)), "far": float(np.mean(agrees_far)), "far pairs": len(agrees_far)}


def _chosen(folder: Path) -> list[Pair]:
    """What was chosen of each pair, and the values of both."""
    lines = (folder / "choices.txt").read_text().split("\n")
    choices = dict(line.split() for line in lines if line.strip())
    key = json.loads((folder / KEY).read_text())
    values = {search: _values(search) for search, _, _ in key.values()}
    with (folder / "pairs.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["search", "left", "right", "chosen"])
        table.writerows([*states, choices[number]] for number, states in key.items())
    return [
        (choices[number], values[search][left], values[search][right])
        for number, (search, left, right) in key.items()
    ]


def _values(search: str) -> dict[int, dict[str, float]]:
    """The values of the end states, by trial."""
    states = read_bank(BANK, Search.named(search))
    rows = json.loads((BANK / search / "values.json").read_text())
    return {
        state.trial: {name: value_of(name, row) for name in CANDIDATES}
        for state, row in zip(states, rows, strict=True)
        if state.is_end
    }


def main() -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    maker = commands.add_parser("make")
    maker.add_argument("folder", type=Path)
    maker.add_argument("data", nargs="?", default="cifar10")
    maker.add_argument("--pairs", type=int, default=50)
    maker.add_argument("--seed", type=int, default=0)
    commands.add_parser("agree").add_argument("folders", type=Path, nargs="+")
    command = parser.parse_args()
    if command.command == "make":
        make(command.folder, command.data, command.pairs, command.seed)
    else:
        print(json.dumps(agree(command.folders)))


if __name__ == "__main__":
    main()
