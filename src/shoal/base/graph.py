"""The item-item graph of the filter models: G̃ = R̃ᵀR̃ with R̃ = D_u^−a · X · D_i^−b, sparse.

D_u and D_i hold the row and column sums of X. A user or an item whose sum is 0 has the factor 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoal.data.interactions import CSR, Interactions, csr
from shoal.data.size import Size
from shoal.errors import MemoryBudgetError
from shoal.kernels import sparse_gram
from shoal.kernels.arrays import Float
from shoal.run import Run, human_bytes


def degrees(log: Interactions) -> tuple[NDArray[Any], NDArray[Any]]:
    """Sums of the rows and of the columns of X, float64."""
    values = log.arrays[2].astype(np.float64)
    users = np.bincount(log.user_codes, weights=values, minlength=log.n_users)
    return users, np.bincount(log.indices, weights=values, minlength=log.n_items)


def inverse_power(sums: NDArray[Any], exponent: float) -> Float:
    """sums^−exponent, and 0 where the sum is 0."""
    there = sums > 0
    return np.where(there, np.where(there, sums, 1) ** -exponent, 0).astype(np.float32)


def normalised_gram(
    name: str, log: Interactions, user_power: float, item_power: float, run: Run, beside: int = 0
) -> CSR:
    """G̃, (n_items, n_items): symmetric, an entry for each pair of items with a common user.

    Parameters
    ----------
    name : str
        Of the model, for messages.
    log : Interactions
    user_power, item_power : float
        a and b.
    run : Run
    beside : int
        Bytes that the model takes for other things.

    Raises
    ------
    MemoryBudgetError
        The entries were counted, and their memory is above the budget; none is taken yet.
    """
    indptr, indices, data = log.arrays
    users, items = degrees(log)
    left, right = inverse_power(users, user_power), inverse_power(items, item_power)
    n = log.n_items
    with run.progress.step(f"{name}: counting pairs of items", n) as step:
        extents = sparse_gram.extents(indptr, indices, n, step.advance)
    need = 8 * int(extents[-1]) + 16 * len(log) + 24 * n + beside
    if need > run.memory_budget:
        raise MemoryBudgetError(
            f"{name}: {int(extents[-1]):,} pairs of items have a common user and need "
            f"{human_bytes(need)}, the budget is {human_bytes(run.memory_budget)}. Drop rare items "
            "(--min-item-users) or users with very long histories, or raise the budget (--memory)"
        )
    with run.progress.step(f"{name}: item-item graph", n) as step:
        near, values = sparse_gram.sparse_gram(
            indptr, indices, data * right[indices], left**2, extents, step.advance
        )
    graph = csr(values, near, extents, n)
    graph.has_sorted_indices = True
    return graph


def entries_of_graph(size: Size) -> float:
    """Pairs of items with a common user, from sizes alone.

    The pairs that meet in histories of n/m items are n²/m; histories of different length make them
    more, and pairs that meet again do not count twice. 1.6 is what the logs that we looked at have.
    """
    pairs = 1.6 * size.n_interactions**2 / max(size.n_users, 1)
    return float(size.n_items**2 * -np.expm1(-pairs / max(size.n_items, 1) ** 2))


def bytes_of_graph(size: Size) -> int:
    """What `normalised_gram` takes."""
    entries = entries_of_graph(size)
    return int(8 * entries) + 24 * size.n_interactions + 40 * size.n_items + 24 * size.n_users


def work_of_graph(size: Size, n_pairs: float) -> dict[str, float]:
    """What `normalised_gram` does, by kind: pairs are counted, then added up, then scaled."""
    entries = entries_of_graph(size)
    return {"entry": size.n_interactions, "update": 6 * n_pairs, "value": 3 * entries}
