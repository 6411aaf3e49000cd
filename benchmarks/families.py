"""Which family of networks makes the best pictures of CIFAR-10 for its images, and for its time?

    python benchmarks/families.py [FAMILY ...] [--trials N] [--trial-images N] [--images N] [--seeds 0 1 2]

For each family a small sweep over the settings of `examples/families.toml` that it has, in which every trial
sees equally many images (`--scheduler none`); then its winner is trained again for every seed, and for
equally many images. The last generator is measured on 5,000 samples: by the objective, by the network that
the search has not minimized, and by the KL divergence of its classes from those of the training images. All
families have the same width, not the same number of parameters; images a second are printed beside them.

Sweeps and results are kept in ~/.cache/artsweep/families, so that a benchmark that was stopped goes on.
Prints one JSON object at the end.
"""

import argparse
import dataclasses
import json
from pathlib import Path

from kept_results import CACHE
from trained_again import TICKS, prepare, swept, trained_again

from gan.config import GanConfig
from gan.data.loading import load_images
from gan.networks.families import FAMILIES
from tune.space.space import Space
from tune.space.toml import load_space, to_toml

KEPT = "families"
SPACE = Path(__file__).parents[1] / "examples" / "families.toml"
FAMILY = "network.family"


def space_of(family: str) -> Space:
    """The settings that are searched where the family is this one."""
    found = {}
    for path, domain in load_space(SPACE).items():
        asked = domain.when.get(FAMILY)
        if path == FAMILY or (asked is not None and family not in asked):
            continue
        when = {other: values for other, values in domain.when.items() if other != FAMILY}
        found[path] = dataclasses.replace(domain, when=when)
    return Space(found)


def best_of(family: str, trials: int, images: int, width: int) -> GanConfig:
    """The best settings that the family's sweep finds."""
    folder = CACHE / KEPT / f"{family}-{width}-{trials}-{images}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    space = folder.with_suffix(".toml")
    space.write_text(to_toml(space_of(family)))
    return swept(folder, space, trials, images, ["--family", family, "--width", str(width)])


def main() -> None:
    """Sweep, train again, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("families", nargs="*", metavar="FAMILY", default=list(FAMILIES))
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--trial-images", type=int, default=24_000)
    parser.add_argument("--images", type=int, default=96_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    command = parser.parse_intermixed_args()
    size = {"images": command.images, "images_per_tick": command.images // TICKS, "stopping.when": "none"}
    table = {}
    for family in command.families:
        best = best_of(family, command.trials, command.trial_images, command.width).with_values(size)
        images = load_images(best.data)
        prepare(best, images)
        found = trained_again(KEPT, family, best, images, command.seeds)
        table[family] = {"settings": best.to_dict(), **found}
    print(json.dumps({"images": command.images, "width": command.width, "table": table}))


if __name__ == "__main__":
    main()
