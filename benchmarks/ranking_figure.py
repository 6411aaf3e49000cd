"""The figure of `metric_ranking`: every metric over every damage, with the noise floor as a grey band."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullFormatter


def save_figure(
    samples: Mapping[tuple[str, str, int], list[dict[str, float]]],
    metrics: Sequence[str],
    *,
    count: int,
    path: Path,
) -> None:
    """A row a metric, a column a damage; mean and standard deviation over samples; grey: undamaged."""
    names = list(dict.fromkeys(name for name, _, number in samples if number == count and name != "none"))
    figure, axes = plt.subplots(
        len(metrics), len(names), figsize=(2.3 * len(names), 1.35 * len(metrics)), sharex="col", squeeze=False
    )
    for row, metric in zip(axes, metrics, strict=True):
        clean = np.array([each[metric] for each in samples["none", "", count]])
        for axis, name in zip(row, names, strict=True):
            degrees = [degree for what, degree, number in samples if what == name and number == count]
            values = [np.array([each[metric] for each in samples[name, degree, count]]) for degree in degrees]
            means, deviations = (
                np.array([function(each) for each in values]) for function in (np.mean, np.std)
            )
            axis.axhspan(clean.mean() - clean.std(), clean.mean() + clean.std(), color="0.8", lw=0)
            axis.axhline(clean.mean(), color="0.5", lw=0.8)
            axis.fill_between(range(len(degrees)), means - deviations, means + deviations, alpha=0.3, lw=0)
            axis.plot(range(len(degrees)), means, marker="o", ms=3)
            if min(means.min(), clean.mean()) > 0 and means.max() > 20 * clean.mean():
                axis.set_yscale("log")
                axis.yaxis.set_minor_formatter(NullFormatter())
            axis.set_xticks(range(len(degrees)), degrees, fontsize=7)
            axis.tick_params(axis="y", labelsize=6)
            for side in ("top", "right"):
                axis.spines[side].set_visible(False)
        row[0].set_ylabel(metric, fontsize=9)
    for axis, name in zip(axes[0], names, strict=True):
        axis.set_title(name, fontsize=9)
    figure.tight_layout(pad=0.6)
    figure.savefig(path, dpi=110)
    plt.close(figure)
