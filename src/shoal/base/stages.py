"""Two stages: what their costs are, how items outside of the candidates score, and lists."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection
from typing import Self

import numpy as np
from pydantic import PrivateAttr

from shoal.base.composed import Composed
from shoal.base.declared import ArraySpec, Spec
from shoal.base.model_text import written
from shoal.base.recommender import Recommender, Search, Validation
from shoal.data.facts import LogFacts
from shoal.data.interactions import CSR, Interactions
from shoal.data.size import Size
from shoal.kernels import ties
from shoal.kernels.arrays import Bool, Float, Int, Ranking, Seen, State
from shoal.run import Run

STAGES = ("retriever", "ranker")


class Staged(Composed):
    """Base class of a model that retrieves candidates by one model and ranks them by another.

    Its hyper-parameters `retriever` and `ranker` are the texts of both.
    """

    candidates: int

    _retrieved: Bool = PrivateAttr()  # (n,): the items that both stages know

    @property
    @abstractmethod
    def stages(self) -> tuple[Recommender, Recommender]:
        """The model that retrieves, and the model that ranks."""

    def _parts(self) -> dict[str, Recommender]:
        return dict(zip(STAGES, self.stages, strict=True))

    @property
    def deep(self) -> bool:  # type: ignore[override]
        """Whether one of the parts is deep."""
        return any(part.deep for part in self._parts().values())

    @property
    def explains(self) -> bool:  # type: ignore[override]
        """Whether the ranker has exact reasons."""
        return self.stages[1].explains

    def contributions(self, history: Int, weights: Float, item: int) -> Float:
        """What each history item adds to the ranker's score of `item`."""
        return self.stages[1].contributions(history, weights, item)

    @property
    def vector_model(self) -> Recommender:
        """The model that retrieves."""
        return self.stages[0]

    def search_with(self, search: Search | None) -> None:
        """Retrieve by a search in an index of the retriever's vectors; None: exactly."""
        self.stages[0].search_with(search)

    def item_similarities(self, items: Int) -> Float:
        """Those of the ranker."""
        return self.stages[1].item_similarities(items)

    def _find_known_items(self) -> Bool:
        known: Bool = np.logical_and.reduce([part.known_items for part in self.stages])
        return known

    def _fit_validated(
        self, interactions: Interactions, validation: Validation | None, run: Run
    ) -> None:
        self._fit_parts(interactions, validation, run)
        self._retrieved = self._find_known_items()

    def state(self) -> State:
        """The arrays of both, and which items are retrieved where no rule says so."""
        return {**super().state(), "retrieved": self._retrieved}

    def state_spec(self, names: Collection[str], n_items: int) -> Spec:
        """What both declare, and the array of this model."""
        own = ArraySpec("retrieved", ("n_items",), "bool")
        return (*super().state_spec(names, n_items), own)

    def restore(self, state: State) -> None:
        """Restore the arrays that `state` returned."""
        super().restore(state)
        self._retrieved = state["retrieved"]

    def with_parts(self, changed: Callable[[Recommender], Recommender]) -> dict[str, str]:
        """The texts of both stages, if each is changed so."""
        return {name: written(changed(part)) for name, part in self._parts().items()}

    def until_best(self) -> Self:
        """The same model, unfitted, with the best epochs of each stage."""
        return self._changed(lambda part: part.until_best())

    def briefly(self, n_items: int) -> Self:
        """The same model, unfitted, with stages for a quick fit."""
        return self._changed(lambda part: part.briefly(n_items))

    def bytes_to_fit(self, size: Size) -> int:
        """The larger need of the two, the ranker's beside the fitted retriever."""
        retriever, ranker = self.stages
        beside = retriever.bytes_of_model(size)
        return max(retriever.bytes_to_fit(size), ranker.bytes_to_fit(size) + beside)

    def bytes_of_model(self, size: Size) -> int:
        """The sum of both, and a byte for each item, which says whether it is retrieved."""
        return super().bytes_of_model(size) + size.n_items

    def bytes_beside(self, data: LogFacts) -> int:
        """The larger need of the two for item vectors."""
        return max(part.bytes_beside(data) for part in self.stages)

    def bytes_per_history(self, k: int) -> int:
        """Memory of both rankings, and of two rows of all scores."""
        of_both = sum(part.bytes_per_history(max(k, self.candidates)) for part in self.stages)
        return 8 * self.n_items + of_both


def joint(histories: CSR, seen: Seen) -> tuple[Seen, bool]:
    """The items of each row that stand in the history or were seen, and whether all were seen."""
    indptr, indices = seen
    if len(indptr) == 2 and np.isin(histories.indices, indices).all():
        return seen, True
    ones = np.ones(indices.size, np.float32), indices, indptr
    own = CSR(
        (np.ones(histories.nnz, np.float32), histories.indices, histories.indptr),
        shape=histories.shape,
    )
    barred = CSR(ones, shape=histories.shape)
    both = own + barred
    both.sort_indices()
    pattern = both.indptr.astype(np.int64), both.indices.astype(np.int32)
    barred.sum_duplicates()
    return pattern, bool(both.nnz == barred.nnz)


def below(ranked: Float, retrieved: Float, last: Float) -> Float:
    """Scores below those of all candidates, in the order of what retrieved them.

    Parameters
    ----------
    ranked : (m, c) float32
        The ranker's scores of each row's candidates; −∞ where there are fewer than c.
    retrieved : (m, q) float32
        The retriever's scores of the items that are to stand below.
    last : (m, 1) float32
        The retriever's score of each row's last candidate.

    Returns
    -------
    (m, q) float32
        All finite.
    """
    there = np.isfinite(ranked)
    high = np.where(there, ranked, -np.inf).max(axis=1, keepdims=True, initial=-np.inf)
    low = np.where(there, ranked, np.inf).min(axis=1, keepdims=True, initial=np.inf)
    high, low = (np.where(there.any(axis=1, keepdims=True), end, 0) for end in (high, low))
    unit = np.maximum(high - low, np.maximum(np.abs(low) * 1e-3, 1e-6))
    last = np.where(np.isfinite(last), last, 0)
    distance = np.log1p(np.maximum(last.astype(np.float64) - retrieved, 0))
    return np.asarray(low - unit * (1 + distance), np.float32)


def scores_of_all(
    candidates: Int, ranked: Float, retrieved: Float, own: CSR, allowed: Bool
) -> Float:
    """Scores of all items: lower ones than the ranker's for those that are no candidates.

    Items of the history, and those that cannot be chosen, keep the ranker's scores.

    Parameters
    ----------
    candidates : (m, c) int32
        −1 where there are fewer.
    ranked, retrieved : (m, n_items) float32
        What ranker and retriever score.
    own : CSR array (m, n_items)
        The histories.
    allowed : (n_items,) bool
        What could have been a candidate.
    """
    rows, places = np.nonzero(candidates >= 0)
    items = candidates[rows, places]
    chosen = np.full(candidates.shape, -np.inf, np.float32)
    chosen[rows, places] = ranked[rows, items]
    rest = np.tile(allowed, (len(ranked), 1))
    rest[rows, items] = False
    rest[np.repeat(np.arange(own.shape[0]), np.diff(own.indptr)), own.indices] = False
    low = below(chosen, retrieved, _last(candidates, retrieved))
    return np.where(rest, low, ranked)


def _last(candidates: Int, retrieved: Float) -> Float:
    """The retriever's score of each row's last candidate, (m, 1); −∞ where there is none."""
    n = (candidates >= 0).sum(axis=1, keepdims=True)
    item = np.take_along_axis(candidates, np.maximum(n - 1, 0), 1)
    score = np.take_along_axis(retrieved, np.maximum(item, 0), 1)
    return np.where(n > 0, score, np.float32(-np.inf))


def lists_of_candidates(items: Int, retrieved: Float, ranked: Float, k: int) -> Ranking:
    """The k best of each row: candidates by the ranker, then what else was retrieved.

    Parameters
    ----------
    items : (m, q) int32
        What was retrieved, best first; −1 where it was fewer.
    retrieved : (m, q) float32
        The retriever's scores of them.
    ranked : (m, c) float32
        The ranker's scores of the first c ≤ q of them, the candidates.
    k : int

    Returns
    -------
    items : (m, k) int32, scores : (m, k) float32

    Raises
    ------
    FloatingPointError
        A score is NaN.
    """
    c = ranked.shape[1]
    ranked = np.where(items[:, :c] >= 0, ranked, np.float32(-np.inf))
    if np.isnan(ranked).any():
        raise FloatingPointError("a score is NaN")
    n = np.maximum((items[:, :c] >= 0).sum(axis=1, keepdims=True) - 1, 0)
    rest = below(ranked, retrieved[:, c:], np.take_along_axis(retrieved[:, :c], n, 1))
    scores = np.concatenate([ranked, np.where(items[:, c:] >= 0, rest, -np.inf)], 1)
    order = np.lexsort((ties.places(items), -scores), axis=1)[:, :k]
    best, scores = np.take_along_axis(items, order, 1), np.take_along_axis(scores, order, 1)
    return np.ascontiguousarray(best), np.ascontiguousarray(scores, np.float32)
