"""Steps of the alternating direction method (ADMM) for an item-item matrix with a sparse penalty.

Scaled form (Boyd et al., 2011, §3.1.1): B minimises the squared error, C the penalty, and U,
the scaled dual variable, sums up all B − C. After each step C and U are functions of V = B + U:

    C = soft(V, τ) = sign(V)·max(|V| − τ, 0)      U = V − C      (C ≥ 0: C = max(V − τ, 0))

so only V is stored. Arrays are stored by column: row j of an array is column j of B, C, U or V.
"""

from __future__ import annotations

import numpy as np

from shoal.kernels.arrays import Double, Float
from shoal.kernels.compiling import jit, parallel, prange

BLOCK = 1024  # columns that are worked on at once, enough for fast BLAS


@jit(inline="always")
def _shrunk(v, threshold, nonnegative):  # type: ignore[no-untyped-def]
    """Return sign(v)·max(|v| − threshold, 0), or max(v − threshold, 0) if nonnegative."""
    if v > threshold:
        return v - threshold
    if v < -threshold and not nonnegative:
        return v + threshold
    return np.float32(0)


@parallel
def _pull(V: Float, threshold: float, nonnegative: bool, out: Float) -> None:
    """Write C − U = 2C − V, the target of the next B, into `out`; V and out are (c, n) float32."""
    t = np.float32(threshold)
    for j in prange(V.shape[0]):
        for i in range(V.shape[1]):
            out[j, i] = 2 * _shrunk(V[j, i], t, nonnegative) - V[j, i]


@parallel
def _step(
    V: Float,
    B: Float,
    P: Float,
    begin: int,
    threshold: float,
    nonnegative: bool,
    sums: Double,
) -> None:
    """Make diag(B) = 0 in some columns of B, and update V from them, in place.

    Parameters
    ----------
    V : (c, n) float32
        Columns begin … begin + c − 1 of V; overwritten by the new V = B + U.
    B : (c, n) float32
        The same columns of I + P·M (see `iterate`); read as B before the constraint, which is
        B − P·diag(γ) with γ = diag(B)/diag(P).
    P : (n, n) float32, both triangles
    begin : int
        Number of the first column.
    threshold : float
        τ = l1/ρ.
    nonnegative : bool
        Whether C ≥ 0.
    sums : (c, 4) float64
        Output, for each column: ‖B − C‖², ‖C − C before‖², ‖B‖², ‖C‖².
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
    """Run one iteration of ADMM, by blocks of columns.

        B = P·(G + ρ(C − U)) − P·diag(γ),  γ such that diag(B) = 0 (Steck et al., WSDM 2020)

    Parameters
    ----------
    P : (n, n) float32
        (G + diag(ridge))⁻¹, both triangles.
    V : (n, n) float32
        B + U by column; zeros before the first iteration. Overwritten.
    ridge : (n,) float64
        The numbers that P has added to the diagonal of G, ρ included.
    rho : float
        ρ, the coupling of B and C.
    threshold : float
        τ = l1/ρ.
    nonnegative : bool
        Whether C ≥ 0.

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
        m, b, index = M[: len(v)], product[: len(v)], np.arange(len(v))
        _pull(v, threshold, nonnegative, m)
        m *= np.float32(rho)
        # P·G = I − P·diag(ridge), so G itself is not needed
        m[index, begin + index] -= ridge[begin + index].astype(np.float32)
        np.matmul(m, P, out=b)
        b[index, begin + index] += 1
        _step(v, b, P, begin, threshold, nonnegative, sums[begin : begin + len(v)])
    apart, moved, size_b, size_c = np.sqrt(sums.sum(axis=0))
    tiny = 1e-30  # all weights may be zero
    return float(apart / max(size_b, size_c, tiny)), float(moved / max(size_c, tiny))


@parallel
def shrink(V: Float, threshold: float, nonnegative: bool) -> None:
    """Replace V by C = soft(V, threshold), in place; V is (n, n) float32."""
    t = np.float32(threshold)
    for j in prange(V.shape[0]):
        for i in range(V.shape[1]):
            V[j, i] = _shrunk(V[j, i], t, nonnegative)
