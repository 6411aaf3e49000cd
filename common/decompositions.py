"""Eigenvalues and singular values of whatever is finite, also where LAPACK's fast drivers do not converge.

The divide-and-conquer drivers that PyTorch calls give up now and then on matrices with many eigenvalues of
about 0, as covariances of fewer vectors than dimensions have. The QR iteration converges there, in several
times the time.
"""

from typing import Any

import torch

_linalg: Any = torch.linalg
LinAlgError: type[RuntimeError] = _linalg.LinAlgError  # type checkers do not see it


def eigh(matrices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Eigenvalues (..., N), ascending, and eigenvectors (..., N, N) of symmetric matrices, without gradient.

    Raises: torch.linalg.LinAlgError for NaN or infinity.
    """
    with torch.no_grad():
        try:
            values, vectors = torch.linalg.eigh(matrices)
            if bool(values.isfinite().all()):
                return values, vectors
        except LinAlgError:
            pass
        _check_finite(matrices)
        return _eigh_by_qr(matrices)


def eigenvalues(matrices: torch.Tensor) -> torch.Tensor:
    """Eigenvalues (..., N), ascending, of symmetric matrices, with their gradient.

    Of a matrix with NaN or infinity they are not finite either; the others in the batch have theirs.
    """
    try:
        values: torch.Tensor = torch.linalg.eigvalsh(matrices)
        if bool(values.isfinite().all()):
            return values
    except LinAlgError:
        pass
    is_finite = matrices.detach().isfinite().flatten(-2).all(dim=-1)[..., None, None]
    _, vectors = _eigh_by_qr(torch.where(is_finite, matrices.detach(), 0.0))
    # v' A v has the gradient v v', which is also that of the eigenvalue
    return (vectors * (matrices @ vectors)).sum(dim=-2)


def singular_values(matrix: torch.Tensor) -> torch.Tensor:
    """Singular values (min(M, N),) of a matrix (M, N), descending, without gradient.

    Raises: torch.linalg.LinAlgError for NaN or infinity.
    """
    with torch.no_grad():
        try:
            values: torch.Tensor = torch.linalg.svdvals(matrix)
            if bool(values.isfinite().all()):
                return values
        except LinAlgError:
            pass
    _check_finite(matrix)
    import scipy.linalg  # here: hardly ever needed, and every worker would import it

    found = scipy.linalg.svd(matrix.detach().cpu().numpy(), compute_uv=False, lapack_driver="gesvd")
    return torch.from_numpy(found).to(matrix.device)


def _check_finite(matrices: torch.Tensor) -> None:
    if not bool(matrices.isfinite().all()):
        raise LinAlgError("a matrix that holds NaN or infinity cannot be decomposed")


def _eigh_by_qr(matrices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    import scipy.linalg

    flat = matrices.reshape(-1, *matrices.shape[-2:]).cpu().numpy()
    pairs = [scipy.linalg.eigh(each, driver="ev") for each in flat]
    values, vectors = (torch.stack([torch.from_numpy(pair[part]) for pair in pairs]) for part in range(2))
    shape = matrices.shape
    return values.view(shape[:-1]).to(matrices.device), vectors.view(shape).to(matrices.device)
