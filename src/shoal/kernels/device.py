"""The expensive parts of linear models on an accelerator, by torch (an optional extra).

`gram_inverse` does the n³ work of a fit and copies the inverse to the host; `Ranker` keeps B on the
device and ranks there, block by block. Both run on any torch device; the tests use torch's CPU.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shoal.kernels.arrays import Bool, Float, Int, Long, Ranking, Seen, Sparse
from shoal.kernels.spd import NotPositiveDefiniteError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch


CHUNK_BYTES = 1_000_000_000  # size of a dense chunk of X, or of a block of scores


@contextmanager
def _tensor_float_32(allowed: bool) -> Iterator[None]:
    """Allow TF32 products or not; they are exact for zeros and ones only, summed in float32."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if allowed else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _dense_rows(x: Sparse, begin: int, end: int, n: int, device: Any, dtype: Any) -> torch.Tensor:
    """Return rows begin … end − 1 of a CSR matrix with n columns as a dense tensor."""
    import torch

    indptr, indices, data = x
    part = slice(int(indptr[begin]), int(indptr[end]))
    rows = np.repeat(np.arange(end - begin), np.diff(indptr[begin : end + 1]))
    out = torch.zeros((end - begin, n), device=device, dtype=dtype)
    index = (torch.from_numpy(rows).to(device), torch.from_numpy(indices[part]).long().to(device))
    out[index] = torch.from_numpy(data[part]).to(device=device, dtype=dtype)
    return out


def gram_inverse(
    x: Sparse,
    weights: Float,
    ridge: NDArray[Any],
    device: str,
    precision: Any = np.float32,
) -> NDArray[Any]:
    """Compute (Xᵀ diag(w) X + diag(ridge))⁻¹ on a torch device.

    Parameters
    ----------
    x : CSR arrays of X (m, n): indptr, indices, data
    weights : (m,) float32
        w, one weight per row of X.
    ridge : (n,) float64
        Added to the diagonal.
    device : str
        Name of a torch device, such as "cuda" or "cuda:1".
    precision : float32 or float64
        Type of all numbers.

    Returns
    -------
    ndarray (n, n)
        The inverse with both triangles, in host memory. The device holds 3·n² numbers at its peak.

    Raises
    ------
    NotPositiveDefiniteError
        The matrix is singular or indefinite in this precision.
    """
    import torch

    m, n = x[0].size - 1, ridge.size
    dtype = torch.float32 if precision is np.float32 else torch.float64
    exact = bool((x[2] == 1).all() and (weights == 1).all())
    G = torch.zeros((n, n), device=device, dtype=dtype)
    rows = max(1, CHUNK_BYTES // (4 * n))
    w = torch.from_numpy(weights).to(device=device, dtype=dtype)
    with _tensor_float_32(exact):
        for begin in range(0, m, rows):
            end = min(m, begin + rows)
            chunk = _dense_rows(x, begin, end, n, device, dtype)
            G.addmm_((chunk * w[begin:end, None]).T, chunk)
            del chunk
    with _tensor_float_32(False):
        G.diagonal().add_(torch.from_numpy(ridge).to(device=device, dtype=dtype))
        L, info = torch.linalg.cholesky_ex(G)
        del G
        if int(info):
            raise NotPositiveDefiniteError
        inverse: NDArray[Any] = torch.cholesky_inverse(L).cpu().numpy()
    return inverse


class Ranker:
    """Ranks X·B for one B on a torch device: the k best columns of each row of X·B.

    Parameters
    ----------
    B : (n, c) float32
        Copied to the device once.
    device : str
    """

    def __init__(self, B: Float, device: str) -> None:
        import torch

        self._B = torch.from_numpy(B).to(device)
        self._device = device

    def best(
        self,
        x: Sparse,
        k: int,
        seen_indptr: Long,
        seen: Int,
        allowed: Bool,
    ) -> Ranking:
        """Do what `ranking.best_of_product` does; the order of equal scores is the device's.

        Raises
        ------
        FloatingPointError
            A score is NaN.
        """
        m, (n, c) = x[0].size - 1, self._B.shape

        def scores(begin: int, end: int) -> torch.Tensor:
            import torch

            return _dense_rows(x, begin, end, n, self._device, torch.float32) @ self._B

        return _best(scores, (m, c), max(n, c), k, (seen_indptr, seen), allowed, self._device)


class FactorRanker:
    """Ranks U·Vᵀ for one V on a torch device: the k best columns of each row of U·Vᵀ.

    Parameters
    ----------
    V : (n, d) float32
        Copied to the device once.
    device : str
    """

    def __init__(self, V: Float, device: str) -> None:
        import torch

        self._V = torch.from_numpy(V).to(device)
        self._device = device

    def best(
        self,
        U: Float,
        k: int,
        seen_indptr: Long,
        seen: Int,
        allowed: Bool,
        plus: Sparse | None = None,
    ) -> Ranking:
        """Do what `factors.best_of_product` does; the order of equal scores is the device's.

        Raises
        ------
        FloatingPointError
            A score is NaN.
        """
        m, n = len(U), len(self._V)

        def scores(begin: int, end: int) -> torch.Tensor:
            import torch

            block = torch.from_numpy(U[begin:end]).to(self._device) @ self._V.T
            if plus is not None:
                indptr, indices, data = plus
                part = slice(int(indptr[begin]), int(indptr[end]))
                rows = np.repeat(np.arange(end - begin), np.diff(indptr[begin : end + 1]))
                index = tuple(
                    torch.from_numpy(a).long().to(self._device) for a in (rows, indices[part])
                )
                values = torch.from_numpy(data[part]).to(self._device)
                block.index_put_(index, values, accumulate=True)
            return block

        return _best(scores, (m, n), n, k, (seen_indptr, seen), allowed, self._device)


def _best(
    scores: Callable[[int, int], torch.Tensor],
    shape: tuple[int, int],
    width: int,
    k: int,
    excluded: Seen,
    allowed: Bool,
    device: str,
) -> Ranking:
    """Rank the rows of a matrix of scores on a device, block by block.

    ``scores(begin, end)`` makes the scores of rows begin … end − 1 of the matrix, which has this
    `shape`; a row needs memory for `width` numbers on the device.
    """
    import torch

    m, c = shape
    items = np.full((m, k), -1, np.int32)
    best = np.full((m, k), -np.inf, np.float32)
    never = torch.from_numpy(~allowed).to(device)
    ones = np.ones(excluded[1].size, np.float32)
    rows = max(1, CHUNK_BYTES // (4 * width))
    with _tensor_float_32(False):
        for begin in range(0, m, rows):
            end = min(m, begin + rows)
            block = scores(begin, end)
            if bool(torch.isnan(block).any()):
                raise FloatingPointError("a score is NaN")
            out = _dense_rows((*excluded, ones), begin, end, c, device, torch.bool)
            block[out | never] = -torch.inf
            top = torch.topk(block, k, dim=1)
            values = top.values.cpu().numpy()
            items[begin:end] = np.where(values > -np.inf, top.indices.cpu().numpy(), -1)
            best[begin:end] = values
    return items, best
