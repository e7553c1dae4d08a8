"""Knobs of models with sparse item vectors: the two sides of each unit.

A model with item vectors scores y = u·Aᵀ (− x), with one unit of the person's vector u for each
column of A. Adding δ to unit k adds δ·a_ik to the score of every item i. The entries of a column
have two signs, and what stands on one side is often unlike what stands on the other, so each side
is a group of its own: the positive side moves the items with a_ik > 0 by exactly what the shift of
u_k by δ does to them, and leaves the others; the negative side those with a_ik < 0, for a shift by
−δ. Of a unit without negative entries, the knob is the unit.
"""

from __future__ import annotations

import numpy as np

from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR

LEAST = 5  # items of a side, with training users


def unit_memberships(model: Recommender, vectors: CSR) -> CSR:
    """The sides of the units as memberships of the items, the weightiest first.

    Parameters
    ----------
    model : Recommender
    vectors : CSR array (n_items, k)
        A.

    Returns
    -------
    CSR array (m, n_items)
        Rows with values above 0, the largest of each 1; items that may not be recommended are left
        out, and so are sides with fewer than 5 items.
    """
    columns = vectors.T.tocsr()
    known = model.known_items
    indptr, indices, data, weight = [0], [], [], []
    for unit in range(columns.shape[0]):
        extent = slice(columns.indptr[unit], columns.indptr[unit + 1])
        items, values = columns.indices[extent], columns.data[extent]
        for sign in (1, -1):
            on_side = (sign * values > 0) & known[items]
            if on_side.sum() < LEAST:
                continue
            side = np.abs(values[on_side])
            order = np.argsort(items[on_side])
            indices.append(items[on_side][order])
            data.append((side / side.max())[order])
            indptr.append(indptr[-1] + len(side))
            weight.append(float(side.sum()))
    if not indices:
        return CSR((0, model.n_items), dtype=np.float32)
    joint = np.concatenate(data).astype(np.float32), np.concatenate(indices), np.array(indptr)
    sides = CSR(joint, shape=(len(weight), model.n_items))
    return sides[np.argsort(-np.array(weight), kind="stable")]
