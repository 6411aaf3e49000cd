"""What does balance bring? A sweep over balance policies and regularizers, and its winner trained again.

    python benchmarks/balance_policies.py [--trials N] [--trial-images N] [--images N] [--seeds 0 1 2]

First a sweep over `examples/balance.toml` on CIFAR-10, in which every trial sees equally many images
(`--scheduler none`). Then four configurations are trained anew, each for every seed and for equally many
images: the sweep's winner; the same learning rates and loss without policy and regularizers (`none`); the
rates of the DCGAN paper (Radford et al. 2015), both 2e-4, without policy; and the same with each policy at
its defaults. The last generator of each is measured on 5,000 samples: by the objective, by the network that
the search has not minimized, and by the KL divergence of its classes from those of the training images.

The sweep and all results are kept in ~/.cache/artsweep/balance-policies, so that a benchmark that was stopped
goes on. Prints one JSON object at the end.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from kept_results import CACHE
from trained_again import TICKS, prepare, swept, trained_again

from gan.config import GanConfig
from gan.data.loading import load_images

KEPT = "balance-policies"
SPACE = Path(__file__).parents[1] / "examples" / "balance.toml"
WIDTH = 16
PLAIN: dict[str, Any] = {"balance.policy": "none"} | dict.fromkeys(
    ("regularization.instance_noise", "regularization.r1", "network.minibatch_std"), 0
)
PLAIN |= {"regularization.augment": "none", "network.packing": 1}
PAPER: dict[str, Any] = {"optimizer.generator_lr": 2e-4, "optimizer.discriminator_lr": 2e-4}
POLICIES = ("accuracy", "margin", "adaptive")


def candidates(best: GanConfig) -> dict[str, GanConfig]:
    """What is compared, by name."""
    paper = best.with_values({**PLAIN, **PAPER})
    with_policy = {f"paper's rates, {name}": paper.with_values({"balance.policy": name}) for name in POLICIES}
    return {
        "best found": best,
        "its rates, none": best.with_values(PLAIN),
        "paper's rates, none": paper,
        **with_policy,
    }


def main() -> None:
    """Sweep, train again, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--trial-images", type=int, default=96_000)
    parser.add_argument("--images", type=int, default=192_000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    command = parser.parse_args()
    size = {"images": command.images, "images_per_tick": command.images // TICKS}
    folder = CACHE / KEPT / f"sweep-{command.trials}-{command.trial_images}"
    found = swept(folder, SPACE, command.trials, command.trial_images, ["--width", str(WIDTH)])
    best = found.with_values({**size, "stopping.when": "none"})
    images = load_images(best.data)
    prepare(best, images)
    table = {
        name: trained_again(KEPT, name, config, images, command.seeds)
        for name, config in candidates(best).items()
    }
    print(json.dumps({"best": best.to_dict(), "images": command.images, "table": table}))


if __name__ == "__main__":
    main()
