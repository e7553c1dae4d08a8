"""The sparse item-item graph of models that filter it: G̃ = R̃ᵀR̃ with R̃ = D_u^−a · X · D_i^−b.

D_u and D_i are diagonal matrices of the row and column sums of X. The factor of a user or an item
whose sum is 0 is 0. A tilt t gives D_i^−t · G̃ · D_i^t, which is not symmetric: the factors of an
item of the history and of a candidate then have the exponents −(b + t) and t − b.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoal.data.interactions import CSR, Interactions, csr
from shoal.data.size import Size
from shoal.errors import MemoryBudgetError
from shoal.kernels import column_sums, sparse_gram, sparse_rows
from shoal.kernels.arrays import Float
from shoal.run import Run, human_bytes


def degrees(log: Interactions) -> tuple[NDArray[Any], NDArray[Any]]:
    """Sums of the rows and of the columns of X: (n_users,) and (n_items,) float64."""
    lengths = np.diff(log.indptr)
    if log.values is None:
        return lengths.astype(np.float64), log.item_counts.astype(np.float64)
    users = np.zeros(log.n_users)
    some = lengths > 0
    users[some] = np.add.reduceat(log.values, log.indptr[:-1][some], dtype=np.float64)
    return users, column_sums.sums(log.indices, log.values, log.n_items)


def inverse_power(sums: NDArray[Any], exponent: float) -> Float:
    """sums^−exponent, and 0 where the sum is 0."""
    positive = sums > 0
    return np.where(positive, np.where(positive, sums, 1) ** -exponent, 0).astype(np.float32)


def normalised_gram(
    name: str, log: Interactions, user_power: float, item_power: float, run: Run, beside: int = 0,
    *, tilt: float = 0.0, value_power: float = 1.0,
) -> CSR:  # fmt: skip
    """Compute G̃, (n_items, n_items), with an entry for each two items that share a user.

    Parameters
    ----------
    name : str
        Model name, for error messages and progress.
    log : Interactions
        X.
    user_power, item_power : float
        The exponents a and b.
    run : Run
    beside : int
        Bytes that the model's other arrays take.
    tilt : float
        The exponent t; with 0, G̃ is symmetric.
    value_power : float
        The values of X are raised to it before they are scaled; the sums are those of X as it is.

    Raises
    ------
    MemoryBudgetError
        The entries need more memory than the budget. They are counted first, so nothing has been
        allocated.
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
    if value_power != 1:
        data = data ** np.float32(value_power)
    data = data * right[indices]  # the values before are let go
    with run.progress.step(f"{name}: item-item graph", n) as step:
        neighbours, values = sparse_gram.sparse_gram(
            indptr, indices, data, left**2, extents, step.advance
        )
    if tilt:
        tilts = inverse_power(items, tilt), inverse_power(items, -tilt)
        sparse_rows.scale(extents, neighbours, values, *tilts)
    graph = csr(values, neighbours, extents, n)
    graph.has_sorted_indices = True
    return graph


def entries_of_graph(size: Size) -> float:
    """Estimate the number of item pairs with a common user from the size of the log alone.

    With N interactions of m users, histories of equal length hold N²/m pairs. Histories of unequal
    length hold more, by a factor taken to be 1.6 as in real logs; a pair that occurs in several
    histories is counted once, as if the pairs were drawn at random.
    """
    pairs = 1.6 * size.n_interactions**2 / max(size.n_users, 1)
    return float(size.n_items**2 * -np.expm1(-pairs / max(size.n_items, 1) ** 2))


def bytes_of_graph(size: Size) -> int:
    """Memory that `normalised_gram` takes, in bytes."""
    entries = entries_of_graph(size)
    return int(8 * entries) + 16 * size.n_interactions + 40 * size.n_items + 24 * size.n_users


def work_of_graph(size: Size, n_pairs: float) -> dict[str, float]:
    """Work of `normalised_gram`, as `Costs.work_to_fit` gives it.

    Pairs are counted, then added up, then scaled. `n_pairs` is Σ_u d_u² over the lengths d_u of the
    histories.
    """
    entries = entries_of_graph(size)
    return {"entry": size.n_interactions, "update": 6 * n_pairs, "value": 3 * entries}
