"""The largest singular values of a log with scaled rows and columns, and what they cost."""

from __future__ import annotations

from shoal.data.interactions import Interactions
from shoal.data.size import Size
from shoal.kernels import svd
from shoal.kernels.arrays import Double, Float
from shoal.run import Run


def rank_of(size: Size, factors: int) -> int:
    """As many of `factors` singular values as a log of this size has."""
    return min(factors, size.n_users, size.n_items)


def top_singular(
    name: str, log: Interactions, factors: int, run: Run, *, rows: Float, columns: Float
) -> tuple[Double, Float]:
    """Find the largest singular values of diag(rows)·X·diag(columns) and their right vectors.

    Parameters
    ----------
    name : str
        Model name, for progress.
    log : Interactions
        X.
    factors : int
        k: number of singular values, if X has as many.
    run : Run
    rows : (n_users,) float32
    columns : (n_items,) float32

    Returns
    -------
    values : (k,) float64
        Singular values, descending.
    vectors : (n_items, k) float32, C-ordered
        Right singular vectors.
    """
    rank = rank_of(log.size, factors)
    with run.progress.step(f"{name}: {rank} singular vectors", svd.MAX_ROUNDS) as step:
        return svd.top_singular(
            *log.arrays, log.n_items, rank,
            rows=rows, columns=columns, seed=run.seed, done=step.advance,
        )  # fmt: skip


def bytes_to_find(size: Size, factors: int) -> int:
    """Peak memory of `top_singular` in bytes; the vectors take 4 · n_items · k of it."""
    return svd.bytes_needed(*size, rank_of(size, factors))


def work_to_find(size: Size, factors: int) -> dict[str, float]:
    """Work of `top_singular`, as `Costs.work_to_fit` gives it."""
    return svd.work_needed(size.n_items, size.n_interactions, rank_of(size, factors))
