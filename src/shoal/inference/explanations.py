"""What is told of a recommended item beside its score: attributes, reasons and evidence."""

from __future__ import annotations

from typing import Any

import numpy as np

from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR
from shoal.errors import HistoryError
from shoal.inference.recommendations import Reason
from shoal.kernels.arrays import Bool, Float, Int, Seen

_NOTHING: Any = np.empty(0, np.int32)


def attributes_of(model: Recommender, codes: Int) -> list[dict[str, Any]]:
    """The attributes of the items at positions `codes` of the catalogue, one mapping for each."""
    table = model.item_table
    names = table.columns
    if names == ["item"]:
        return [{} for _ in codes]
    # row by row, as the columns of polars are gathered by its thread pool, which a process that was
    # forked does not have
    rows = [dict(zip(names, table.row(code), strict=True)) for code in codes.tolist()]
    for row in rows:
        row.pop("item", None)
    return rows


def reasons_for(
    model: Recommender, row: CSR, codes: Int, because: bool | int, less: Int = _NOTHING
) -> list[tuple[Reason, ...]]:
    """What each item of a history adds to the scores of some items.

    Parameters
    ----------
    model : Recommender
        Fitted or loaded.
    row : CSR array (1, n_items)
        The history.
    codes : (m,) int32
        Positions of the recommended items in the catalogue.
    because : bool or int
        False for no reasons, True for all of them, a number for the strongest so many.
    less : (l,) int32
        Positions of items of which less is wanted. They have the weight −1 in `row`
        (`less.explained_row`), and what they would so add to a score is left out.

    Returns
    -------
    list of tuple of Reason
        For each of the m items, the strongest reason first; empty tuples for no reasons.

    Raises
    ------
    HistoryError
        `because` is negative, or the model has no exact reasons.
    """
    check_reasons(model, because)
    if because is False or because == 0:
        return [() for _ in codes]
    n_reasons = row.nnz if because is True else int(because)
    ids, attributes = model.items.take(row.indices), attributes_of(model, row.indices)
    reasons, is_less = [], np.isin(row.indices, less)
    for code in codes:
        contributions = _contributions(model, row, int(code), is_less)
        reasons.append(strongest(ids, attributes, contributions, n_reasons, is_less))
    return reasons


def strongest(
    ids: list[Any],
    attributes: list[dict[str, Any]],
    amounts: Float,
    n: int | None = None,
    is_less: Bool | None = None,
) -> tuple[Reason, ...]:
    """The n items of a history that add or take most, or all of them, the strongest first.

    `is_less` marks the items of which less is wanted, if there are any.
    """
    marks = [False] * len(ids) if is_less is None else is_less.tolist()
    order = np.argsort(-np.abs(amounts), kind="stable")[:n]
    return tuple(Reason(ids[j], float(amounts[j]), attributes[j], marks[j]) for j in order)


def check_reasons(model: Recommender, because: bool | int) -> None:
    """Refuse to give reasons that there cannot be.

    Raises
    ------
    HistoryError
        `because` is negative, or the model has no exact reasons.
    """
    if because < 0:
        raise HistoryError(f"because={because}: give True, or how many reasons to keep")
    if because and not model.explains:
        raise HistoryError(
            f"{model.name} has no exact reasons; linear models have (ease, rdlae, item-knn, …)"
        )


def evidence_for(
    model: Recommender,
    row: CSR,
    codes: Int,
    because: bool | int,
    less: Int = _NOTHING,
    *,
    seen: Seen,
    allowed: Bool,
) -> list[dict[str, float]]:
    """What the score of each item is made up of, by kind; empty where no reasons are asked for.

    The first arguments are those of `reasons_for`; `seen` and `allowed` are those by which
    `Recommender.rank` chose the items.
    """
    if not because:
        return [{} for _ in codes]
    if not less.size:
        return model.evidence_among(row.indices, row.data, codes, seen, allowed)
    evidence, is_less = [], np.isin(row.indices, less)
    for code in codes:
        contributions = model.contributions(row.indices, row.data, int(code))
        weights = np.where(is_less & (contributions > 0), np.float32(0), row.data)
        evidence.append(model.evidence(row.indices, weights, int(code)))
    return evidence


def _contributions(model: Recommender, row: CSR, code: int, is_less: Bool) -> Float:
    """What each item of a history adds to a score; at most 0 for those of which less is wanted."""
    contributions = model.contributions(row.indices, row.data, code)
    if not is_less.any():
        return contributions
    return np.where(is_less, np.minimum(contributions, 0), contributions) + np.float32(0)  # no −0


def is_cold(model: Recommender, codes: Int) -> list[bool]:
    """Whether each item is known by its vector alone, since no training user had it."""
    if model.cold_items is None:
        return [False] * len(codes)
    flags: list[bool] = model.cold_items[codes].tolist()
    return flags
