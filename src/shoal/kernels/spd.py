"""The inverse of a symmetric positive definite matrix, in place, in n³ flops.

Three passes of n³/3 flops each compute A = LLᵀ, L⁻¹, and A⁻¹ = L⁻ᵀL⁻¹. Each pass splits the matrix
into halves, recurses on the two diagonal blocks, and updates the block between them. These updates
(triangular solves and products, symmetric products) are recursive too, down to small leaves, so
almost all flops are in large matrix products, which BLAS runs faster than its triangular routines.
LAPACK is called for leaves only, in one thread (at these sizes two threads would wait for each
other, very long on a busy machine). So it never gets the sizes (n above about 26,700) at which
`spotrf` of the OpenBLAS bundled with scipy 1.17 crashes the process.

All code below treats the matrix as column-major and works on lower triangles (see `lapack`). ``o``
is the row and column where a diagonal block begins and ``n`` its size; T is the lower triangle of
that block; B is a rectangle given as (row, column, rows, columns).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from shoal.kernels.arrays import Double, Float
from shoal.kernels.lapack import Blocks
from shoal.kernels.threads import one_blas_thread

LEAF = 1024  # rows of the largest block that is not split

Rectangle = tuple[int, int, int, int]
Done = Callable[[float], None]


class NotPositiveDefiniteError(ArithmeticError):
    """The matrix has an eigenvalue ≤ 0, up to rounding."""


def _half(n: int) -> int:
    """Return where to split n rows: near the middle, at a multiple of 256 to align blocks."""
    aligned = (n // 2 + 255) // 256 * 256
    return aligned if aligned < n else n // 2


# -- updates of a rectangle, by a triangle --------------------------------------------------


def _divide_right(a: Blocks, o: int, n: int, b: Rectangle) -> None:
    """B ← B·T⁻ᵀ."""
    row, column, m, _ = b
    if n <= LEAF:
        a.trsm(o, b, side=b"R", transposed=True)
        return
    h = _half(n)
    _divide_right(a, o, h, (row, column, m, h))
    a.gemm((row, column), (o + h, o), (row, column + h), (m, n - h, h), alpha=-1, b_transposed=True)
    _divide_right(a, o + h, n - h, (row, column + h, m, n - h))


def _divide_left(a: Blocks, o: int, n: int, b: Rectangle) -> None:
    """B ← T⁻¹·B."""
    row, column, _, m = b
    if n <= LEAF:
        a.trsm(o, b, side=b"L")
        return
    h = _half(n)
    _divide_left(a, o, h, (row, column, h, m))
    a.gemm((o + h, o), (row, column), (row + h, column), (n - h, m, h), alpha=-1)
    _divide_left(a, o + h, n - h, (row + h, column, n - h, m))


def _multiply_right(a: Blocks, o: int, n: int, b: Rectangle) -> None:
    """B ← −B·T."""
    row, column, m, _ = b
    if n <= LEAF:
        a.trmm(o, b, side=b"R", alpha=-1)
        return
    h = _half(n)
    _multiply_right(a, o, h, (row, column, m, h))
    a.gemm((row, column + h), (o + h, o), (row, column), (m, h, n - h), alpha=-1)
    _multiply_right(a, o + h, n - h, (row, column + h, m, n - h))


def _multiply_left(a: Blocks, o: int, n: int, b: Rectangle) -> None:
    """B ← Tᵀ·B."""
    row, column, _, m = b
    if n <= LEAF:
        a.trmm(o, b, side=b"L", transposed=True)
        return
    h = _half(n)
    _multiply_left(a, o, h, (row, column, h, m))
    a.gemm((o + h, o), (row + h, column), (row, column), (h, m, n - h), a_transposed=True)
    _multiply_left(a, o + h, n - h, (row + h, column, n - h, m))


def _add_square(
    a: Blocks, b: tuple[int, int], o: int, n: int, k: int, *, alpha: float, transposed: bool
) -> None:
    """Add alpha·B·Bᵀ to the lower triangle of a diagonal block, for a B (n, k) beginning at `b`.

    If `transposed`, add alpha·BᵀB for a B (k, n).
    """
    if n <= 2 * LEAF:
        a.syrk(b, o, n, k, alpha=alpha, transposed=transposed)
        return
    h = _half(n)
    below = (b[0], b[1] + h) if transposed else (b[0] + h, b[1])
    _add_square(a, b, o, h, k, alpha=alpha, transposed=transposed)
    shape = (n - h, h, k)
    a.gemm(
        below, b, (o + h, o), shape,
        alpha=alpha, a_transposed=transposed, b_transposed=not transposed,
    )  # fmt: skip
    _add_square(a, below, o + h, n - h, k, alpha=alpha, transposed=transposed)


# -- the three passes -----------------------------------------------------------------------


def _cholesky(a: Blocks, o: int, n: int, done: Done) -> None:
    """A ← L with A = LLᵀ."""
    if n <= LEAF:
        with one_blas_thread():
            if a.potrf(o, n):
                raise NotPositiveDefiniteError
        done(n**3 / 3)
        return
    h = _half(n)
    m = n - h
    _cholesky(a, o, h, done)
    _divide_right(a, o, h, (o + h, o, m, h))
    done(m * h * h)
    _add_square(a, (o + h, o), o + h, m, h, alpha=-1, transposed=False)
    done(m * m * h)
    _cholesky(a, o + h, m, done)


def _invert_triangle(a: Blocks, o: int, n: int, done: Done) -> None:
    """L ← L⁻¹; the block between the halves becomes −L22⁻¹·L21·L11⁻¹."""
    if n <= LEAF:
        with one_blas_thread():
            a.trtri(o, n)
        done(n**3 / 3)
        return
    h = _half(n)
    m = n - h
    _invert_triangle(a, o, h, done)
    _multiply_right(a, o, h, (o + h, o, m, h))
    done(m * h * h)
    _divide_left(a, o + h, m, (o + h, o, m, h))
    done(m * m * h)
    _invert_triangle(a, o + h, m, done)


def _square(a: Blocks, o: int, n: int, done: Done) -> None:
    """L ← the lower triangle of LᵀL."""
    if n <= LEAF:
        with one_blas_thread():
            a.lauum(o, n)
        done(n**3 / 3)
        return
    h = _half(n)
    m = n - h
    _square(a, o, h, done)
    _add_square(a, (o + h, o), o, h, m, alpha=1, transposed=True)
    done(h * h * m)
    _multiply_left(a, o + h, m, (o + h, o, m, h))
    done(m * m * h)
    _square(a, o + h, m, done)


def invert_upper(matrix: Float | Double, done: Done = lambda _flops: None) -> None:
    """Replace a symmetric positive definite matrix by its inverse, in place.

    Parameters
    ----------
    matrix : ndarray of float32 or float64, shape (n, n), C-ordered
        Only the upper triangle (diagonal included) is read; on return it holds the upper
        triangle of the inverse. Numbers below the diagonal are unchanged.
    done : callable
        Called with the flops finished since the last call; they add up to n³.

    Raises
    ------
    NotPositiveDefiniteError
        The matrix is singular or indefinite in its precision; it is then partly overwritten.
    """
    for one_pass in (_cholesky, _invert_triangle, _square):
        _in_place(one_pass, matrix, done)


def factor_upper(matrix: Float | Double) -> None:
    """Replace the upper triangle of a symmetric positive definite A by U with A = UᵀU, in place.

    Raises
    ------
    NotPositiveDefiniteError
        The matrix is singular or indefinite in its precision; it is then partly overwritten.
    """
    _in_place(_cholesky, matrix)


def invert_triangle_upper(matrix: Float | Double) -> None:
    """Replace an upper triangle U by U⁻¹, in place."""
    _in_place(_invert_triangle, matrix)


def square_upper(matrix: Float | Double) -> None:
    """Replace an upper triangle U by the upper triangle of U·Uᵀ, in place."""
    _in_place(_square, matrix)


def _in_place(
    one_pass: Callable[[Blocks, int, int, Done], None],
    matrix: Float | Double,
    done: Done = lambda _flops: None,
) -> None:
    n = matrix.shape[0]
    floats = matrix.dtype in (np.float32, np.float64)
    if not floats or not matrix.flags.c_contiguous or matrix.shape != (n, n):
        raise ValueError(f"need a square C-ordered float32 or float64 matrix, got {matrix.dtype}")
    if n:  # C-ordered upper = column-major lower
        one_pass(Blocks(matrix.ctypes.data, n, matrix.itemsize), 0, n, done)
