"""Weighted sums of models: scores, exact reasons, and weights that are given or chosen."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, Self

import numpy as np
from pydantic import PrivateAttr

from shoal.base.blending import best_weights, check_metric, spreads
from shoal.base.declared import ArraySpec, Spec
from shoal.base.members import Members
from shoal.base.recommender import Recommender, Validation
from shoal.base.weights import best_of_scores
from shoal.data.interactions import CSR, Interactions
from shoal.errors import DataError, ModelError
from shoal.kernels.arrays import Bool, Double, Float, Int, Ranking, Seen, State
from shoal.kernels.threads import use_threads
from shoal.run import Run
from shoal.splitting.held_out import HeldOut


class Blended(Members):
    """Base class of a model whose score is Σ_m w_m·s_m/σ_m over its members m.

    Its hyper-parameters are `parts`, `weights` (a text; empty: chosen on validation users) and
    `metric`, by which they are chosen.
    """

    weights: str
    metric: str

    _weights: Float = PrivateAttr()  # (m,), their sum is 1
    _spread: Float = PrivateAttr()  # (m,): σ

    def __init__(self, /, *args: Any, **values: Any) -> None:
        weights = values.get("weights")
        if isinstance(weights, list | tuple | np.ndarray):
            values["weights"] = ",".join(map(str, weights))
        super().__init__(*args, **values)
        self._weights = given_weights(self.weights, self.members).astype(np.float32)
        self._spread = np.ones(len(self.members), np.float32)
        check_metric(self.metric)

    # -- fitting ---------------------------------------------------------------------------

    def _fit_validated(
        self, interactions: Interactions, validation: Validation | None, run: Run
    ) -> None:
        self._fit_parts(interactions, validation, run)
        self._weigh(interactions, validation, run)

    def _join_on(self, on: HeldOut | Interactions, run: Run) -> None:
        """Find the spread and, on held-out users, the weights of members that are fitted."""
        if not isinstance(on, HeldOut | Interactions):
            raise DataError(
                f"{self.name}: on={on!r:.60} is neither held-out users nor a log: give "
                "split.validation, or split.train"
            )
        log, validation = (on.history, on) if isinstance(on, HeldOut) else (on, None)
        if log.items != self.items:
            raise DataError(
                f"what {self.name} is to be joined on has other items than its members: give "
                "users of the split that they were fitted on"
            )
        with use_threads(run.threads):
            self._weigh(log, validation, run)
        self._known_items = None

    def _weigh(self, log: Interactions, validation: Validation | None, run: Run) -> None:
        spread = spreads(self.members, log.matrix)
        self._spread = spread.astype(np.float32)
        weights, value = given_weights(self.weights, self.members), np.nan
        if isinstance(validation, HeldOut) and not self.weights:
            metric = check_metric(self.metric)
            weights, value = best_weights(self.members, self._spread, validation, metric, run)
            if np.isfinite(value):
                self._facts[f"validation_{metric}"] = value
        self._weights = weights.astype(np.float32)
        self._facts |= {
            f"{place}.weight": round(float(weight), 6) for place, weight in enumerate(weights)
        }
        if not self.weights:  # without validation users who count they are equal
            self._facts["weights_chosen"] = float(np.isfinite(value))

    @property
    def chosen_by_validation(self) -> tuple[str, ...]:
        """What validation chooses: the weights, where none are given, and epochs of members."""
        return super().chosen_by_validation + (() if self.weights else ("the weights",))

    def until_best(self) -> Self:
        """The same model, unfitted, with the weights that were chosen, and members' best epochs."""
        settings = super().until_best().model_dump(exclude_unset=True)
        if self._facts.get("weights_chosen"):
            settings["weights"] = ",".join(f"{weight:.6g}" for weight in self._weights)
        return type(self)(**settings)

    # -- scores ----------------------------------------------------------------------------

    @property
    def _factors(self) -> Float:
        """What the scores of each member are multiplied by, (m,); 0 without a weight."""
        factors: Float = self._weights / self._spread
        return factors

    @property
    def _counted(self) -> list[tuple[Recommender, np.float32]]:
        """The members with a weight, and their factors."""
        factors = zip(self.members, self._factors, strict=True)
        return [(member, factor) for member, factor in factors if factor > 0]

    def _sum(self, shape: tuple[int, ...], of: Callable[[Recommender], Float]) -> Float:
        """The weighted sum over the members of what `of` gives for each, an array of a shape."""
        total = np.zeros(shape, np.float32)
        for member, factor in self._counted:
            total += factor * of(member)
        return total

    def _find_known_items(self) -> Bool:
        known: Bool = np.logical_or.reduce([member.known_items for member, _ in self._counted])
        return known

    def _score(self, histories: CSR) -> Float:
        return self._sum(histories.shape, lambda member: member._score(histories))

    def _score_items(self, histories: CSR, items: Int) -> Float:
        return self._sum(items.shape, lambda member: member._score_items(histories, items))

    def _score_among(self, histories: CSR, seen: Seen, allowed: Bool) -> Float:
        shape = histories.shape
        return self._sum(shape, lambda member: member._score_among(histories, seen, allowed))

    def _rank(
        self, histories: CSR, k: int, seen: Seen, allowed: Bool, device: str | None
    ) -> Ranking:
        return best_of_scores(self._score_among(histories, seen, allowed), k, seen, allowed)

    def item_similarities(self, items: Int) -> Float:
        """The weighted sum of those of the members."""
        n = len(items)
        return self._sum((n, n), lambda member: member.item_similarities(items))

    def bytes_per_history(self, k: int) -> int:
        """Memory of the sum, a member's scores and their product with its weight."""
        return 12 * self.n_items + max(member.bytes_per_history(k) for member in self.members)

    # -- reasons ---------------------------------------------------------------------------

    @property
    def personal(self) -> bool:  # type: ignore[override]
        """Whether the scores of a member with a weight depend on the history."""
        return any(member.personal for member, _ in self._counted)

    @property
    def explains(self) -> bool:  # type: ignore[override]
        """Whether all members with a weight have exact reasons."""
        return all(member.explains for member, _ in self._counted)

    def contributions(self, history: Int, weights: Float, item: int) -> Float:
        """The weighted sum of what each history item adds to the scores of the members."""
        without = [member.name for member, _ in self._counted if not member.explains]
        if without:
            raise ModelError(
                f"{self.name} has no exact reasons, as {' and '.join(without)} among its members "
                "has none"
            )
        return self._sum((len(history),), lambda m: m.contributions(history, weights, item))

    def evidence(self, history: Int, weights: Float, item: int) -> dict[str, float]:
        """What each member adds to the score of `item`."""
        row = CSR((weights, history, [0, len(history)]), shape=(1, self.n_items))
        parts = [factor * member._score(row)[0, item] for member, factor in self._counted]
        return self._by_member(parts)

    def evidence_among(
        self, history: Int, weights: Float, items: Int, seen: Seen, allowed: Bool
    ) -> list[dict[str, float]]:
        """The same for the items of a list."""
        row = CSR((weights, history, [0, len(history)]), shape=(1, self.n_items))
        parts = [
            factor * member._score_among(row, seen, allowed)[0, items]
            for member, factor in self._counted
        ]
        return [self._by_member(column) for column in zip(*parts, strict=True)]

    def _by_member(self, parts: Collection[np.float32]) -> dict[str, float]:
        """Parts of a score by the names of the members; those of one name have their number."""
        names = [member.name for member in self.members]
        places = np.flatnonzero(self._factors > 0)
        return {
            names[place] if names.count(names[place]) == 1 else f"{names[place]} {place + 1}": (
                float(part)
            )
            for place, part in zip(places, parts, strict=True)
        }

    # -- what is kept ----------------------------------------------------------------------

    def state(self) -> State:
        """The arrays of the members, their weights and the spread of their scores."""
        return {**super().state(), "weights": self._weights, "spread": self._spread}

    def state_spec(self, names: Collection[str], n_items: int) -> Spec:
        """What the members declare, and the arrays of this model."""
        n = len(self.members)
        own = ArraySpec("weights", (n,)), ArraySpec("spread", (n,), positive=True)
        return (*super().state_spec(names, n_items), *own)

    def restore(self, state: State) -> None:
        """Restore the arrays that `state` returned."""
        super().restore(state)
        self._weights, self._spread = state["weights"], state["spread"]


def given_weights(text: str, members: Collection[Recommender]) -> Double:
    """The weights that a text gives to members, divided by their sum; equal ones for no text.

    Raises
    ------
    ModelError
        There is another number of weights than of members, or one is no number from 0 on, or all
        are 0; or there are fewer than two members.
    """
    n = len(members)
    if n < 2:
        raise ModelError("blend: name two members or more, such as edlae+gf-cf")
    words = re.split(r"\s*,\s*|\s+", text.strip()) if text.strip() else ["1"] * n
    try:
        weights = np.array([float(word) for word in words])
    except ValueError:
        weights = np.array([np.nan])
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.max() > 0):
        raise ModelError(f"weights={text!r}: write numbers from 0 on, such as 0.7,0.3")
    if len(weights) != n:
        raise ModelError(f"weights={text!r}: {len(weights)} weights for {n} members")
    weights /= weights.max()  # so that the sum of very large ones is finite
    return np.asarray(weights / weights.sum(), np.float64)
