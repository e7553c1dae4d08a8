"""Models that score by inner products: y = u·Vᵀ + S, with a vector v_i for each item.

u is the vector of a history. S is a sparse correction of some scores, usually those of the items in
the history. Ranking is exact and works on tiles of V, so that even for millions of items no full
row of scores is held in memory.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection
from typing import Any, ClassVar

import numpy as np
from pydantic import PrivateAttr

from shoal.base.declared import ArraySpec, CsrSpec, Spec
from shoal.base.deep import DeepRecommender
from shoal.base.recommender import Recommender, Validation
from shoal.base.weights import csr_arrays
from shoal.data.facts import LogFacts
from shoal.data.interactions import CSR, Interactions, csr
from shoal.data.size import Size
from shoal.errors import MemoryBudgetError, ModelError, NotFittedError
from shoal.kernels import factors, linear, one_row, ties
from shoal.kernels.arrays import Bool, Float, Int, Long, Ranking, Seen, Sparse, State
from shoal.kernels.device import FactorRanker
from shoal.kernels.one_row import Rounded
from shoal.run import Run, n_processes

_LARGE = 2**20  # numbers in a V (4 MB) that no longer stays in the cache of a core


class FactoredRecommender(Recommender):
    """Base class of models with a vector for each item.

    A subclass sets ``self._vectors`` (V, an array or a CSR array of the shape (n_items, k)) when it
    is fitted or restored, and defines `_user_vectors` and, if it has an S, `_correction`.
    """

    has_vectors: ClassVar[bool] = True

    _vectors: Float | CSR | None = PrivateAttr(None)
    # V, and its copy in 8 bits that ranks single histories faster
    _rounded: tuple[object, Rounded] | None = PrivateAttr(None)
    _ranker: tuple[object, str, FactorRanker] | None = PrivateAttr(None)

    def check_can_fit(self, interactions: Interactions, run: Run) -> None:
        """Raise the errors of the base class, and one if `factors` was set above the item count."""
        k, n = getattr(self, "factors", 0), interactions.n_items
        if "factors" in self.model_fields_set and k > n > 1:
            raise ModelError(f"{self.name}: factors={k:,}, but the log has {n:,} items: give fewer")
        super().check_can_fit(interactions, run)

    @abstractmethod
    def _user_vectors(self, histories: CSR) -> Float:
        """The vectors u of m histories, (m, k) float32."""

    def _correction(self, histories: CSR) -> CSR | None:
        """S, (m, n_items), which is added to the inner products; None, unless overridden."""
        return None

    def vectors(self) -> Float:
        """V, the vectors of the items, (n_items, k) float32."""
        V = self._stored()
        return V if isinstance(V, np.ndarray) else V.toarray()

    @property
    def sparse_vectors(self) -> CSR | None:
        """V as a sparse array, if the model holds it as one."""
        V = self._stored()
        return None if isinstance(V, np.ndarray) else V

    def item_rows(self, items: Long) -> Float:
        """The vectors of some items, (m, k) float32."""
        return self._rows(items)

    def user_vectors(self, histories: CSR) -> Float:
        """The vectors u of m histories, (m, k) float32.

        u·v_i is the score of item i, if i is not in the history.
        """
        return self._user_vectors(self._checked(histories))

    def _stored(self) -> Float | CSR:
        """V as it was set; raises a NotFittedError if there is none yet."""
        vectors = self._vectors
        if vectors is None:
            raise NotFittedError(f"{self.name} has not been fitted: call fit(interactions) first")
        return vectors

    def _sum_of_vectors(self, histories: CSR) -> Float:
        """x·V, (m, k): for each history, the weighted sum of the vectors of its items."""
        V = self._stored()
        if isinstance(V, np.ndarray):
            return linear.sparse_times_dense(*csr_arrays(histories), V)
        return linear.sparse_times_sparse(*csr_arrays(histories), *csr_arrays(V), V.shape[1])

    def _operands(self, histories: CSR) -> tuple[Float, Float | Sparse, CSR | None]:
        """U, V (an array, or the arrays of its CSR form) and S, for the kernels."""
        V = self._stored()
        vectors = V if isinstance(V, np.ndarray) else csr_arrays(V)
        return self._user_vectors(histories), vectors, self._correction(histories)

    def _score(self, histories: CSR) -> Float:
        U, V, S = self._operands(histories)
        scores = factors.products(U, V)
        if S is not None:
            scores[np.repeat(np.arange(S.shape[0]), np.diff(S.indptr)), S.indices] += S.data
        return scores

    def _score_items(self, histories: CSR, items: Int) -> Float:
        V, S = self._stored(), self._correction(histories)
        only_history = S is None or np.array_equal(S.indices, histories.indices)
        if not isinstance(V, np.ndarray) or not only_history:
            return super()._score_items(histories, items)
        U, out = self._user_vectors(histories), np.empty(items.shape, np.float32)
        for row, chosen in enumerate(items):
            out[row] = V[chosen] @ U[row]
        return out

    def _rank(
        self, histories: CSR, k: int, seen: Seen, allowed: Bool, device: str | None
    ) -> Ranking:
        U, V, S = self._operands(histories)
        correction = None if S is None else csr_arrays(S)
        more = max(k, min(k + 1, self.n_items))
        if device is None and len(U) == 1 and self._rounded is not None:
            ranked = self._rank_one(U[0], V, S, k, seen, allowed)
            if ranked is not None:
                return ranked
        if device is not None and isinstance(V, np.ndarray):
            best = self._on(V, device).best(U, more, *seen, allowed, correction)
        else:
            best = factors.best_of_product(U, V, more, *seen, allowed, correction)
        return ties.dealt(*best, k, lambda rows: self._score(histories[rows]), seen, allowed)

    def round_vectors(self) -> None:
        """Keep a copy of V in 8 bits, by which single histories are ranked in half the time.

        Scores and lists stay the same to the bit. The copy takes a quarter of the memory of V; a
        small V, or a sparse one, gets none.
        """
        V = self._stored()
        if isinstance(V, np.ndarray) and V.size >= _LARGE:
            copy = one_row.rounded(V)
            self._rounded = None if copy is None else (V, copy)

    def _rank_one(
        self, u: Float, V: Float | Sparse, S: CSR | None, k: int, seen: Seen, allowed: Bool
    ) -> Ranking | None:
        """Rank one history by the copy of V in 8 bits; None where all products take no longer."""
        rounded, more = self._rounded, max(k, min(k + 1, self.n_items))
        if rounded is None or rounded[0] is not V or not isinstance(V, np.ndarray):
            return None
        none = np.empty(0, np.int32)
        free = none if S is None else S.indices
        items = one_row.candidates(u, rounded[1], more, seen[1], free, allowed)
        if items is None:
            return None
        scores = one_row.dots(V, u, items)
        if S is not None:
            places = np.minimum(np.searchsorted(items, free), items.size - 1)
            there = items[places] == free
            scores[places[there]] += S.data[there]
        best = one_row.best_of_candidates(scores, items, more)
        n = self.n_items
        return ties.dealt(*best, k, lambda _: one_row.spread(scores, items, n), seen, allowed)

    def _on(self, V: Float, device: str) -> FactorRanker:
        """The object that ranks on an accelerator, which holds a copy of V; made on first use."""
        if self._ranker is None or self._ranker[0] is not V or self._ranker[1] != device:
            self._ranker = (V, device, FactorRanker(V, device))
        return self._ranker[2]

    def bytes_per_history(self, k: int) -> int:
        """Memory that ranking takes for each history: its vector and the best items so far."""
        return factors.bytes_per_row(k, self._stored().shape[1])

    def item_similarities(self, items: Int) -> Float:
        """Inner products of the vectors of some items, each scaled to length 1."""
        V = self._stored()[items]
        products = V @ V.T
        products = products if isinstance(products, np.ndarray) else products.toarray()
        lengths = np.sqrt(np.maximum(products.diagonal(), np.finfo(np.float32).tiny))
        return np.asarray(products / lengths / lengths[:, None], np.float32)

    def _rows(self, items: Any) -> Float:
        """The vectors of some items, as a dense array."""
        rows = self._stored()[items]
        return rows if isinstance(rows, np.ndarray) else rows.toarray()

    def state(self) -> State:
        """V as one array, or as the three arrays of its CSR form and its number of columns."""
        V = self._stored()
        if isinstance(V, np.ndarray):
            return {"vectors": V}
        indptr, indices, data = csr_arrays(V)
        width = np.array([V.shape[1]], np.int64)
        return {"indptr": indptr, "indices": indices, "data": data, "width": width}

    def state_spec(self, names: Collection[str], n_items: int) -> Spec:
        """V as one array, or in its CSR form and its number of columns, and `state_arrays`."""
        if "vectors" in names or "width" not in names:
            return (ArraySpec("vectors", ("n_items", "k")), *self.state_arrays)
        width = ArraySpec("width", (1,), "int64", size="width", most=max(n_items, 2**16))
        return (width, CsrSpec("n_items", "width"), *self.state_arrays)

    def restore(self, state: State) -> None:
        """Restore V from the arrays that `state` returned."""
        if "vectors" in state:
            self._vectors = state["vectors"]
        else:
            parts = state["data"], state["indices"], state["indptr"]
            self._vectors = csr(*parts, int(state["width"][0]))


class LearnedVectors(FactoredRecommender, DeepRecommender):
    """Base class of models whose item vectors are learned by gradient steps.

    The fit drops the network and keeps V. The fitted model can be restored and can score without
    torch.
    """

    deep: ClassVar[bool] = False  # scores are inner products with a sum of vectors

    factors: int

    @abstractmethod
    def _learned(self, network: Any) -> Float | CSR:
        """V, (n_items, k), from a trained network; its rows of it, if the network is divided."""

    def _user_vectors(self, histories: CSR) -> Float:
        return self._sum_of_vectors(histories)

    def n_parameters(self, n_users: int, n_items: int) -> int:
        """Number of weights that training changes: one vector of length `factors` for each item."""
        return n_items * self.factors

    def _fit_validated(
        self, interactions: Interactions, validation: Validation | None, run: Run
    ) -> None:
        self._vectors = None
        DeepRecommender._fit_validated(self, interactions, validation, run)
        from shoal.training.sharded import whole

        network, self._network = self._network, None
        self._vectors = whole(self._learned(network), network.rows, run.first_only)

    def bytes_of_model(self, size: Size) -> int:
        """Size of V in bytes."""
        return 4 * size.n_items * self.factors

    def check_budget(self, data: LogFacts, budget: int) -> None:
        """Raise an error if a fit needs more memory than a budget, in this process of several.

        Each then trains its part of the items, and holds V at the end.
        """
        n, size = n_processes(), data.size
        if n > 1:
            part = size._replace(n_items=-(-size.n_items // n))
            if why := self.refusal(part, budget, self.bytes_of_model(size)):
                raise MemoryBudgetError(f"in each of {n} processes: {why}")
        else:
            super().check_budget(data, budget)

    def _score(self, histories: CSR) -> Float:
        if self._vectors is None:  # during training, for validation
            return DeepRecommender._score(self, histories)
        return FactoredRecommender._score(self, histories)
