"""Knobs of other models: clusters of the items that the model treats alike.

Items are described by their vectors, where the model has them, else by the scores that the model
gives for each item alone (`shoal.maps.responses`). Only the most popular items are clustered, so
that time and memory do not grow with the square of the catalogue. Then the model itself is asked
how near each item of the whole catalogue is to each cluster: by the cosine to its centre, or by the
score for a history of all of its items. An item belongs to the cluster that it is nearest to, the
more, the further it stands out there.
"""

from __future__ import annotations

import numpy as np

from shoal.base.factored import FactoredRecommender
from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR
from shoal.errors import DataError, ModelError
from shoal.kernels.arrays import Bool, Double, Float, Long
from shoal.kernels.threads import use_threads
from shoal.maps.colouring import tightest_clusters
from shoal.maps.responses import centre, main_components, responses, rows_at_once
from shoal.run import Run

CLUSTERED = 3_000  # the most popular items; all others are assigned
LEAST = 5  # items of a cluster
_PER_CLUSTER = 12  # items for each cluster, so that a small catalogue gets few
_FULL = 0.9  # quantile of the members' nearness from which membership is 1


def cluster_memberships(model: Recommender, most: int, run: Run) -> CSR:
    """Clusters of the items as memberships, the largest first.

    Parameters
    ----------
    model : Recommender
        One whose scores depend on the history.
    most : int
        Number of clusters; a small catalogue gets fewer.
    run : Run
        Progress.

    Returns
    -------
    CSR array (m, n_items)
        Values from 0 to 1; each item is in at most one row.

    Raises
    ------
    ModelError
        The model knows fewer than 6 items, or answers alike to every history.
    """
    chosen = _most_popular(model)
    if len(chosen) < 2 * LEAST:
        raise ModelError(
            f"{model.name} knows {len(chosen)} items: too few to make knobs of, which are groups "
            f"of at least {LEAST}"
        )
    n_clusters = int(np.clip(len(chosen) // _PER_CLUSTER, 2, most)) if most > 1 else 1
    with use_threads(1):  # it is made beside requests that are answered
        if isinstance(model, FactoredRecommender):
            described = _unit_rows(model, chosen)
            codes = _k_means(described.astype(np.float64), n_clusters)
            nearness = _cosines(model, described, codes)
        else:
            codes = _k_means(_responses(model, chosen, run), n_clusters)
            nearness = _scores_of_clusters(model, chosen, codes)
    return _memberships(model, _standing_out(nearness, model.known_items), chosen, codes)


def _most_popular(model: Recommender) -> Long:
    """Positions of the items to cluster, in the order of the catalogue."""
    known = np.flatnonzero(model.known_items)
    if len(known) > CLUSTERED and model.item_counts is not None:
        known = known[np.argsort(-model.item_counts[known], kind="stable")]
    return np.sort(known[:CLUSTERED])


def _responses(model: Recommender, chosen: Long, run: Run) -> Double:
    """Main components of the scores of the chosen items for each of them alone, (m, ≤ 16)."""
    R = responses(model, chosen, run, chosen, "knobs")
    try:
        centre(R, np.arange(len(chosen)), model.name)
    except DataError:
        raise ModelError(
            f"{model.name} answers alike to every history, so none of its items are alike: it has "
            "no knobs"
        ) from None
    return main_components(R, 0)


def _unit_rows(model: FactoredRecommender, items: Long) -> Float:
    """The vectors of some items, scaled to length 1."""
    V = model.item_rows(items)
    lengths = np.sqrt(np.einsum("ij,ij->i", V, V))
    return np.asarray(V / np.maximum(lengths, np.finfo(np.float32).tiny)[:, None], np.float32)


def _k_means(points: Double, k: int) -> Long:
    """The cluster of each point, numbered from 0 without gaps."""
    _, codes = tightest_clusters(points, k, 0)
    numbers: Long = np.unique(codes, return_inverse=True)[1].astype(np.int64)
    return numbers


def _cosines(model: FactoredRecommender, rows: Float, codes: Long) -> Float:
    """The cosine of each item to the centre of each cluster, (clusters, n_items)."""
    C, n = int(codes.max()) + 1, model.n_items
    centres = np.zeros((C, rows.shape[1]), np.float32)
    np.add.at(centres, codes, rows)
    centres /= np.maximum(np.linalg.norm(centres, axis=1), 1e-12)[:, None]
    out, size = np.empty((C, n), np.float32), rows_at_once(rows.shape[1])
    for begin in range(0, n, size):
        part = np.arange(begin, min(n, begin + size))
        out[:, part] = centres @ _unit_rows(model, part).T
    return out


def _scores_of_clusters(model: Recommender, chosen: Long, codes: Long) -> Float:
    """The score of each item for a history of all items of each cluster, (clusters, n_items)."""
    C, n = int(codes.max()) + 1, model.n_items
    out = np.empty((C, n), np.float32)
    for cluster in range(C):
        items = chosen[codes == cluster]
        one = np.ones(len(items), np.float32), items.astype(np.int32), np.array([0, len(items)])
        out[cluster] = model.score(CSR(one, shape=(1, n)))[0]
    return out


def _standing_out(nearness: Float, known: Bool) -> Float:
    """How far an item stands out in each cluster: rows of mean 0 and variance 1, then columns."""
    Z = nearness - nearness[:, known].mean(axis=1, keepdims=True, dtype=np.float64)
    deviations = Z[:, known].std(axis=1, keepdims=True, dtype=np.float64)
    Z = (Z / np.maximum(deviations, np.finfo(np.float32).tiny)).astype(np.float32)
    return Z if len(Z) == 1 else Z - Z.mean(axis=0, keepdims=True)


def _memberships(model: Recommender, Z: Float, chosen: Long, codes: Long) -> CSR:
    nearest: Long = Z.argmax(axis=0)
    nearest[chosen] = codes
    value = Z[nearest, np.arange(model.n_items)]
    member = (value > 0) & model.known_items
    rows = []
    for cluster in range(len(Z)):
        items = np.flatnonzero(member & (nearest == cluster))
        if len(items) < LEAST:
            continue
        full = float(np.quantile(value[items], _FULL))
        rows.append((items, np.minimum(1, value[items] / full).astype(np.float32)))
    rows.sort(key=lambda row: -len(row[0]))
    if not rows:
        return CSR((0, model.n_items), dtype=np.float32)
    indptr = np.cumsum([0, *(len(items) for items, _ in rows)])
    indices, data = (np.concatenate(parts) for parts in zip(*rows, strict=True))
    return CSR((data, indices.astype(np.int32), indptr), shape=(len(rows), model.n_items))
