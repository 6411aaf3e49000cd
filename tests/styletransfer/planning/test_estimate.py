"""Estimates of time and memory, against sums by hand."""

import dataclasses
import itertools
import math

import pytest

from perceptual.network import CompactNetwork
from styletransfer.config import StyleConfig
from styletransfer.planning import estimate
from styletransfer.planning.estimate import (
    fitting_tile,
    measured_seconds,
    pixel_steps,
    style_bytes,
    worker_bytes,
)
from tests.styletransfer.tiny import tiny_config, tiny_network


def test_pixel_steps_are_the_sum_over_the_scales() -> None:
    config = StyleConfig(size=400, iterations=30, scales=(0.25, 0.5, 1.0), coarser_iterations=1.0)
    by_hand = (100 * 75 + 200 * 150 + 400 * 300) * 10
    assert pixel_steps(config) == pytest.approx(by_hand)


def test_memory_grows_with_the_picture_and_shrinks_with_tiles() -> None:
    network = CompactNetwork(last_tap="relu4_1")
    sizes = [worker_bytes(StyleConfig(size=size), network) for size in (256, 512, 1024, 2048)]
    grown = [after - before for before, after in itertools.pairwise(sizes)]
    assert grown[1] == pytest.approx(4 * grown[0], rel=0.01)
    assert grown[2] == pytest.approx(4 * grown[1], rel=0.01)
    assert worker_bytes(StyleConfig(size=2048, tile=512), network) < 0.6 * sizes[3]
    assert worker_bytes(StyleConfig(size=512), network, batch=4) == pytest.approx(sizes[2], rel=0.01)


def test_a_prepared_style_is_as_large_as_its_moments() -> None:
    config = tiny_config(scales=2)
    expected = sum(4 * (channels + channels**2) for channels in (6, 8, 10)) * 2
    assert style_bytes(config, tiny_network()) == expected
    assert style_bytes(tiny_config(scales=2, colours="lab"), tiny_network()) == expected + 3 * 32**2


def test_the_calibration_measures_and_leaves_the_threads_alone() -> None:
    import torch

    before = torch.get_num_threads()
    seconds = measured_seconds(tiny_config(size=64, iterations=10), tiny_network(), threads=1)
    assert 0 < seconds < 60 and torch.get_num_threads() == before


def test_a_worker_gets_the_largest_tiles_that_its_memory_allows() -> None:
    network, config = CompactNetwork(last_tap="relu4_1"), StyleConfig(size=6000)
    needs = {
        side: worker_bytes(dataclasses.replace(config, tile=side), network)
        for side in (0, 1024, 512, 256, 128)
    }
    assert sorted(needs.values(), reverse=True) == list(needs.values())
    for side, most_bytes in needs.items():
        assert fitting_tile(config, network, batch=1, most_bytes=most_bytes) == side
    assert fitting_tile(config, network, batch=1, most_bytes=1) == 128, "the smallest where none fits"
    assert fitting_tile(config, network, batch=1, most_bytes=math.inf) == 0
    tiled = dataclasses.replace(config, tile=512)
    assert fitting_tile(tiled, network, batch=1, most_bytes=math.inf) == 512, "as asked for"


def test_time_is_the_sum_over_scales_of_what_an_evaluation_takes_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured: list[int] = []

    def step_seconds(config: object, network: object, side_px: int, threads: int, workers: int) -> float:
        measured.append(side_px)
        return {100: 0.01, 200: 0.03, 400: 0.11}[side_px]

    config = StyleConfig(size=400, iterations=30, scales=(0.25, 0.5, 1.0), coarser_iterations=1.0)
    monkeypatch.setattr(estimate, "_step_seconds", step_seconds)
    assert measured_seconds(config, tiny_network(), threads=1) == pytest.approx(10 * (0.01 + 0.03 + 0.11))
    assert measured == [100, 200, 400]
    monkeypatch.setattr(estimate, "_CALIBRATION_S", 0.5)  # the finest would take too long
    assert measured_seconds(config, tiny_network(), threads=1) == pytest.approx(10 * (0.01 + 0.03 + 4 * 0.03))
    assert measured[3:] == [100, 200]
