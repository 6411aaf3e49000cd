"""Which metric should a sweep minimize? Damages real pictures by degrees and measures every metric.

    python benchmarks/metric_ranking.py [FOLDER]

FOLDER: pictures in class folders (by default CIFAR-10 beside the checkout). For each damage and number of
pictures: does the metric rise with every degree, and how large is the smallest step, in standard deviations
over 5 random samples of the pictures? Writes docs/metrics.png and prints one JSON object at the end.
"""

import collections
import functools
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import damage
import numpy as np
import torch
from archive import unpacked
from ranking_figure import save_figure
from rich.console import Console
from rich.table import Table
from training_course import COURSE_IMAGES, courses

from gan.config import DataConfig
from gan.data.images import Images
from gan.data.loading import load_images
from gan.metrics import sliced_wasserstein
from gan.metrics.feature_distance import embed_all
from gan.metrics.frechet import GaussianStatistics, frechet_distance
from gan.metrics.kid import kernel_distance, kernel_set
from gan.metrics.mode_coverage import count_modes
from gan.metrics.prdc import neighbourhood, precision_recall_density_coverage
from perceptual.embedding import CompactEmbedder, load_embedder
from perceptual.linear_probe import fit_probe
from perceptual.network import WIDTHS

ROOT = Path(__file__).parent.parent
COUNTS, SEEDS, HELD_OUT = (1000, 2000, 5000), 5, 10_000
SWD_IMAGES = 1000
COURSE = "training, images seen"
LAST_LAYER = WIDTHS[-1]
METRICS = (
    "fd_lite0",
    "fd_compact",
    "fd_compact, last layer",
    "fd_compact, no root",
    "fd_compact, no root, last layer",
    "fd_compact, divided by spread",
    "kid",
    "swd",
    "1 - recall",
    "1 - coverage",
    "kl of classes",
)
SHOWN = ("fd_lite0", "fd_compact", "kid", "swd", "1 - recall", "1 - coverage", "kl of classes")

T = TypeVar("T")
Values = dict[str, float]
Samples = dict[tuple[str, str, int], list[Values]]
"""By damage, degree and number of pictures: the values of each random sample."""


class Judge:
    """All metrics, on features that are computed once, with the seconds each takes."""

    def __init__(self, images: Images, embedder: CompactEmbedder) -> None:
        labels = torch.from_numpy(np.array(images.train_labels))
        self.train, self._held_out = (embed_all(embedder, each) for each in (images.train, images.held_out))
        self._num_classes = len(images.class_names)
        self._probe = fit_probe(self.train, labels, self._num_classes, seed=0)
        self._classes = self._probe.predict(self._held_out)
        self._spread = self._held_out.std(dim=0).clamp_min(1e-4)
        self._references = {
            name: GaussianStatistics.from_features(each) for name, each in self._forms(self._held_out).items()
        }
        self._lite = load_embedder("lite0")
        self._lite_reference = GaussianStatistics.from_features(embed_all(self._lite, images.held_out))
        self._kernels, self._near = kernel_set(self._held_out[:2000]), neighbourhood(self._held_out[:2000])
        self._swd = list(self._projections(images.held_out[:SWD_IMAGES]))
        self.seconds: collections.Counter[str] = collections.Counter()
        self.calls: collections.Counter[str] = collections.Counter()

    def _forms(self, features: torch.Tensor) -> dict[str, torch.Tensor]:
        """Variants of the compact network's features: as shipped, without the root, and so on."""
        means = features.square()
        return {
            "fd_compact": features,
            "fd_compact, last layer": features[:, -LAST_LAYER:],
            "fd_compact, no root": means,
            "fd_compact, no root, last layer": means[:, -LAST_LAYER:],
            "fd_compact, divided by spread": features / self._spread,
        }

    @staticmethod
    def _projections(pictures: np.ndarray) -> Iterator[torch.Tensor]:
        return sliced_wasserstein.sorted_projections(pictures, seed=0, device=torch.device("cpu"))

    def judge(self, features: torch.Tensor, pictures: np.ndarray) -> Values:
        """All values of one set; the sliced distance only for 1000 pictures, since more take seconds."""
        values = {
            name: self._timed(name, functools.partial(self._frechet, self._references[name], form))
            for name, form in self._forms(features).items()
        }
        values["fd_lite0"] = self._frechet(self._lite_reference, embed_all(self._lite, pictures))
        values["kid"] = self._timed("kid", lambda: kernel_distance(self._kernels, features).value)
        if len(pictures) == SWD_IMAGES:
            values["swd"] = self._timed("swd", lambda: self._sliced(pictures))
        shares = self._timed(
            "recall, coverage", lambda: precision_recall_density_coverage(self._near, features)
        )
        kl = self._timed("kl of classes", lambda: self._divergence(features))
        return values | {
            "1 - recall": 1 - shares.recall,
            "1 - coverage": 1 - shares.coverage,
            "kl of classes": kl,
        }

    @staticmethod
    def _frechet(reference: GaussianStatistics, features: torch.Tensor) -> float:
        return frechet_distance(reference, GaussianStatistics.from_features(features))

    def _sliced(self, pictures: np.ndarray) -> float:
        sums = sliced_wasserstein.summed_distances(self._swd, self._projections(pictures))
        return float(sums.mean()) * 1000 / sliced_wasserstein.NUM_DIRECTIONS

    def _divergence(self, features: torch.Tensor) -> float:
        return count_modes(self._probe.predict(features), self._classes, self._num_classes).kl

    def _timed(self, name: str, measure: Callable[[], T]) -> T:
        began = time.perf_counter()
        value = measure()
        self.seconds[name] += time.perf_counter() - began
        self.calls[name] += 1
        return value


def judged(images: Images, judge: Judge, embedder: CompactEmbedder, console: Console) -> Samples:
    """Values of every damage, degree, number and random sample."""
    samples: Samples = collections.defaultdict(list)
    labels = np.array(images.train_labels)
    for seed in range(SEEDS):
        order = np.random.default_rng(seed).permutation(len(images.train))
        largest = order[: max(COUNTS)]
        console.print(f"sample {seed + 1} of {SEEDS}", highlight=False)

        def note(name: str, degree: str, features: torch.Tensor, pictures: np.ndarray) -> None:
            for count in COUNTS:
                samples[name, degree, count].append(judge.judge(features[:count], pictures[:count]))

        clean = judge.train[torch.from_numpy(largest)]
        note("none", "", clean, images.train[largest])
        for name, (apply, degrees) in damage.PIXELS.items():
            for degree in degrees:
                pictures = apply(images.train[largest], degree, seed)
                note(name, f"{degree:g}", embed_all(embedder, pictures), pictures)
        for missing in damage.MISSING_CLASSES:
            places = damage.without_classes(order, labels, missing, max(COUNTS))
            note("missing classes", str(missing), judge.train[torch.from_numpy(places)], images.train[places])
        for share in damage.UNIQUE_SHARES:
            for count in COUNTS:
                places = damage.repeated(order, share, count)
                found = judge.judge(judge.train[torch.from_numpy(places)], images.train[places])
                samples["different pictures", f"{share:.0%}", count].append(found)
    return samples


def smallest_step(samples: Samples, damage_name: str, count: int, metric: str) -> float:
    """The smallest step between degrees, the undamaged first, in standard deviations over samples."""
    degrees = [key[1] for key in samples if key[0] == damage_name and key[2] == count]
    sets = [samples["none", "", count], *(samples[damage_name, degree, count] for degree in degrees)]
    values = [np.array([each[metric] for each in found]) for found in sets]
    steps = [
        (after.mean() - before.mean()) / max(before.std(ddof=1), after.std(ddof=1), 1e-12)
        for before, after in itertools.pairwise(values)
    ]
    return float(min(steps))


def table(samples: Samples, count: int) -> Table:
    """Smallest steps in standard deviations: a row a metric, a column a damage; negative where it falls."""
    names = list(dict.fromkeys(name for name, _, _ in samples if name != "none"))
    shown = Table("smallest step in standard deviations", *names, title=f"{count} pictures", box=None)
    for metric in METRICS:
        if metric != "swd" or count == SWD_IMAGES:
            shown.add_row(metric, *(f"{smallest_step(samples, name, count, metric):.1f}" for name in names))
    return shown


def _judge_input(embedder: CompactEmbedder, pictures: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
    return embed_all(embedder, pictures[:SWD_IMAGES]), pictures[:SWD_IMAGES]


def falls(runs: list[list[Values]], metric: str) -> str:
    """In how many of the steps of real training runs the metric falls."""
    steps = [after[metric] < before[metric] for run in runs for before, after in itertools.pairwise(run)]
    return f"{sum(steps)} of {len(steps)}"


def main() -> None:
    """Run the experiment."""
    console = Console()
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared" / "data" / "cifar10"
    config = DataConfig(source=str(unpacked(source)), resolution=32, held_out=HELD_OUT)
    images = load_images(config)
    embedder = load_embedder("compact")
    assert isinstance(embedder, CompactEmbedder)
    judge = Judge(images, embedder)
    began = time.perf_counter()
    embedder.embed(torch.from_numpy(np.array(images.train[: max(COUNTS)])))
    embedding_s = time.perf_counter() - began
    samples = judged(images, judge, embedder, console)
    costs = {name: seconds / judge.calls[name] for name, seconds in judge.seconds.items()}
    runs = [[judge.judge(*_judge_input(embedder, each)) for each in run] for run in courses(config, images)]
    for seen, points in zip(COURSE_IMAGES, zip(*runs, strict=True), strict=True):
        samples[COURSE, f"{seen // 1024}k", SWD_IMAGES] = list(points)
    damages = {key: found for key, found in samples.items() if key[0] != COURSE}
    for count in COUNTS:
        console.print(table(damages, count))
    for metric in METRICS:
        console.print(f"{metric} falls in {falls(runs, metric)} steps of training", highlight=False)
    save_figure(samples, SHOWN, count=SWD_IMAGES, path=ROOT / "docs" / "metrics.png")
    names = list(dict.fromkeys(name for name, _, _ in damages if name != "none"))
    figures = {
        "embed_5000_s": round(embedding_s, 2),
        "seconds_each": {name: round(seconds, 3) for name, seconds in costs.items()},
        "smallest_steps": {
            str(count): {
                metric: {name: round(smallest_step(samples, name, count, metric), 1) for name in names}
                for metric in METRICS
                if metric != "swd" or count == SWD_IMAGES
            }
            for count in COUNTS
        },
        "means": {
            metric: {
                f"{name} {degree}".strip(): round(float(np.mean([each[metric] for each in found])), 4)
                for (name, degree, count), found in samples.items()
                if count == 1000
            }
            for metric in METRICS
        },
        "training_steps_that_fall": {metric: falls(runs, metric) for metric in METRICS},
        "training_images": list(COURSE_IMAGES),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
