"""What the fitted arrays of a model look like, as the model declares it, and the check of arrays.

A model folder may come from anywhere, and kernels and torch trust the arrays that they get: an item
number beyond the end is read, or written, beyond the end. So a model declares its arrays: names,
types, shapes in terms of ``n_items``, ``n_users`` and other sizes, and what the numbers may be. The
families (linear, factored, deep, …) do it for their members. `check_shapes` needs names, types and
shapes only, so it can be called before anything is read; `check_values` reads all numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoal.errors import ArtifactError
from shoal.kernels.arrays import State

_AT_ONCE = 2**22  # numbers that are checked at a time

# sizes that mean the same in every part of a model; others belong to one part
COMMON = ("n_items", "n_users")


@dataclass(frozen=True)
class ArraySpec:
    """An array of a fitted model.

    Parameters
    ----------
    name : str
    shape : tuple of int or str
        Numbers, or names of sizes. All dimensions that have one name are equal. ``n_items`` and
        ``n_users`` are the numbers of the model's items and training users.
    dtype : str
        Floats must be finite.
    optional : bool
        Whether the array may be missing.
    positive : bool
        Whether all numbers must be above 0.
    size : str
        If given, the array is a single whole number, and it is the size of this name.
    most : int, optional
        Largest value of that number.
    """

    name: str
    shape: tuple[int | str, ...]
    dtype: str = "float32"
    optional: bool = False
    positive: bool = False
    size: str = ""
    most: int | None = None


@dataclass(frozen=True)
class CsrSpec:
    """Three arrays that are a CSR matrix with ascending, distinct columns in each row.

    Parameters
    ----------
    rows, columns : int or str
        Numbers, or names of sizes.
    indptr, indices, data : str
        Names of the arrays, of int64, int32 and float32.
    data_optional : bool
        Whether the third may be missing, for a matrix whose entries are all 1.
    """

    rows: int | str
    columns: int | str
    indptr: str = "indptr"
    indices: str = "indices"
    data: str = "data"
    data_optional: bool = False

    def arrays(self) -> tuple[ArraySpec, ...]:
        """The declarations of the arrays one by one, but for the length of `indptr`."""
        entries = f"entries of {self.indices}"
        return (
            ArraySpec(self.indptr, (f"extents of {self.indices}",), "int64"),
            ArraySpec(self.indices, (entries,), "int32"),
            ArraySpec(self.data, (entries,), optional=self.data_optional),
        )


Spec = tuple[ArraySpec | CsrSpec, ...]
Header = tuple[str, tuple[int, ...]]  # dtype and shape of an array


def per_item(*names: str) -> Spec:
    """The declarations of arrays of one float32 number per item."""
    return tuple(ArraySpec(name, ("n_items",)) for name in names)


def within(prefix: str, spec: Spec) -> Spec:
    """The declarations of a part of a model whose arrays have a prefix before their names."""

    def named(size: int | str) -> int | str:
        return size if isinstance(size, int) or size in COMMON else prefix + size

    out: list[ArraySpec | CsrSpec] = []
    for part in spec:
        if isinstance(part, CsrSpec):
            out.append(
                replace(
                    part,
                    rows=named(part.rows),
                    columns=named(part.columns),
                    indptr=prefix + part.indptr,
                    indices=prefix + part.indices,
                    data=prefix + part.data,
                )
            )
            continue
        size = str(named(part.size)) if part.size else ""
        shape = tuple(named(n) for n in part.shape)
        out.append(replace(part, name=prefix + part.name, shape=shape, size=size))
    return tuple(out)


def check_shapes(
    spec: Spec, headers: Mapping[str, Header], sizes: Mapping[str, int]
) -> dict[str, int]:
    """Check the names, types and shapes of arrays against what a model declares.

    Parameters
    ----------
    spec : tuple of ArraySpec and CsrSpec
    headers : mapping
        The type and shape of each array by name.
    sizes : mapping
        Known sizes, such as ``n_items``.

    Returns
    -------
    dict
        The known sizes, and those that the shapes gave.

    Raises
    ------
    ArtifactError
        An array is missing, is not declared, or has another type or shape. The message names it.
    """
    sizes, declared = dict(sizes), _arrays(spec)
    unknown = sorted(set(headers) - {array.name for array in declared})
    for array in declared:
        if array.name not in headers:
            if array.optional:
                continue
            raise ArtifactError(f"array {array.name!r} is missing")
        dtype, shape = headers[array.name]
        if dtype != array.dtype:
            raise ArtifactError(f"array {array.name!r} is of {dtype}, it must be {array.dtype}")
        expected = tuple(sizes.get(n, n) if isinstance(n, str) else n for n in array.shape)
        fits = len(shape) == len(expected)
        for length, size in zip(shape, expected, strict=False):
            if isinstance(size, str):
                fits &= sizes.setdefault(size, length) == length  # "k" twice in one shape
            else:
                fits &= size == length
        if not fits:
            raise ArtifactError(
                f"array {array.name!r} has the shape {_text(shape)}, it must be {_text(expected)}"
            )
    if unknown:
        raise ArtifactError(f"array {unknown[0]!r} is none that the model has")
    for part in spec:
        if isinstance(part, CsrSpec):
            rows, extents = sizes.get(str(part.rows), part.rows), headers[part.indptr][1][0]
            if isinstance(rows, int) and extents != rows + 1:
                raise ArtifactError(
                    f"array {part.indptr!r} has {extents:,} numbers, for {rows:,} rows it must "
                    f"have {rows + 1:,}"
                )
    return sizes


def check_values(spec: Spec, state: State, sizes: Mapping[str, int]) -> None:
    """Check the numbers in arrays whose shapes have been checked.

    Parameters
    ----------
    spec : tuple of ArraySpec and CsrSpec
    state : dict of arrays
    sizes : mapping
        What `check_shapes` returned.

    Raises
    ------
    ArtifactError
        A number is NaN, infinite or out of range, or the arrays of a CSR matrix do not fit
        together. The message names the array.
    """
    sizes, declared = dict(sizes), _arrays(spec)
    for array in declared:
        if array.size and array.name in state:
            _check_size(array, int(state[array.name][0]), sizes)
    for array in declared:
        if array.name in state:
            _check_numbers(array, state[array.name].reshape(-1))
    for part in spec:
        if isinstance(part, CsrSpec):
            columns = sizes[part.columns] if isinstance(part.columns, str) else part.columns
            _check_csr(part, state[part.indptr], state[part.indices], columns)


def headers_of(state: State) -> dict[str, Header]:
    """The types and shapes of arrays, as `check_shapes` takes them."""
    return {name: (str(array.dtype), array.shape) for name, array in state.items()}


def _arrays(spec: Spec) -> list[ArraySpec]:
    return [
        array
        for part in spec
        for array in (part.arrays() if isinstance(part, CsrSpec) else (part,))
    ]


def _text(shape: tuple[int | str, ...]) -> str:
    return "(" + ", ".join(str(n) for n in shape) + ")"


def _check_size(array: ArraySpec, value: int, sizes: dict[str, int]) -> None:
    """Check a number that is a size, and take it for that size if there is none yet."""
    expected = sizes.setdefault(array.size, value)
    if value != expected:
        raise ArtifactError(f"array {array.name!r} says {value:,}, it must be {expected:,}")
    if value < 1 or (array.most is not None and value > array.most):
        most = "" if array.most is None else f" to {array.most:,}"
        raise ArtifactError(f"array {array.name!r} says {value:,}, it must be 1{most}")


def _check_numbers(array: ArraySpec, numbers: NDArray[Any]) -> None:
    """Check that floats are finite, booleans 0 or 1, and positive numbers positive."""
    kind = np.dtype(array.dtype).kind
    for begin in range(0, numbers.size, _AT_ONCE):
        block = numbers[begin : begin + _AT_ONCE]
        if kind == "b" and block.view(np.uint8).max(initial=0) > 1:
            raise ArtifactError(f"array {array.name!r} holds a byte that is neither true nor false")
        if kind == "f" and not np.isfinite(block).all():
            raise ArtifactError(f"array {array.name!r} holds a number that is NaN or infinite")
        if array.positive and not (block > 0).all():
            raise ArtifactError(f"array {array.name!r} holds a number that is not above 0")


def _check_csr(spec: CsrSpec, indptr: NDArray[Any], indices: NDArray[Any], n_columns: int) -> None:
    """Check that the extents of rows ascend, and the columns within each row, and their range."""
    if indptr[0] != 0 or indptr[-1] != indices.size or (indptr[1:] < indptr[:-1]).any():
        raise ArtifactError(
            f"array {spec.indptr!r} does not ascend from 0 to the {indices.size:,} entries"
        )
    for begin in range(0, indices.size, _AT_ONCE):
        block = indices[begin : begin + _AT_ONCE + 1]
        lowest, highest = int(block.min()), int(block.max())
        if lowest < 0 or highest >= n_columns:
            odd = lowest if lowest < 0 else highest
            raise ArtifactError(
                f"array {spec.indices!r} holds {odd:,}, which is none of the {n_columns:,} columns"
            )
        falls = np.flatnonzero(block[1:] <= block[:-1]) + begin + 1
        at = np.searchsorted(indptr, falls)
        if not np.array_equal(indptr[at], falls):
            raise ArtifactError(f"array {spec.indices!r} does not ascend within each row")
