"""The inverse of a symmetric positive definite matrix, in place, in n³ flops.

Three passes of n³/3 flops each: A = LLᵀ, L⁻¹, and A⁻¹ = L⁻ᵀL⁻¹. Each is recursive: split into
halves, recurse on the diagonal, and do the off-diagonal part in one large BLAS-3 call. LAPACK's
own routines see leaves only, which keeps them clear of the sizes (n above about 26,700) at which
`spotrf` of the OpenBLAS bundled with scipy 1.17 crashes the process.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shoal.kernels.lapack import Blocks

LEAF = 1024  # rows; measured best of 512 … 8192 at n = 8,000 on 2 cores


class NotPositiveDefiniteError(ArithmeticError):
    """The matrix has an eigenvalue ≤ 0, up to float32 rounding."""


def _half(n: int) -> int:
    """Where to split: near the middle, on a multiple of 256 so that tiles stay aligned."""
    return (n // 2 + 255) // 256 * 256


def _cholesky(a: Blocks, o: int, n: int, done: Callable[[float], None]) -> None:
    if n <= LEAF:
        if a.potrf(o, n):
            raise NotPositiveDefiniteError
        done(n**3 / 3)
        return
    h = _half(n)
    m = n - h
    _cholesky(a, o, h, done)
    a.trsm(o, (o + h, o, m, h), side=b"R", transposed=True)
    done(m * h * h)
    a.syrk((o + h, o), o + h, m, h, alpha=-1.0, transposed=False)
    done(m * m * h)
    _cholesky(a, o + h, m, done)


def _invert_triangle(a: Blocks, o: int, n: int, done: Callable[[float], None]) -> None:
    if n <= LEAF:
        a.trtri(o, n)
        done(n**3 / 3)
        return
    h = _half(n)
    m = n - h
    _invert_triangle(a, o, h, done)
    # the lower left block becomes −L22⁻¹ · L21 · L11⁻¹
    a.trmm(o, (o + h, o, m, h), side=b"R", alpha=-1.0)
    done(m * h * h)
    a.trsm(o + h, (o + h, o, m, h), side=b"L")
    done(m * m * h)
    _invert_triangle(a, o + h, m, done)


def _square(a: Blocks, o: int, n: int, done: Callable[[float], None]) -> None:
    if n <= LEAF:
        a.lauum(o, n)
        done(n**3 / 3)
        return
    h = _half(n)
    m = n - h
    _square(a, o, h, done)
    a.syrk((o + h, o), o, h, m, alpha=1.0, transposed=True)
    done(h * h * m)
    a.trmm(o + h, (o + h, o, m, h), side=b"L", transposed=True)
    done(m * m * h)
    _square(a, o + h, m, done)


def invert_upper(
    matrix: NDArray[np.float32], done: Callable[[float], None] = lambda _flops: None
) -> None:
    """Replace a symmetric positive definite matrix by its inverse, in place.

    Parameters
    ----------
    matrix : ndarray of float32, shape (n, n), C-ordered
        Only the upper triangle (diagonal included) is read; on return it holds the upper
        triangle of the inverse. What lies below the diagonal is left as it was.
    done : callable
        Called with the flops finished since the last call; they add up to n³.

    Raises
    ------
    NotPositiveDefiniteError
        The matrix is singular or indefinite in float32; it is then half overwritten.
    """
    n = matrix.shape[0]
    if matrix.dtype != np.float32 or not matrix.flags.c_contiguous or matrix.shape != (n, n):
        raise ValueError(f"need a square C-ordered float32 matrix, got {matrix.dtype}")
    if n == 0:
        return
    blocks = Blocks(matrix.ctypes.data, n)  # C-ordered upper = column-major lower
    _cholesky(blocks, 0, n, done)
    _invert_triangle(blocks, 0, n, done)
    _square(blocks, 0, n, done)
