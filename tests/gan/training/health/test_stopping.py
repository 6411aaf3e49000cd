"""When a run ends for its verdict."""

import pytest

from common.errors import ConfigError
from gan.config import GanConfig
from gan.training.health import HEALTHY, TROUBLES, Verdict
from gan.training.health.stopping import StoppingConfig


def named(*names: str) -> list[Verdict]:
    """Verdicts, each with evidence of its own."""
    return [Verdict(name, f"evidence {place}") for place, name in enumerate(names)]


def test_a_run_ends_after_its_patience_in_a_row_and_not_after_a_tick_in_between() -> None:
    stopping = StoppingConfig(when="decayed,mode_collapse", patience=3)
    assert stopping.stops(named("decayed", "decayed", HEALTHY, "decayed", "decayed")) is None
    ended_for = stopping.stops(named(HEALTHY, "decayed", "mode_collapse", "decayed"))
    assert ended_for is not None
    assert (ended_for.name, ended_for.evidence) == ("decayed", "evidence 3")


def test_a_verdict_that_is_not_named_stops_nothing() -> None:
    assert StoppingConfig(when="decayed").stops(named(*["stalled"] * 9)) is None
    assert StoppingConfig(when="none").stops(named(*TROUBLES * 3)) is None


def test_divergence_ends_a_run_at_once_unless_it_is_not_named() -> None:
    assert StoppingConfig(patience=5).stops(named(HEALTHY, "diverged")) is not None
    assert StoppingConfig(when="decayed", patience=5).stops(named(HEALTHY, "diverged")) is None


def test_a_history_shorter_than_the_patience_goes_on() -> None:
    assert StoppingConfig().stops([]) is None
    assert StoppingConfig(patience=3).stops(named("decayed", "decayed")) is None


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("", "--stop-when may name"),
        ("unlucky", "not 'unlucky'; try decayed"),
        ("discriminator-won", "not 'discriminator-won'; try discriminator_won"),
        ("decayed,Mode-Collapse", "not 'decayed,Mode-Collapse'; try mode_collapse"),
        ("none,decayed", "--stop-when may name"),
        ("decayed,decayed", "each verdict once"),
        (",".join([*TROUBLES, "healthy"]), "--stop-when may name"),
    ],
)
def test_wrong_words_are_one_clear_line(when: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        StoppingConfig(when=when)
    assert "\n" not in str(caught.value)


def test_a_patience_below_one_is_refused() -> None:
    with pytest.raises(ConfigError, match="--stop-patience must be at least 1, not 0"):
        StoppingConfig(patience=0)


def test_every_verdict_may_be_named() -> None:
    assert StoppingConfig(when=" , ".join(TROUBLES)).words() == TROUBLES


def test_a_run_that_was_saved_before_there_were_verdicts_goes_on_without_them() -> None:
    saved = GanConfig().to_dict()
    del saved["stopping"]
    assert GanConfig.from_dict(saved).stopping.words() == ()
    assert GanConfig.from_dict({}).stopping == StoppingConfig()
