"""Feature vectors: blocks of products make up the full matrix; bad input is refused in one line."""

import pytest
import torch

from common.errors import ConfigError
from perceptual import feature_vectors
from perceptual.feature_vectors import check_comparable, check_features, inner_products


@pytest.mark.parametrize("sizes", [(20, 13), (7, 7), (1, 30)])
def test_blocks_of_products_make_up_the_whole_matrix(
    sizes: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_vectors, "BLOCK", 7)
    random = torch.Generator().manual_seed(0)
    first, second = (torch.randn(size, 5, generator=random) for size in sizes)
    centre = torch.randn(5, generator=random, dtype=torch.float64)
    whole = torch.full(sizes, torch.nan, dtype=torch.float64)
    for rows, columns, products in inner_products(first, second, centre=centre):
        assert whole[rows, columns].isnan().all()
        whole[rows, columns] = products
    torch.testing.assert_close(whole, (first.double() - centre) @ (second.double() - centre).T)


def test_upper_blocks_leave_out_just_what_mirrors_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_vectors, "BLOCK", 7)
    x = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    seen = torch.zeros(20, 20, dtype=torch.int64)
    for rows, columns, _ in inner_products(x, x, upper=True):
        seen[rows, columns] += 1
        if rows != columns:
            seen[columns, rows] += 1
    assert bool((seen == 1).all())


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (torch.zeros(4), r"floats of shape \(N, D\), not torch.float32 \(4,\)"),
        (torch.zeros(4, 0), r"floats of shape \(N, D\)"),
        (torch.zeros(4, 2, dtype=torch.uint8), "not torch.uint8"),
        (torch.zeros(2, 2), "at least 3, not 2; take more images"),
        (torch.tensor([[0.0], [torch.nan], [1.0], [torch.inf]]), "2 of 4 hold NaN or infinity"),
    ],
)
def test_bad_features_are_refused_in_one_line(broken: torch.Tensor, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        check_features(broken, "generated features", least=3)
    assert str(caught.value).startswith("generated features must be")
    assert "\n" not in str(caught.value) and "; " in str(caught.value)


def test_vectors_of_two_networks_or_two_devices_are_not_compared() -> None:
    with pytest.raises(ConfigError, match="equally long, not 3 and 4"):
        check_comparable(torch.zeros(2, 3), torch.zeros(2, 4))
    with pytest.raises(ConfigError, match="on one device, not cpu and meta"):
        check_comparable(torch.zeros(2, 3), torch.zeros(2, 3, device="meta"))
