"""What a run shows in a terminal."""

import io

from rich.console import Console

from gan.cli.display import RunDisplay
from gan.raytrain.events import Begun, Stepped, Ticked
from gan.training.health import HEALTHY, Verdict


def test_the_bar_shows_the_curve_of_the_last_ticks_before_the_numbers_of_a_step() -> None:
    out = io.StringIO()
    console = Console(file=out, width=200, force_terminal=True, color_system=None)
    with RunDisplay(console, total_images=640, metric="swd") as display:
        display.show(Begun(0))
        for tick, value in enumerate((8.0, 4.0, 2.0, 1.0), start=1):
            row = {"images_seen": 64.0 * tick, "swd": value, "swd_noise": 0.5, "images_per_s": 50.0}
            row |= dict.fromkeys(("generator_loss", "discriminator_loss"), 0.7)
            row |= dict.fromkeys(("accuracy_real", "accuracy_fake"), 0.5)
            display.show(Ticked(row, is_best=True, verdict=Verdict(HEALTHY, "")))
        display.show(Stepped(300, 50.0, 0.7, 0.7, 0.5, 0.5))
    assert "█▆▃▁  50 images/s  G 0.700" in out.getvalue()
