"""Linear item-item models: scores are x·B, with B in one of the forms of `shoal.base.weights`."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar, Self

import numpy as np
from pydantic import PrivateAttr

from shoal.base.declared import Spec
from shoal.base.forms import from_state, weights_spec
from shoal.base.recommender import Recommender
from shoal.base.weights import (
    DenseWeights,
    SparseWeights,
    Weights,
    csr_arrays,
)
from shoal.data.interactions import CSR
from shoal.data.size import Size
from shoal.errors import NotFittedError
from shoal.kernels import ties
from shoal.kernels.arrays import Bool, Float, Int, Ranking, Seen, State
from shoal.kernels.device import Ranker


class LinearRecommender(Recommender):
    """Base class of models whose scores are the product of a history and one item-item matrix B.

    A subclass sets ``self._weights`` in ``_fit`` to `DenseWeights`, `SparseWeights` or another
    subclass of `Weights`.
    """

    explains: ClassVar[bool] = True

    _weights: Weights | None = PrivateAttr(None)
    # the weights that were last copied to an accelerator, its name, and the object that ranks there
    _ranker: tuple[Weights, str, Ranker] | None = PrivateAttr(None)

    @property
    def weights(self) -> Float | CSR:
        """B, (n_items, n_items): B[j, i] from history item j to candidate item i."""
        return self._fitted_weights.matrix()

    @property
    def _fitted_weights(self) -> Weights:
        """The weights; raises a NotFittedError if there are none yet."""
        weights = self._weights
        if weights is None:
            raise NotFittedError(f"{self.name} has not been fitted: call fit(interactions) first")
        return weights

    def _score(self, histories: CSR) -> Float:
        return self._fitted_weights.score(histories)

    def _score_items(self, histories: CSR, items: Int) -> Float:
        return self._fitted_weights.score_items(histories, items)

    def _rank(
        self, histories: CSR, k: int, seen: Seen, allowed: Bool, device: str | None
    ) -> Ranking:
        weights = self._fitted_weights
        if not weights.ranks_in_one_pass(histories):
            return super()._rank(histories, k, seen, allowed, device)
        more = max(k, min(k + 1, self.n_items))
        if device is not None and weights.dense:
            ranker = self._on(weights, device)
            best = ranker.best(csr_arrays(histories), more, *seen, allowed)
        else:
            best = weights.best(histories, more, seen, allowed)
        return ties.dealt(*best, k, lambda rows: self._score(histories[rows]), seen, allowed)

    def _on(self, weights: Weights, device: str) -> Ranker:
        """The object that ranks on an accelerator, which holds a copy of B; made on first use."""
        if self._ranker is None or self._ranker[0] is not weights or self._ranker[1] != device:
            self._ranker = (weights, device, Ranker(np.asarray(weights.matrix()), device))
        return self._ranker[2]

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """A guess for models that do not override it: the work of XᵀX.

        A product of n × n matrices is added if `bytes_to_fit` has room for a dense matrix.
        """
        work = {"entry": size.n_interactions, "update": n_pairs / 2}
        if self.bytes_to_fit(size) >= 4 * size.n_items**2:
            work |= {"product": 2 * size.n_items**3, "value": size.n_items**2}
        return work

    def bytes_of_model(self, size: Size) -> int:
        """Memory of the whole fit, or of a sparse B with all entries if that is less."""
        all_entries = 8 * (size.n_items**2 + size.n_items + 1)
        return min(all_entries, self.bytes_to_fit(size))

    def bytes_per_history(self, k: int) -> int:
        """Memory that ranking takes for each history, with this form of B."""
        return self._fitted_weights.bytes_per_history(k)

    def contributions(self, history: Int, weights: Float, item: int) -> Float:
        """x_j·B_ji for each history item j: the amount that it adds to the score of `item`."""
        part = self._fitted_weights.part_of_column(history, item)
        return np.asarray(weights * part, np.float32)

    def with_weights(self, B: Float | CSR) -> Self:
        """The same fitted model with another matrix, to see what a part of B is good for.

        Parameters
        ----------
        B : (n_items, n_items) float32 array or CSR array
        """
        copy = self.model_copy()  # shares all that it does not replace
        copy._weights = DenseWeights(B) if isinstance(B, np.ndarray) else SparseWeights(B)
        copy._ranker, copy._search = None, None
        return copy

    def column(self, item: int) -> Float:
        """B[:, item], (n_items,): the weight of each history item in the score of `item`."""
        return self._fitted_weights.column(item)

    def item_similarities(self, items: Int) -> Float:
        """B[items][:, items]: what each of the items adds to the score of each other."""
        return self._fitted_weights.among(items)

    def state(self) -> State:
        """The arrays of B, in the form in which the model holds it."""
        return self._fitted_weights.state()

    def state_spec(self, names: Collection[str], n_items: int) -> Spec:
        """B in the form that these names have, and `state_arrays`."""
        return (*weights_spec(names), *self.state_arrays)

    def restore(self, state: State) -> None:
        """Restore the fitted B from the arrays that `state` returned."""
        self._weights = from_state(state)
