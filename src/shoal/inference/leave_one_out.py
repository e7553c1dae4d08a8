"""What scores lose without an item of the history: reasons for models that have no exact ones.

A linear model says exactly what each item of a history adds to a score. Any other model can be
asked for the score without the item: what is missing then is what the item did beside the others.
These differences add up to nothing in particular.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR
from shoal.inference.less import joined, scored_row, without
from shoal.kernels.arrays import Float, Int

_SCORES_AT_ONCE = 2**24  # 64 MB
_NOTHING: Any = np.empty(0, np.int32)


def losses_without(model: Recommender, row: CSR, codes: Int, less: Int = _NOTHING) -> Float:
    """What the scores of some items lose without each item of a history.

    Parameters
    ----------
    model : Recommender
        Fitted or loaded; with `less`, one that has no exact reasons (`explains`).
    row : CSR array (1, n_items)
        The history.
    codes : (m,) int32
        Positions of the items whose scores are asked about.
    less : (l,) int32
        Positions of items of which less is wanted (`shoal.inference.less`).

    Returns
    -------
    (row.nnz + l, m) float32
        One row for each item of the history, in its order, and then for each item of `less`.
    """
    variants = [(row, less), *((without(row, row.indices[[j]]), less) for j in range(row.nnz))]
    variants += [(row, np.delete(less, j)) for j in range(less.size)]
    at_once = max(1, _SCORES_AT_ONCE // model.n_items)
    scores = np.concatenate(
        [
            _scores(model, variants[begin : begin + at_once])[:, codes]
            for begin in range(0, len(variants), at_once)
        ]
    )
    return np.asarray(scores[0] - scores[1:], np.float32)


def _scores(model: Recommender, variants: list[tuple[CSR, Int]]) -> Float:
    """Scores of all items for some histories with less of some items, (len(variants), n_items)."""
    one_row = [scored_row(model, row, less) for row, less in variants]
    if all(row is not None for row in one_row):
        return model.score(_stacked(one_row))
    alone = model.score(_stacked([row for row, _ in variants]))
    together = model.score(_stacked(joined(model, row, less) for row, less in variants))
    return np.asarray(alone - np.maximum(together - alone, 0), np.float32)


def _stacked(rows: Any) -> CSR:
    return CSR(sp.vstack(list(rows), format="csr", dtype=np.float32))
