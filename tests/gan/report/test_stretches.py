"""Stretches of ticks with one verdict."""

import itertools

from gan.report.stretches import stretches
from gan.training.health import HEALTHY


def test_stretches_cover_all_ticks_and_end_where_the_verdict_changes() -> None:
    values = [10.0, 5.0, 4.0, 3.0, 3.0, 6.0, 7.0, 8.0, 3.0, 3.0, 2.0]
    history = [{"images_seen": 100.0 * (place + 1), "swd": value} for place, value in enumerate(values)]
    found = stretches(history, "swd")
    assert [each.verdict.name for each in found] == [HEALTHY, "decayed", HEALTHY]
    assert sum(each.ticks for each in found) == len(values)
    assert found[0].since == 0 and found[-1].until == 1100
    assert all(first.until == second.since for first, second in itertools.pairwise(found))
    assert "swd was 3" in found[1].verdict.evidence and found[1].verdict.remedy
    assert stretches([], "swd") == []
