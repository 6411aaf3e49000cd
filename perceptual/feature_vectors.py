"""Checks of feature vectors, and the inner products of two sets, block by block in float64."""

from collections.abc import Iterator

import torch

from common.errors import require

# a block of products takes 32 MiB, and so do its vectors for D = 2048
BLOCK = 2048


def check_features(features: torch.Tensor, what: str, *, least: int = 1) -> None:
    """Raise `ConfigError` unless features are floats (N, D), all finite, with N >= least and D >= 1.

    what: the subject of the error message, in the plural: `generated features`.
    """
    require(
        features.ndim == 2 and features.shape[1] > 0 and features.is_floating_point(),
        f"{what} must be floats of shape (N, D), not {features.dtype} {tuple(features.shape)}; convert them",
    )
    require(len(features) >= least, f"{what} must be at least {least}, not {len(features)}; take more images")
    # by blocks: of a million vectors a mask alone takes 1 GB
    broken = sum(int((~torch.isfinite(block).all(dim=1)).sum()) for block in features.split(BLOCK))
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
    """Convert to float64, on the same device or, if that does not support float64, on the CPU."""
    return (features.cpu() if features.device.type == "mps" else features).double()


def inner_products(
    first: torch.Tensor,
    second: torch.Tensor,
    *,
    centre: torch.Tensor | float = 0.0,
    upper: bool = False,
) -> Iterator[tuple[slice, slice, torch.Tensor]]:
    """Yield all products (x - c).(y - c) by blocks: rows of `first`, rows of `second`, products (float64).

    first: (N, D); second: (M, D) on the same device; centre: c, float64 (D,), or 0; upper: skip the blocks
    below the diagonal, which mirror those above it when both sets are the same. Float64 because a distance
    between sets is often a millionth of the products it is computed from, and because a GPU may compute
    float32 products in TF32; on a CPU it takes less than twice the time.
    """
    for top in range(0, len(first), BLOCK):
        rows = slice(top, min(top + BLOCK, len(first)))
        left = in_float64(first[rows]) - centre
        for start in range(top if upper else 0, len(second), BLOCK):
            columns = slice(start, min(start + BLOCK, len(second)))
            yield rows, columns, left @ (in_float64(second[columns]) - centre).T
