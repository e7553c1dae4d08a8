"""The singular vectors of a log, computed once for all the models of a study that ask for them."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

import numpy as np

from shoal.kernels import svd


class SharedVectors:
    """While this is open, all fits to one log with one seed share its singular vectors.

    Fewer vectors are the first ones of more. It may be opened again.

    Parameters
    ----------
    most : int
        Number of vectors to compute at once, for models that ask for more than the first one.
    """

    def __init__(self, most: int) -> None:
        self._most, self._made = most, dict[Any, Any]()
        self._make = svd.top_singular
        self._replaced = patch.object(svd, "top_singular", self._kept)

    def __enter__(self) -> None:
        self._replaced.start()

    def __exit__(self, *_: object) -> None:
        self._replaced.stop()

    def _kept(
        self, indptr: Any, indices: Any, data: Any, n: int, rank: int, *, seed: int, **more: Any
    ) -> Any:
        scaling = more["rows"].tobytes(), more["columns"].tobytes()
        key = (indptr.tobytes(), indices.tobytes(), *scaling, seed)
        if key not in self._made:
            most = max(rank, min(self._most, len(indptr) - 1, n))
            self._made[key] = self._make(indptr, indices, data, n, most, seed=seed, **more)
        values, vectors = self._made[key]
        return values[:rank].copy(), np.ascontiguousarray(vectors[:, :rank])
