"""Decompositions where LAPACK's fast driver gives up: the same values by another one, and gradients."""

import itertools
from collections.abc import Callable

import pytest
import torch

from common.decompositions import eigenvalues, eigh, singular_values


def symmetric(*shape: int, rank: int = 5) -> torch.Tensor:
    """Positive semidefinite matrices of that rank."""
    random = torch.Generator().manual_seed(3)
    factors = torch.randn(*shape, rank, generator=random, dtype=torch.float64)
    return factors @ factors.transpose(-1, -2)


@pytest.fixture(params=["raises", "is not finite"])
def failing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """PyTorch's drivers do not converge, which shows in either of two ways."""
    is_raised = request.param == "raises"

    def give_up(matrix: torch.Tensor) -> torch.Tensor:
        if is_raised:
            raise torch.linalg.LinAlgError("the algorithm failed to converge")
        return matrix.new_full((min(matrix.shape[-2:]),), torch.nan)

    monkeypatch.setattr(torch.linalg, "eigh", lambda matrix: (give_up(matrix), matrix))
    monkeypatch.setattr(torch.linalg, "eigvalsh", give_up)
    monkeypatch.setattr(torch.linalg, "svdvals", give_up)
    return str(request.param)


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize("shape", [(4,), (12,), (3, 7), (2, 2, 6)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_eigenvectors_are_found_where_the_fast_driver_fails(
    shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    matrices = symmetric(*shape).to(dtype)
    values, vectors = eigh(matrices)
    exact = 1e-4 if dtype is torch.float32 else 1e-12
    assert values.dtype == vectors.dtype == dtype
    again = (vectors * values.unsqueeze(-2)) @ vectors.transpose(-1, -2)
    torch.testing.assert_close(again, matrices, rtol=exact, atol=exact)
    assert bool((values.diff(dim=-1) >= 0).all())
    identity = torch.eye(shape[-1], dtype=dtype).expand_as(matrices)
    torch.testing.assert_close(vectors.transpose(-1, -2) @ vectors, identity, rtol=0, atol=exact)


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (1, 1), (30, 30)])
def test_singular_values_are_found_where_the_fast_driver_fails(shape: tuple[int, int]) -> None:
    random = torch.Generator().manual_seed(1)
    matrix = torch.randn(*shape, generator=random, dtype=torch.float64)
    found = singular_values(matrix)
    squares = (matrix @ matrix.T).trace()
    assert found.shape == (min(shape),) and bool((found.diff() <= 0).all())
    assert float(found.square().sum()) == pytest.approx(float(squares), rel=1e-12)
    assert float(found[0]) == pytest.approx(float(torch.linalg.matrix_norm(matrix, 2)), rel=1e-12)


@pytest.mark.usefixtures("failing")
def test_eigenvalues_have_their_gradient_where_the_fast_driver_fails() -> None:
    points = symmetric(2, 6, rank=6).requires_grad_()

    def weighted(matrices: torch.Tensor) -> torch.Tensor:
        return (eigenvalues((matrices + matrices.mT) / 2) * torch.arange(1.0, 7.0)).sum()

    (gradient,) = torch.autograd.grad(weighted(points), points)
    step = 1e-6
    for row, column in itertools.product(range(6), repeat=2):
        moved = torch.zeros_like(points)
        moved[0, row, column] = step
        with torch.no_grad():
            difference = float(weighted(points + moved) - weighted(points - moved)) / (2 * step)
        assert float(gradient[0, row, column]) == pytest.approx(difference, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("decompose", [eigh, singular_values])
def test_what_is_not_finite_is_refused(decompose: Callable[[torch.Tensor], object]) -> None:
    with pytest.raises(torch.linalg.LinAlgError):
        decompose(torch.full((3, 3), torch.nan, dtype=torch.float64))


def test_a_matrix_that_is_not_finite_leaves_the_eigenvalues_of_the_others() -> None:
    matrices = symmetric(3, 6, rank=6)
    expected = torch.linalg.eigvalsh(matrices)
    matrices[1, 2, 2] = torch.inf
    matrices.requires_grad_()
    found = eigenvalues(matrices)
    assert not bool(found[1].isfinite().any())
    torch.testing.assert_close(found[::2], expected[::2])
    (gradient,) = torch.autograd.grad(found.sum(), matrices)
    torch.testing.assert_close(gradient[::2], torch.eye(6, dtype=torch.float64).expand(2, 6, 6))


def test_what_the_fast_driver_finds_is_returned() -> None:
    matrix = symmetric(8)
    torch.testing.assert_close(eigenvalues(matrix), torch.linalg.eigvalsh(matrix))
    torch.testing.assert_close(eigh(matrix)[0], torch.linalg.eigvalsh(matrix))
    torch.testing.assert_close(singular_values(matrix), torch.linalg.svdvals(matrix))
