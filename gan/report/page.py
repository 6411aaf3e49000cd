"""The page of a run, `report.html` in its folder: what it makes, how it learned, what is wrong with it."""

import dataclasses
import io
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from common.errors import require
from common.page.render import render
from common.settings import setting_paths
from common.text import duration
from gan.config import GanConfig
from gan.config_file import CONFIG_FILE
from gan.image_grid import webp_bytes
from gan.report import curves
from gan.report.frames import sample_frames
from gan.report.gallery import gallery_pictures
from gan.report.pictures import Gallery
from gan.report.stretches import Stretch, stretches
from gan.run_folder import DETAILS, Row, RunFolder, best_row
from gan.training.health.signals import finite

REPORT = "report.html"
_TEMPLATE = Path(__file__).with_name("run.html.jinja")


def write_report(results: RunFolder, *, makes_gallery: bool = True) -> str:
    """Write the page of a run, which may still train, into its folder; returns where it is.

    makes_gallery: also make the gallery of its generator, which takes half a minute, if there is none yet.

    Raises: ConfigError when the folder has no run; WriteError when it cannot be written.
    """
    folder = results.folder
    require(
        results.exists() and folder.status(DETAILS) is not None,
        f"{folder.location} holds no run: {CONFIG_FILE} or {DETAILS} is missing; give a run's folder, or "
        "use python -m tune report for a sweep's",
    )
    metric = results.config().evaluation.key()
    # a row without its objective is none that a run wrote
    history = [row for row in results.history() if finite(row.get(metric)) is not None]
    gallery = gallery_pictures(folder.location, may_make=makes_gallery) if history else None
    page = render(_TEMPLATE, has_plots=bool(history), **_context(results, history, gallery))
    folder.write(REPORT, page)
    return folder.path(REPORT)


def _context(results: RunFolder, history: list[Row], gallery: Gallery | None) -> dict[str, Any]:
    """What the template shows."""
    config, location = results.config(), results.folder.location
    metric = config.evaluation.key()
    details = results.details()
    found = stretches(history, metric)
    state = _state(config, history, details.get("ended"))
    frames = [(f"after {images:,} images", frame) for images, frame in sample_frames(results.folder).items()]
    return {
        "title": location.rpartition("/")[2],
        "state": state,
        "facts": _facts(config, history, details),
        "answer": _objective_answer(history, metric),
        "frames": frames,
        "gallery": gallery,
        "still": None if gallery is None else _first_frame(gallery.walk),
        "stretches": found,
        "troubles": [each for each in found if not each.verdict.is_healthy],
        "plots": _plots(history, metric, found) if history else {},
        "changed": _changed_settings(config),
        "settings": {path: _text(config.value(path)) for path in setting_paths(GanConfig)},
        "commands": _commands(location, config, state),
        "report_command": f"python -m gan report {shlex.quote(location)}",
        "gallery_command": f"python -m gan gallery {shlex.quote(location)}",
    }


@dataclasses.dataclass(frozen=True)
class _State:
    """How far a run is, in a sentence."""

    text: str
    is_finished: bool = False
    is_stopped: bool = False
    """For its verdict."""


def _state(config: GanConfig, history: Sequence[Row], ended: dict[str, str] | None) -> _State:
    total = config.total_images()
    done = history[-1]["images_seen"] if history else 0
    far = f"{done:,.0f} of {total:,} images"
    if done >= total:
        return _State(f"Finished after {done:,.0f} images.", is_finished=True)
    outcome, reason = (ended or {}).get("outcome"), (ended or {}).get("reason", "")
    if outcome == "stopped":
        return _State(f"Stopped after {far} for its verdict: {reason}.", is_stopped=True)
    if outcome in ("diverged", "failed"):
        return _State(f"{outcome.capitalize()} after {far}: {reason}.")
    if outcome == "interrupted":
        return _State(f"Interrupted after {far}; it can be resumed.")
    return _State(f"{far} so far; the page is of a run that trains, or that was killed.")


def _facts(config: GanConfig, history: list[Row], details: dict[str, Any]) -> dict[str, str]:
    metric = config.evaluation.key()
    facts = {"data": f"{config.data.source}, {config.data.resolution} pixels"}
    images = details.get("images") or {}
    if "train" in images:
        facts["pictures"] = f"{images['train']:,} to train on, {images['held_out']:,} held out"
    facts |= {"loss": config.loss.name, "balance": config.balance.policy, "batch": f"{config.batch}"}
    if history:
        best = best_row(history, metric)
        facts[f"best {metric}"] = f"{best[metric]:.4g}"
        facts["noise floor"] = f"{best.get(f'{metric}_noise', math.nan):.2g}"
        seconds = math.fsum(row.get("train_s", 0) + row.get("evaluate_s", 0) for row in history)
        facts["trained for"] = duration(seconds)
        training_s = math.fsum(row.get("train_s", 0) for row in history)
        if training_s > 0:
            facts["speed"] = f"{history[-1]['images_seen'] / training_s:,.0f} images/s"
    facts["workers"] = f"{details.get('workers', 1)}"
    return facts


def _objective_answer(history: list[Row], metric: str) -> str:
    if not history:
        return ""
    best, last = best_row(history, metric), history[-1]
    floor = best.get(f"{metric}_noise", math.nan)
    answer = (
        f"The best state has {metric} {best[metric]:.4g}, after {best['images_seen']:,.0f} images; real "
        f"images have {floor:.2g}, the noise floor."
    )
    if last is not best:
        answer += f" At the end it was {last[metric]:.4g}."
    return answer


def _plots(history: list[Row], metric: str, found: Sequence[Stretch]) -> dict[str, curves.Figure]:
    troubles = [each for each in found if not each.verdict.is_healthy]
    return {
        "objective": curves.objective(history, metric, troubles),
        "losses": curves.losses(history),
        "accuracies": curves.accuracies(history),
        "margin": curves.margin(history),
        "variety": curves.variety(history),
        "learning_rates": curves.learning_rates(history),
    }


def _changed_settings(config: GanConfig) -> dict[str, tuple[str, str]]:
    """The settings that are not at their defaults, each with its default."""
    default = GanConfig()
    values = {path: (config.value(path), default.value(path)) for path in setting_paths(GanConfig)}
    return {path: (_text(own), _text(usual)) for path, (own, usual) in values.items() if own != usual}


def _text(value: object) -> str:
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _commands(location: str, config: GanConfig, state: _State) -> dict[str, str]:
    """What one may do next, as command lines for a shell."""
    here = shlex.quote(location)
    resume = f"python -m gan train --resume {here}"
    if state.is_finished:
        resume += f" --images {2 * config.images}"
    if state.is_stopped:
        resume += " --stop-when none"
    settings, pictures = shlex.quote(f"{location}/{CONFIG_FILE}"), shlex.quote(f"{location}/pictures")
    return {
        "train it longer" if state.is_finished else "go on": resume,
        "train again with another seed": f"python -m gan train --config {settings} --seed {config.seed + 1}",
        "sample from the best state": f"python -m gan sample {here} --out {pictures}",
        "measure it": f"python -m gan evaluate {here}",
    }


def _first_frame(animation: bytes) -> bytes:
    with Image.open(io.BytesIO(animation), formats=["WEBP"]) as frames:
        return webp_bytes(frames.convert("RGB"))
