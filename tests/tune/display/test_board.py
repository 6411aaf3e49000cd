"""The ranking of trials in terminals of every size, with the many settings of examples/balance.toml."""

import io
import re
from pathlib import Path

import optuna
import pytest
from rich.console import Console

from gan.config import GanConfig
from tests.tune.display.simulated import Simulation
from tune.display.board import live_board, whole_board
from tune.records.events import SweepEvent, Tick, TrialEnded, TrialStarted
from tune.records.trial_records import Trial, collect
from tune.space.space import Choice, Float, Space, suggest
from tune.space.toml import load_space

ROOT = Path(__file__).parents[3]
SPACE = load_space(ROOT / "examples" / "balance.toml", GanConfig())
METRIC = "fd_lite0_1k"
REASON = "the generator's loss is nan by step 44"
EVIDENCE = "the discriminator is right about 99 % of the images, and the generator's gradient is 2e-05"
SUMMARY = "16 of 30 trials: 4 running; 12 min 3 s, 330 images/s; about 14 min left"


@pytest.fixture(scope="module")
def trials() -> dict[int, Trial]:
    """30 trials with settings of all kinds; 3 failed without a value, and 5 is in trouble."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    values = [suggest(SPACE, study.ask()) for _ in range(30)]
    events: list[SweepEvent] = []
    for event in Simulation(trials=30).events(seed=4):
        if isinstance(event, TrialStarted):
            event = TrialStarted(number=event.number, trial_id=event.trial_id, values=values[event.number])
        elif isinstance(event, Tick):
            if event.number == 3:
                continue
            event = Tick(
                number=event.number,
                trial_id=event.trial_id,
                images_seen=event.images_seen * 100,
                metrics={METRIC: event.metrics["swd"]},
                verdict="discriminator_won" if event.number == 5 else "healthy",
                verdict_evidence=EVIDENCE,
            )
        elif isinstance(event, TrialEnded) and event.number == 3:
            event = TrialEnded(number=3, state="failed", reason=REASON)
        events.append(event)
    return collect(events)


def shown(
    trials: dict[int, Trial], space: Space, width: int, height: int | None = None, *, encoding: str = "utf-8"
) -> list[str]:
    """The lines of the live view, or without a height of the whole ranking."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    console = Console(file=file, width=width, height=height or 1000, color_system=None)
    if height is None:
        console.print(whole_board(console, trials, space, METRIC))
    else:
        console.print(live_board(console, trials, space, METRIC, [SUMMARY]))
    file.flush()
    return raw.getvalue().decode(encoding).splitlines()


@pytest.mark.parametrize("width", [50, 80, 100, 120, 200])
@pytest.mark.parametrize("height", [12, 24, 40, 60])
def test_the_live_view_fits_the_terminal_and_ends_with_its_summary(
    trials: dict[int, Trial], width: int, height: int
) -> None:
    lines = shown(trials, SPACE, width, height)
    assert len(lines) < height and all(len(line.rstrip()) <= width for line in lines)
    assert " ".join(lines).replace("  ", " ").rstrip().endswith("about 14 min left")
    assert any(line.split()[:1] == ["1"] for line in lines)


def test_at_80_columns_a_settings_line_has_room_for_words_and_the_reason_stands_beside_its_trial(
    trials: dict[int, Trial],
) -> None:
    lines = shown(trials, SPACE, 80, 60)
    settings = [line for line in lines if line.startswith("    generator lr ")]
    assert len(settings) == 12 and min(map(len, settings)) > 50
    row = next(line for line in shown(trials, SPACE, 80) if re.match(r" *\d+ +5 ", line))
    assert "discriminator_won" not in row, "in the whole ranking it has lines of its own"
    whole = "\n".join(shown(trials, SPACE, 80))
    assert re.search(rf" 5 +\w+ .*\n    discriminator_won: {EVIDENCE[:40]}", whole)


def test_all_settings_are_in_the_whole_ranking_at_every_width(trials: dict[int, Trial]) -> None:
    for width in (60, 80, 200):
        text = " ".join(" ".join(shown(trials, SPACE, width)).split())
        for number in (0, 7):
            for path, value in trials[number].values.items():
                name = path.rpartition(".")[2].split("_")[-1]
                assert f"{name} {value if not isinstance(value, float) else f'{value:.3g}'[:3]}" in text


def test_a_trial_that_failed_without_a_value_is_named_below_the_best_ones(trials: dict[int, Trial]) -> None:
    assert f"trial 3 failed: {REASON}" in shown(trials, SPACE, 80, 24)


def test_few_settings_get_columns_and_those_that_no_trial_has_get_none() -> None:
    space = Space(
        {
            "optimizer.generator_lr": Float(1e-5, 1e-3, log=True),
            "balance.policy": Choice(("none", "accuracy")),
            "balance.accuracy_threshold": Float(0.5, 0.9, when={"balance.policy": ("accuracy",)}),
        }
    )
    values = {"optimizer.generator_lr": 1e-4, "balance.policy": "none"}
    known = collect([TrialStarted(number=0, trial_id="t", values=values)])
    lines = shown(known, space, 100)
    assert lines[0].split() == ["images", "generator"]
    assert lines[1].split() == ["#", "trial", "state", METRIC, "last", "ticks", "at", "best", "lr", "policy"]
    assert lines[3].split() == ["-", "0", "running", "-", "-", "0.0001", "none"]


def test_what_depends_on_a_setting_stands_in_its_parentheses(trials: dict[int, Trial]) -> None:
    text = " ".join(" ".join(shown(trials, SPACE, 100)).split())
    assert re.search(r"policy margin \(accuracy level 0\.\d+, accuracy margin 0\.\d+\), augment", text)
    assert re.search(r"r1 0\.1 \(every 16\), packing", text)
    assert re.search(r"instance noise 0, r1", text)


def test_an_output_in_ascii_gets_ascii(trials: dict[int, Trial]) -> None:
    lines = shown(trials, SPACE, 80, 24, encoding="ascii")
    assert set(lines[2]) == {"-"} and any("^" in line and "_" in line for line in lines[2:])


def test_a_reason_from_outside_cannot_control_the_terminal() -> None:
    evil = "[red]tags[/red] \x1b[2J\nforged " + 18 * "漢字"
    known = collect(
        [TrialStarted(number=0, trial_id="t", values={}), TrialEnded(number=0, state="failed", reason=evil)]
    )
    for height in (None, 24):
        text = "\n".join(shown(known, SPACE, 80, height))
        assert "\x1b" not in text and "[red]tags[/red] \\x1b[2J\\n" in text
