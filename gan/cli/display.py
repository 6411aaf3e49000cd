"""The progress of a run: a bar in a terminal, plain lines in any other output."""

from typing import TYPE_CHECKING

from rich.console import Console

from common.cli.progress import progress_bar, say
from common.cli.sparkline import sparkline
from common.image_files import other_files
from common.text import counted
from gan.metrics.few import say_few
from gan.raytrain.events import Begun, RunEvent, Stepped, Ticked
from gan.training.health import Verdict

if TYPE_CHECKING:
    from gan.data.images import Images


class RunDisplay:
    """Shows one run: a bar that moves within a tick, with the last ticks' curve, and a line for each tick."""

    def __init__(self, console: Console, total_images: int, metric: str) -> None:
        self._console, self._metric, self._total = console, metric, total_images
        self._bar = progress_bar(console)
        self._task = self._bar.add_task("starting workers", total=total_images, text="")
        self._begun = False
        self._values: list[float] = []
        self._objective = self._verdict = ""

    def __enter__(self) -> "RunDisplay":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, event: RunEvent) -> None:
        """Show one event."""
        if isinstance(event, Begun):
            self._begin(event.images_seen)
        elif isinstance(event, Stepped):
            text = (
                f"{sparkline(self._values, encoding=self._console.encoding)}  "
                f"{event.images_per_s:.0f} images/s"
                f"  G {event.generator_loss:.3f}  D {event.discriminator_loss:.3f}"
                f"  {_right(event.accuracy_real, event.accuracy_fake)}  {self._objective}"
            )
            self._bar.update(self._task, completed=event.images_seen, text=text.lstrip())
        elif isinstance(event, Ticked):
            self._objective = objective(event.row, self._metric)
            self._values.append(event.row[self._metric])
            self._bar.update(self._task, completed=event.row["images_seen"])
            best = "  best so far" if event.is_best else ""
            trouble = "" if event.verdict.is_healthy else f"  {event.verdict.name}"
            self._print(tick_line(event.row, self._metric, self._total) + best + trouble)
            self._show_change(event.verdict)

    def _show_change(self, verdict: Verdict) -> None:
        """Say what a new verdict is read from and what to try, once."""
        before, self._verdict = self._verdict, verdict.name
        if verdict.name == before:
            return
        if verdict.is_healthy:
            self._print(f"healthy again: {verdict.evidence}" if before else "")
        else:
            self._print(f"{verdict.name}: {verdict.evidence}; {verdict.remedy}")

    def _print(self, line: str) -> None:
        if line:
            self._console.print(line, soft_wrap=True, highlight=False)

    def _begin(self, images_seen: int) -> None:
        # sent again after Ray Train has restarted the workers
        what = "lost a worker, resuming" if self._begun else "resuming" if images_seen else "training"
        if self._begun or images_seen:
            self._console.print(f"{what} from {images_seen:,} images", highlight=False)
        self._begun = True
        self._bar.update(self._task, description="training", completed=images_seen)


def objective(row: dict[str, float], metric: str) -> str:
    """The objective with its noise floor, the metric of real training images."""
    return f"{metric} {row[metric]:.4g} (noise floor {row[f'{metric}_noise']:.2g})"


def tick_line(row: dict[str, float], metric: str, total_images: int) -> str:
    """One line for a tick."""
    return (
        f"{row['images_seen']:,.0f}/{total_images:,} images  {objective(row, metric)}"
        f"  G {row['generator_loss']:.3f}  D {row['discriminator_loss']:.3f}"
        f"  {_right(row['accuracy_real'], row['accuracy_fake'])}  {row['images_per_s']:.0f} images/s"
    )


def _right(real: float, fake: float) -> str:
    """`D right on 83% real, 71% fake`: shares that the discriminator takes for what they are."""
    return f"D right on {real:.0%} real, {fake:.0%} fake"


def say_skipped(console: Console, images: "Images") -> None:
    """Print which files were left out or enlarged, and whether few pictures are left."""
    if images.others:
        say(console, other_files(images.others))
    if images.skipped:
        name, reason = images.skipped[0]
        files = counted(len(images.skipped), "unreadable file")
        say(console, f"skipped {files}, first {name}: {reason}")
    if images.enlarged:
        pictures, side = counted(images.enlarged, "picture"), images.resolution
        say(
            console,
            f"enlarged {pictures} smaller than {side} x {side} pixels; a lower --resolution avoids it",
        )
    few = say_few(len(images.train), len(images.held_out))
    if few is not None:
        say(console, few)
