"""Sets of feature vectors: what counts as one, and the products of two sets in blocks; not what they tell."""

from collections.abc import Iterator

import torch

from common.errors import require

# a block of products is 32 MiB, and the vectors that make it no more for D up to 2048
BLOCK = 2048


def check_features(features: torch.Tensor, what: str, *, least: int = 1) -> None:
    """Raise `ConfigError` unless features are floats (N, D), all finite, with N >= least and D >= 1.

    what: names the set in the plural, as the subject of the error: `generated features`.
    """
    require(
        features.ndim == 2 and features.shape[1] > 0 and features.is_floating_point(),
        f"{what} must be floats of shape (N, D), not {features.dtype} {tuple(features.shape)}; convert them",
    )
    require(len(features) >= least, f"{what} must be at least {least}, not {len(features)}; take more images")
    finite = torch.isfinite(features).all(dim=1)
    broken = len(features) - int(finite.sum())
    require(
        broken == 0,
        f"{what} must be finite, but {broken} of {len(features)} hold NaN or infinity; "
        "check the images and the network's weights",
    )


def check_comparable(first: torch.Tensor, second: torch.Tensor) -> None:
    """Raise `ConfigError` unless the vectors of both sets, (N, D) and (M, D), match in length and device."""
    require(
        first.shape[-1] == second.shape[-1],
        f"features to compare must be equally long, not {first.shape[-1]} and {second.shape[-1]}; "
        "take both from the same network",
    )
    require(
        first.device == second.device,
        f"features to compare must be on one device, not {first.device} and {second.device}; move one set",
    )


def in_float64(features: torch.Tensor) -> torch.Tensor:
    """The same numbers as float64, where they are or, if that device has no float64, on the CPU."""
    return (features.cpu() if features.device.type == "mps" else features).double()


def inner_products(
    first: torch.Tensor,
    second: torch.Tensor,
    *,
    centre: torch.Tensor | float = 0.0,
    upper: bool = False,
) -> Iterator[tuple[slice, slice, torch.Tensor]]:
    """All products (x - c).(y - c) in float64, by blocks: rows of `first`, rows of `second`, their products.

    first: (N, D); second: (M, D) on the same device; centre: c, float64 (D,), or 0; upper: leave out the
    blocks below the diagonal, which mirror those above it when both sets are one. Float64 and not float32: a
    distance between sets is often a millionth of the products that it is made of, a GPU may compute float32
    products in TF32, and on a CPU it costs less than twice the time.
    """
    for top in range(0, len(first), BLOCK):
        rows = slice(top, min(top + BLOCK, len(first)))
        left = in_float64(first[rows]) - centre
        for start in range(top if upper else 0, len(second), BLOCK):
            columns = slice(start, min(start + BLOCK, len(second)))
            yield rows, columns, left @ (in_float64(second[columns]) - centre).T
