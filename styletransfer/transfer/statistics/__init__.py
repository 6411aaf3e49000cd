"""Style statistics by name, one module each: how far a picture's features are from those of a style.

A new statistic is a new module with a constant `STATISTIC`; the first line of its docstring is its line in
`--help`. Every statistic is computed from the first and second moments of features, which are sums over
positions: a picture can be read tile by tile. Nothing here imports PyTorch, so that a command line can list
the statistics before it is loaded.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from common.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from styletransfer.transfer.moments import Moments

Distance = Callable[["Moments"], "Tensor"]
"""Moments (N, K, ...) of pictures -> their distances from the target, (N, K), 0 at the target."""

Statistic = Callable[["Moments"], Distance]
"""Moments of the styles, the target -> the distance from it."""

STATISTICS: Registry[Statistic] = Registry(
    "styletransfer.transfer.statistics", "STATISTIC", what="style statistic"
)
