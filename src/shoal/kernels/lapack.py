"""BLAS and LAPACK on blocks of a large matrix, without copies.

scipy's Python wrappers copy any sub-matrix that is not contiguous. scipy also publishes the
addresses of the routines (`scipy.linalg.cython_blas`, made for callers outside of scipy). Called
through ctypes, they take a leading dimension and so work on a block of a large matrix in place.
All routines here treat the matrix as column-major: its lower triangle is the upper triangle of the
C-ordered array.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import ModuleType
from typing import Any

from scipy.linalg import cython_blas, cython_lapack

from shoal.kernels.arrays import Float

_name_of = ctypes.pythonapi.PyCapsule_GetName
_name_of.restype, _name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
_pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_of.restype, _pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]


def _routine(module: ModuleType, name: str, n_arguments: int) -> Callable[..., None]:
    """Make a routine of scipy callable; all its arguments are pointers."""
    capsule = module.__pyx_capi__[name]
    signature = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * n_arguments)
    return signature(_pointer_of(capsule, _name_of(capsule)))


def _routines(kind: str) -> dict[str, Callable[..., None]]:
    """Return the routines by name, in single ("s") or double ("d") precision."""
    blas = {"gemm": 13, "syrk": 10, "trsm": 11, "trmm": 11}
    lapack = {"potrf": 5, "trtri": 6, "lauum": 5}
    return {n: _routine(cython_blas, kind + n, count) for n, count in blas.items()} | {
        n: _routine(cython_lapack, kind + n, count) for n, count in lapack.items()
    }


_SINGLE, _DOUBLE = _routines("s"), _routines("d")

Ref = Any  # ctypes keeps the type of byref() private


def _int(value: int) -> Ref:
    return ctypes.byref(ctypes.c_int(value))


def _char(value: bytes) -> Ref:
    return ctypes.byref(ctypes.c_char(value))


class Blocks:
    """A square column-major matrix of float32 or float64, addressed by blocks.

    Parameters
    ----------
    address : int
        Address of its first element.
    n : int
        Number of rows, number of columns and leading dimension.
    itemsize : {4, 8}
        Bytes per element.
    """

    def __init__(self, address: int, n: int, itemsize: int) -> None:
        self._address, self.n, self._itemsize = address, n, itemsize
        self._call = _SINGLE if itemsize == 4 else _DOUBLE
        self._number = ctypes.c_float if itemsize == 4 else ctypes.c_double

    def _at(self, row: int, column: int) -> ctypes.c_void_p:
        return ctypes.c_void_p(self._address + self._itemsize * (row + column * self.n))

    def _float(self, value: float) -> Ref:
        return ctypes.byref(self._number(value))

    def potrf(self, o: int, n: int) -> int:
        """Replace the lower A[o:o+n, o:o+n] by its Cholesky factor.

        Returns 0, or the number of the column where the factorisation failed.
        """
        info = ctypes.c_int(0)
        self._call["potrf"](_char(b"L"), _int(n), self._at(o, o), _int(self.n), ctypes.byref(info))
        return info.value

    def trtri(self, o: int, n: int) -> None:
        """Replace the lower triangle of A[o:o+n, o:o+n] by its inverse."""
        info = ctypes.c_int(0)
        self._call["trtri"](
            _char(b"L"), _char(b"N"), _int(n), self._at(o, o), _int(self.n), ctypes.byref(info)
        )

    def lauum(self, o: int, n: int) -> None:
        """Replace the lower triangle L of A[o:o+n, o:o+n] by the lower triangle of LᵀL."""
        info = ctypes.c_int(0)
        self._call["lauum"](_char(b"L"), _int(n), self._at(o, o), _int(self.n), ctypes.byref(info))

    def gemm(
        self,
        a: tuple[int, int],
        b: tuple[int, int],
        c: tuple[int, int],
        shape: tuple[int, int, int],
        *,
        alpha: float = 1.0,
        a_transposed: bool = False,
        b_transposed: bool = False,
    ) -> None:
        """Add alpha·A·B (m × k times k × n, `shape` = (m, n, k)) to the block C, in place.

        a, b and c are the (row, column) where the blocks begin; A and B may be transposed.
        """
        m, n, k = shape
        self._call["gemm"](
            *(_char(b"T" if a_transposed else b"N"), _char(b"T" if b_transposed else b"N")),
            *(_int(m), _int(n), _int(k), self._float(alpha)),
            *(self._at(*a), _int(self.n), self._at(*b), _int(self.n)),
            *(self._float(1.0), self._at(*c), _int(self.n)),
        )

    def syrk(
        self, a: tuple[int, int], c: int, n: int, k: int, *, alpha: float, transposed: bool
    ) -> None:
        """Add alpha·A·Aᵀ (or alpha·AᵀA) to the lower triangle of C[c:c+n, c:c+n].

        A begins at (row, column) `a` and is n × k (k × n if `transposed`).
        """
        self._call["syrk"](
            *(_char(b"L"), _char(b"T" if transposed else b"N"), _int(n), _int(k)),
            *(self._float(alpha), self._at(*a), _int(self.n)),
            *(self._float(1.0), self._at(c, c), _int(self.n)),
        )

    def _triangular(
        self,
        routine: str,
        triangle: int,
        block: tuple[int, int, int, int],
        side: bytes,
        transposed: bool,
        alpha: float,
    ) -> None:
        row, column, m, n = block
        self._call[routine](
            *(_char(side), _char(b"L"), _char(b"T" if transposed else b"N"), _char(b"N")),
            *(_int(m), _int(n), self._float(alpha)),
            *(self._at(triangle, triangle), _int(self.n), self._at(row, column), _int(self.n)),
        )

    def trsm(
        self,
        triangle: int,
        block: tuple[int, int, int, int],
        *,
        side: bytes,
        transposed: bool = False,
        alpha: float = 1.0,
    ) -> None:
        """Multiply a block (row, column, m, n) by alpha times a lower triangle's inverse, in place.

        The triangle begins at (triangle, triangle); `side` is b"L" (left) or b"R" (right).
        """
        self._triangular("trsm", triangle, block, side, transposed, alpha)

    def trmm(
        self,
        triangle: int,
        block: tuple[int, int, int, int],
        *,
        side: bytes,
        transposed: bool = False,
        alpha: float = 1.0,
    ) -> None:
        """Multiply a block (row, column, m, n) by alpha times a lower triangle, in place.

        The triangle begins at (triangle, triangle); `side` is b"L" (left) or b"R" (right).
        """
        self._triangular("trmm", triangle, block, side, transposed, alpha)


def add_square_of_columns(out: Float, V: Float, alpha: float, rows: int) -> None:
    """Add alpha·VᵀV to the upper triangle of `out`, in place, some rows at a time.

    Parameters
    ----------
    out : (n, n) float32, C-ordered
        Left of the diagonal, up to `rows` numbers of a row are changed as well.
    V : (k, n) float32, C-ordered
    alpha : float
    rows : int
        Rows that one matrix product corrects.
    """
    k, n = V.shape
    if not (out.flags.c_contiguous and V.flags.c_contiguous and out.shape == (n, n)):
        raise ValueError("need a C-ordered (n, n) matrix and a C-ordered (k, n) one")
    number = ctypes.c_float
    for begin in range(0, n, rows):
        end = min(n, begin + rows)
        columns = ctypes.c_void_p(V.ctypes.data + 4 * begin)
        _SINGLE["gemm"](
            *(_char(b"N"), _char(b"T"), _int(n - begin), _int(end - begin), _int(k)),
            *(ctypes.byref(number(alpha)), columns, _int(n), columns, _int(n)),
            *(ctypes.byref(number(1.0)), ctypes.c_void_p(out.ctypes.data + 4 * begin * (n + 1))),
            _int(n),
        )
