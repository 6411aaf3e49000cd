"""How many workers stylize: a table of machines and of what was asked for."""

import math
from typing import Any

import pytest

from common.errors import ConfigError
from styletransfer.execution.placement import Placement, choose_placement, most_bytes_each

GIB = 2**30


def placement(nodes: list[dict[str, float]], **options: Any) -> Placement:
    defaults: dict[str, Any] = {"wanted": None, "gpu": None, "most": 1000, "bytes_each": GIB}
    return choose_placement(nodes, **defaults | options)


@pytest.mark.parametrize(
    ("nodes", "options", "workers", "cpus", "gpu"),
    [
        ([{"CPU": 2}], {}, 2, 1, False),
        ([{"CPU": 8}], {"most": 3}, 3, 2, False),
        ([{"CPU": 8}], {"most": 1}, 1, 8, False),
        ([{"CPU": 8}], {"wanted": 2}, 2, 4, False),
        ([{"CPU": 8, "memory": 3.4 * GIB}], {}, 3, 2, False),
        ([{"CPU": 8, "memory": 0.5 * GIB}], {}, 1, 8, False),
        ([{"CPU": 4}, {"CPU": 2}, {}], {}, 6, 1, False),
        ([{"CPU": 4}, {"CPU": 2}], {"wanted": 2}, 2, 2, False),
        ([{"CPU": 8, "GPU": 2}], {}, 2, 4, True),
        ([{"CPU": 8, "GPU": 2}], {"gpu": False}, 8, 1, False),
        ([{"CPU": 8, "GPU": 2, "memory": 0.1 * GIB}], {}, 2, 4, True),
        ([{"CPU": 8, "GPU": 2}], {"wanted": 3}, 3, 2, False),
        ([{"CPU": 8, "GPU": 1}, {"CPU": 8}], {"gpu": True}, 1, 8, True),
        ([{"CPU": 8}], {"threads": 3}, 2, 3, False),
        ([{"CPU": 8}], {"threads": 1, "most": 1}, 1, 1, False),
        ([{"CPU": 8, "memory": 3.4 * GIB}], {"threads": 2}, 3, 2, False),
        ([{"CPU": 4}, {"CPU": 2}], {"threads": 3}, 1, 3, False),
        ([{"CPU": 8, "GPU": 2}], {"threads": 1}, 2, 1, True),
    ],
)
def test_workers_fit_the_machines(
    nodes: list[dict[str, float]], options: dict[str, object], workers: int, cpus: int, gpu: bool
) -> None:
    found = placement(nodes, **options)
    assert (found.workers, found.cpus, found.gpu) == (workers, cpus, gpu)


@pytest.mark.parametrize(
    ("nodes", "options", "message"),
    [
        ([{"CPU": 2}], {"wanted": 3}, "--workers 3 needs a CPU each, and there are 2; try --workers 2"),
        ([{"CPU": 2}], {"gpu": True}, "--gpu needs a GPU and there is none here"),
        ([{"CPU": 2, "GPU": 1}], {"gpu": True, "wanted": 2}, "--workers 2 needs a GPU each, and there are 1"),
        ([{"CPU": 0}], {}, "1 workers need a CPU each, and there are 0"),
        ([{"CPU": 2}, {"CPU": 2}], {"threads": 3}, "--threads 3 needs so many CPUs for each of 1 worker"),
        ([{"CPU": 4}], {"threads": 2, "wanted": 3}, "--threads 2 needs so many CPUs for each of 3 workers"),
    ],
)
def test_workers_that_cannot_be_placed_are_refused(
    nodes: list[dict[str, float]], options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        placement(nodes, **options)


def test_a_lack_of_memory_is_reported() -> None:
    short = placement([{"CPU": 4, "memory": 2.5 * GIB}])
    assert short.is_short_of_memory and str(short) == "2 workers, 2 CPUs each (memory is short)"
    assert placement([{"CPU": 4, "memory": 2.5 * GIB}], wanted=4).is_short_of_memory
    assert placement([{"CPU": 1, "memory": 0.5 * GIB}]).is_short_of_memory
    assert placement([{"CPU": 1, "memory": 0.5 * GIB}], wanted=1).is_short_of_memory
    assert not placement([{"CPU": 4, "memory": 9 * GIB}]).is_short_of_memory


def test_the_memory_of_a_worker_is_that_of_the_largest_machine_shared_by_those_that_were_asked_for() -> None:
    nodes = [{"CPU": 4, "memory": 10 * GIB}, {"CPU": 4, "memory": 20 * GIB}]
    assert most_bytes_each(nodes, None) == pytest.approx(18 * GIB)
    assert most_bytes_each(nodes, 4) == pytest.approx(9 * GIB)
    assert most_bytes_each([{"CPU": 4}], None) == math.inf
