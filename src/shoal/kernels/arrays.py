"""Names of array types, used throughout shoal."""

from __future__ import annotations

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
