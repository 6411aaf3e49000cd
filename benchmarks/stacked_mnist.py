"""The standard table of mode collapse: how many of the 1,000 modes of Stacked MNIST does a generator cover?

    python benchmarks/stacked_mnist.py [--seeds 0 1 2] [--images N] [--samples N] [SETTING=VALUE ...]

Trains one configuration for each seed and counts the classes of 26,000 samples: `modes`, of 1,000, and the
Kullback-Leibler divergence of their histogram from that of the training data, each beside what as many
training images get. SETTING is the dotted path of any setting, as in a space or a config file, for example
`network.width=64`, `loss.name=hinge` or `data.root=FOLDER` (default: MNIST beside the checkout). Results are
kept in ~/.cache/artsweep/stacked-mnist by all settings: what was trained before is only printed. Prints one
JSON object at the end.

The published protocol (Srivastava et al. 2017, VEEGAN; Lin et al. 2018, PacGAN, and the code of the latter)
has 128,000 pictures of 28 x 28 pixels, 50 epochs and 26,000 samples; there a DCGAN covers 99 modes (KL 3.40),
and with packing of 2 pictures 1,000 (KL 0.06).

The same here: 128,000 pictures to train on, 26,000 samples, of which one is enough to cover a mode, 100
latent numbers, batches of 64, Adam with rates of 2e-4 and beta1 0.5, transposed convolutions, no averaged
weights. Different, by default: 5 epochs (640,000 images) and width 32 instead of 64, so that a seed ends
within about 20 minutes on 2 cores; 32 x 32 pixels; this project's DCGAN; another order of the pictures in
every epoch; latent numbers are normal, there uniform; the generator trains once a step, there twice; digits
come from the 60,000 of MNIST's training part, there from all 70,000; the KL is from the classes of the
training pictures, there from 1,000 equal ones; another classifier of digits counts.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from kept_results import Result, kept_result

from common.errors import ConfigError
from gan.config import GanConfig
from gan.data.images import Images
from gan.data.loading import load_images
from gan.metrics.preparation import prepare_metric
from gan.training.run import Diverged, GanRun

MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist"
KEPT = "stacked-mnist"
IMAGES, SAMPLES, TICKS, SEEDS = 640_000, 26_000, 10, (0, 1, 2)
PLAIN: dict[str, Any] = {
    "data.source": "stacked-mnist",
    "network.width": 32,
    "network.upsampling": "transposed",
    "ema_half_life": 0,
    "evaluation.metric": "kl",
}


def config_of(changes: dict[str, Any], *, images: int, samples: int) -> GanConfig:
    """The plain DCGAN with some settings changed, for seed 0.

    Raises: ConfigError for a path that names no setting and a value that breaks a rule.
    """
    size = {"images": images, "images_per_tick": -(-images // TICKS), "evaluation.metric_images": samples}
    root = {"data.root": str(MNIST)} if MNIST.exists() else {}
    return GanConfig().with_values(PLAIN | size | root | changes)


def changes_of(words: list[str]) -> dict[str, Any]:
    """Settings by dotted path from words such as `network.width=64`; values are JSON or else text.

    Raises: ConfigError for a word without `=`.
    """
    found = {}
    for word in words:
        path, equals, text = word.partition("=")
        if not equals:
            raise ConfigError(f"settings are given as PATH=VALUE, not {word!r}; try network.width=64")
        try:
            found[path] = json.loads(text)
        except json.JSONDecodeError:
            found[path] = text
    return found


def trained_once(config: GanConfig, images: Images) -> Result:
    """What one run covers in the end, and its modes at the end of every tick; trained unless it is kept."""
    return kept_result(KEPT, config, lambda: trained(config, images))


def trained(config: GanConfig, images: Images) -> Result:
    """Train one run and count its modes at the end of every tick."""
    run, name, rows = GanRun(config, images), config.evaluation.key(), list[dict[str, float]]()
    count = name.partition("_")[2]
    try:
        while not run.is_finished:
            rows.append(run.tick())
            modes, kl = rows[-1][f"modes_{count}"], rows[-1][name]
            print(f"  {run.images_seen:,} images: {modes:.0f} modes, KL {kl:.3f}", flush=True)
    except Diverged as error:
        return {"seed": config.seed, "diverged": error.reason, "after": run.images_seen}
    last = rows[-1]
    return {
        "seed": config.seed,
        "modes": last[f"modes_{count}"],
        "kl": last[name],
        "modes_of_real": last[f"modes_{count}_noise"],
        "kl_of_real": last[f"{name}_noise"],
        "modes_by_tick": [row[f"modes_{count}"] for row in rows],
        "kl_by_tick": [row[name] for row in rows],
        "images_per_s": statistics.median(row["images_per_s"] for row in rows),
    }


def summary(results: list[Result]) -> dict[str, Any]:
    """Mean and standard error over the seeds that did not diverge, as in the papers' tables."""
    finished = [result for result in results if "diverged" not in result]
    found: dict[str, Any] = {"finished": len(finished)}
    for name in ("modes", "kl"):
        values = [result[name] for result in finished]
        if values:
            found[name] = statistics.mean(values)
        if len(values) > 1:
            found[f"{name}_standard_error"] = statistics.stdev(values) / len(values) ** 0.5
    return found


def main() -> None:
    """Run what the command line asks for and print its JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("settings", nargs="*", metavar="SETTING=VALUE")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    command = parser.parse_intermixed_args()
    try:
        changes = changes_of(command.settings)
        config = config_of(changes, images=command.images, samples=command.samples)
        images = load_images(config.data)
        prepare_metric(config, images)
    except ConfigError as error:
        parser.error(str(error))
    results = []
    for seed in command.seeds:
        print(f"seed {seed}, {changes or 'plain'}", flush=True)
        results.append(trained_once(config.with_values({"seed": seed}), images))
        print(f"  {results[-1]}", flush=True)
    print(json.dumps({"settings": changes, "images": config.images, **summary(results), "seeds": results}))


if __name__ == "__main__":
    main()
