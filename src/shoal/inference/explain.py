"""`explain`: what speaks for one item and against it, for one person."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shoal.base.recommender import Recommender
from shoal.errors import HistoryError, ModelError
from shoal.inference.explanations import attributes_of, is_cold, strongest
from shoal.inference.history import HistoryLike, read_history
from shoal.inference.leave_one_out import losses_without
from shoal.inference.lookup import position_of
from shoal.inference.recommendations import Reason, label
from shoal.inference.rules import check_model
from shoal.kernels import ties
from shoal.kernels.threads import use_threads


@dataclass(frozen=True)
class Explanation:
    """What a score of one item is made up of.

    Parameters
    ----------
    item : id
    score : float
        The score that `recommend` and `rank` give.
    rank : int
        Place of the item among those that it competes with, 1 for the best.
    n_ranked : int
        Number of these items: all that the model knows and the person has not seen, and the item
        itself.
    contributions : tuple of Reason
        What each item of the history adds to the score, the strongest first, whether it speaks for
        the item (above zero) or against it (below zero).
    exact : bool
        Whether the contributions add up to the score, up to rounding. They do for linear models.
        For others a contribution is what the score loses when the item is taken out of the history
        (leave one out), and these differences do not add up to anything.
    evidence : dict of str to float
        What of the score comes from ``behaviour`` and what from ``text``, as in `Recommendation`.
    attributes : dict
        Attributes of the item.
    cold : bool
        Whether nobody had the item in training, so that it is known by its vector alone.
    seen : bool
        Whether the item stands in the history, or the person has seen it otherwise.
    unknown : tuple of ids
        Ids of the history that the model does not know; they were left out.
    """

    item: Any
    score: float
    rank: int
    n_ranked: int
    contributions: tuple[Reason, ...]
    exact: bool = True
    evidence: dict[str, float] = field(default_factory=dict)
    attributes: dict[str, Any] = field(default_factory=dict)
    cold: bool = False
    seen: bool = False
    unknown: tuple[Any, ...] = ()

    @property
    def speaking_for(self) -> tuple[Reason, ...]:
        """The items of the history that raise the score, the strongest first."""
        return tuple(r for r in self.contributions if r.contribution > 0)

    @property
    def speaking_against(self) -> tuple[Reason, ...]:
        """The items of the history that lower the score, the strongest first."""
        return tuple(r for r in self.contributions if r.contribution < 0)

    @property
    def remarks(self) -> list[str]:
        """What a person should know of the explanation beside its numbers, a line for each."""
        lines = []
        if self.cold:
            lines.append("nobody had this item in training: it is known by its vector alone")
        if self.seen:
            lines.append("the person has seen this item: recommend leaves it out")
        if not self.exact:
            lines.append(
                "not exact: what the score loses when an item is taken out of the history; only "
                "linear models (ease, rdlae, item-knn, …) have contributions that add up to it"
            )
        if self.unknown:
            lines.append(f"unknown, left out: {', '.join(map(str, self.unknown))}")
        return lines

    def __str__(self) -> str:
        place = f"rank {self.rank:,} of {self.n_ranked:,}"
        lines = [f"{label(self.item, self.attributes)}  {self.score:.4f}  {place}"]
        lines += [f"  {value:+.4f}  from {kind}" for kind, value in self.evidence.items()]
        lines += [
            f"  {r.contribution:+.4f}  {label(r.item, r.attributes)}" for r in self.contributions
        ]
        return "\n".join([*lines, *self.remarks])


def explain(
    model: Recommender,
    history: HistoryLike,
    item: Any,
    *,
    user: Any = None,
) -> Explanation:
    """Tell why one item has its score for one person, and which place this gives it.

    Parameters
    ----------
    model : Recommender
        Fitted or loaded.
    history : list of item ids, mapping id → weight, or Interactions
        As for `recommend`.
    item : id
        The item that is asked about. It may stand in the history, which takes nothing away from
        the others.
    user : id, optional
        A user of the log given as `history`.

    Returns
    -------
    Explanation

    Raises
    ------
    HistoryError
        The model does not know the item, or no item of the history; an unknown user.
    ModelError
        The model gives everyone the same scores, so that nothing in a history matters.
    """
    check_model(model)
    if not model.personal:
        raise ModelError(
            f"{model.name} recommends the same to everyone, so nothing in a history speaks for or "
            "against an item: ask another model (item-knn, ease, …)"
        )
    code = position_of(model, item)
    read = read_history(model, history, user)
    row = read.row
    if row.nnz == 0:
        names = ", ".join(map(str, read.unknown[:5]))
        why = f"none of its items is known: {names}" if names else "it is empty"
        raise HistoryError(f"the history says nothing for or against item {item!r}: {why}")
    with use_threads(1):
        scores = model.score(row)[0]
        if model.explains:
            amounts = model.contributions(row.indices, row.data, code)
        else:
            amounts = losses_without(model, row, np.array([code], np.int32))[:, 0]
        evidence = model.evidence(row.indices, row.data, code)
        competing = model.known_items.copy()
        competing[row.indices] = competing[read.seen] = False
        seen = not competing[code]
        rank = 1 + int(ties.items_before(scores, code, competing))
    ids, attributes = model.items.take(row.indices), attributes_of(model, row.indices)
    codes = np.array([code], np.int32)
    return Explanation(
        item=model.items.take(codes)[0],
        score=float(scores[code]),
        rank=rank,
        n_ranked=int(competing.sum()) + seen,
        contributions=strongest(ids, attributes, amounts),
        exact=model.explains,
        evidence=evidence,
        attributes=attributes_of(model, codes)[0],
        cold=is_cold(model, codes)[0],
        seen=seen,
        unknown=read.unknown,
    )
