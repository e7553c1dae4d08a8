"""Steps of the alternating direction method (ADMM) for an item-item matrix with a sparse penalty.

Scaled form (Boyd et al., 2011, §3.1.1): B minimises the squares, C the penalty, and U sums up what
they differ by. After each step C and U are both functions of V = B + U:

    C = soft(V, τ) = sign(V)·max(|V| − τ, 0)      U = V − C      (C ≥ 0: C = max(V − τ, 0))

so V alone is kept. Matrices stand here by column: row j of an array is column j of B.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from shoal.kernels.arrays import Double, Float

BLOCK = 1024  # columns at a time: wide enough for BLAS, few enough to take little memory


@njit(cache=True, inline="always")
def _shrunk(v, threshold, nonnegative):  # type: ignore[no-untyped-def]
    if v > threshold:
        return v - threshold
    if v < -threshold and not nonnegative:
        return v + threshold
    return np.float32(0)


@njit(parallel=True, cache=True, nogil=True)
def _pull(V: Float, threshold: float, nonnegative: bool, out: Float) -> None:
    """Write C − U = 2C − V into `out`, both (c, n) float32: what the squares are drawn to."""
    t = np.float32(threshold)
    for j in prange(V.shape[0]):
        for i in range(V.shape[1]):
            out[j, i] = 2 * _shrunk(V[j, i], t, nonnegative) - V[j, i]


@njit(parallel=True, cache=True, nogil=True)
def _step(
    V: Float,
    B: Float,
    P: Float,
    begin: int,
    threshold: float,
    nonnegative: bool,
    sums: Double,
) -> None:
    """Give the columns B a zero diagonal, and V what follows from them, in place.

    Parameters
    ----------
    V : (c, n) float32
        Columns begin … begin + c; overwritten by the new V = B + U.
    B : (c, n) float32
        The same columns of I + P·M, overwritten by B − P·diag(γ), γ = diag(B)/diag(P).
    P : (n, n) float32, both triangles
    sums : (c, 4) float64
        Written, by column: ‖B − C‖², ‖C − C before‖², ‖B‖², ‖C‖².
    """
    t = np.float32(threshold)
    for at in prange(V.shape[0]):
        j = begin + at
        v, b, p = V[at], B[at], P[j]
        multiplier = b[j] / p[j]
        apart, moved, size_b, size_c = 0.0, 0.0, 0.0, 0.0
        for i in range(v.size):
            old = _shrunk(v[i], t, nonnegative)
            x = b[i] - multiplier * p[i] if i != j else np.float32(0)
            v[i] += x - old
            new = _shrunk(v[i], t, nonnegative)
            apart += np.float64(x - new) ** 2
            moved += np.float64(new - old) ** 2
            size_b += np.float64(x) ** 2
            size_c += np.float64(new) ** 2
        sums[at, 0], sums[at, 1], sums[at, 2], sums[at, 3] = apart, moved, size_b, size_c


def iterate(
    P: Float, V: Float, ridge: Double, rho: float, threshold: float, nonnegative: bool
) -> tuple[float, float]:
    """One iteration, by blocks of columns.

        B = P·(G + ρ(C − U)) − P·diag(γ),  γ such that diag(B) = 0 (Steck et al., WSDM 2020)

    Parameters
    ----------
    P : (n, n) float32
        (G + diag(ridge))⁻¹, both triangles.
    V : (n, n) float32
        B + U by column; zeros at the start. Overwritten.
    ridge : (n,) float64
        What was added to the diagonal of G, ρ included.
    rho : float
    threshold : float
        l1/ρ.
    nonnegative : bool

    Returns
    -------
    primal : float
        ‖B − C‖ / max(‖B‖, ‖C‖), Frobenius norms.
    dual : float
        ‖C − C before‖ / ‖C‖.
    """
    n = len(P)
    M, sums = np.empty((min(BLOCK, n), n), np.float32), np.empty((n, 4))
    product = np.empty_like(M)
    for begin in range(0, n, BLOCK):
        v = V[begin : begin + BLOCK]
        m, b, at = M[: len(v)], product[: len(v)], np.arange(len(v))
        _pull(v, threshold, nonnegative, m)
        m *= np.float32(rho)
        # P·G = I − P·diag(ridge), so that G is not needed
        m[at, begin + at] -= ridge[begin + at].astype(np.float32)
        np.matmul(m, P, out=b)
        b[at, begin + at] += 1
        _step(v, b, P, begin, threshold, nonnegative, sums[begin : begin + len(v)])
    apart, moved, size_b, size_c = np.sqrt(sums.sum(axis=0))
    tiny = 1e-30  # all weights may be zero
    return float(apart / max(size_b, size_c, tiny)), float(moved / max(size_c, tiny))


@njit(parallel=True, cache=True, nogil=True)
def shrink(V: Float, threshold: float, nonnegative: bool) -> None:
    """Replace V by C, in place."""
    t = np.float32(threshold)
    for j in prange(V.shape[0]):
        for i in range(V.shape[1]):
            V[j, i] = _shrunk(V[j, i], t, nonnegative)
