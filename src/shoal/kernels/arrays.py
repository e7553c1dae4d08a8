"""Names of array types, used throughout shoal."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Float: TypeAlias = NDArray[np.float32]
Double: TypeAlias = NDArray[np.float64]
Int: TypeAlias = NDArray[np.int32]
Long: TypeAlias = NDArray[np.int64]
Bool: TypeAlias = NDArray[np.bool_]

Sparse: TypeAlias = tuple[Long, Int, Float]  # indptr, indices and data of a CSR (or CSC) array
Seen: TypeAlias = tuple[Long, Int]  # indptr and indices of a CSR array: items seen by each row
Ranking: TypeAlias = tuple[Int, Float]  # item numbers and scores, (m, k) each, best first
State: TypeAlias = dict[str, NDArray[Any]]  # the fitted arrays of a model, by name


class _Memory:
    """The memory of an array, described as one that may be written to."""

    def __init__(self, array: NDArray[Any]) -> None:
        described = array.__array_interface__
        self.array = array  # keeps the memory
        self.__array_interface__ = described | {"data": (described["data"][0], False)}


def not_locked(value: Any) -> Any:
    """The same arrays, without a lock against writing; nobody may write to them even so.

    Kernels are compiled for each type of array, and one that is locked, as memory that processes
    share is, has a type of its own: without this, every kernel would be compiled twice.

    Parameters
    ----------
    value : array, or tuple, list or dict of such, or a dataclass with arrays as fields
        Anything else in it is left as it is.
    """
    if isinstance(value, np.ndarray):
        if value.flags.writeable or value.dtype.hasobject:
            return value
        return np.asarray(_Memory(value))
    if isinstance(value, tuple):
        parts = [not_locked(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    if isinstance(value, list):
        return [not_locked(part) for part in value]
    if isinstance(value, dict):
        return {name: not_locked(part) for name, part in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        parts_of = {field.name: getattr(value, field.name) for field in fields(value)}
        arrays = {n: not_locked(a) for n, a in parts_of.items() if isinstance(a, np.ndarray)}
        return replace(value, **arrays) if arrays else value
    return value
