"""Curves of a run."""

import math

from gan.report import curves
from gan.report.stretches import stretches

ROWS = [
    {
        "images_seen": 100.0,
        "swd": 8.0,
        "swd_noise": 1.0,
        "recall_lite0_1k": 0.1,
        "recall_lite0_1k_noise": 0.9,
    },
    {"images_seen": 200.0, "swd": 2.0, "swd_noise": 1.0, "recall_lite0_1k": math.nan},
    {"images_seen": 300.0, "swd": 4.0, "swd_noise": 1.0, "generator_lr": 1e-3, "discriminator_lr": 1e-5},
]


def test_a_number_is_found_by_its_name_or_the_part_before_its_network() -> None:
    assert curves.column(ROWS, "swd") == [8.0, 2.0, 4.0]
    assert curves.column(ROWS, "recall") == [0.1, None, None]
    assert curves.column(ROWS, "spread") == [None, None, None]


def test_the_objective_is_drawn_with_its_median_its_noise_floor_and_its_best_state() -> None:
    history = [{"images_seen": 100.0 * place, "swd": value} for place, value in enumerate([9, 3, 5, 4, 2], 1)]
    figure = curves.objective(history, "swd", [])
    value, median, floor, best = figure["data"]
    assert value["y"] == [9, 3, 5, 4, 2] and floor["y"] == [None] * 5
    assert median["y"] == [9, 6, 5, 4, 4]
    assert (best["x"], best["y"]) == ([400], [4]), "the first of the lowest medians"
    assert figure["layout"]["yaxis"]["rangemode"] == "tozero"


def test_troubles_are_shaded_over_the_images_in_which_they_were() -> None:
    history = [
        {"images_seen": 100.0 * place, "swd": value} for place, value in enumerate([9, 3, 3, 3, 6, 7], 1)
    ]
    troubles = [each for each in stretches(history, "swd") if not each.verdict.is_healthy]
    figure = curves.objective(history, "swd", troubles)
    shade, name = figure["layout"]["shapes"][0], figure["layout"]["annotations"][0]
    assert (shade["x0"], shade["x1"], name["text"]) == (troubles[0].since, 600, "decayed")


def test_values_of_different_magnitudes_are_on_a_logarithmic_axis() -> None:
    figure = curves.learning_rates([ROWS[2]])
    assert figure["layout"]["yaxis"]["type"] == "log"
    assert len(figure["data"]) == 2
    assert curves.learning_rates([ROWS[0]])["data"] == [], "of a table without them nothing is drawn"
    assert [line["name"] for line in curves.variety(ROWS)["data"]] == ["recall"]
