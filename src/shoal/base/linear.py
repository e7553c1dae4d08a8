"""Linear item-item models: score = x·B, with B in one of the forms of `shoal.base.weights`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import PrivateAttr

from shoal.base.recommender import Recommender
from shoal.base.weights import Weights, csr_arrays, from_state
from shoal.data.interactions import CSR
from shoal.data.size import Size
from shoal.errors import NotFittedError
from shoal.kernels.arrays import Bool, Float, Int, Ranking, Seen, State
from shoal.kernels.device import Ranker


class LinearRecommender(Recommender):
    """Base of models whose score is a product with one item-item matrix.

    A subclass sets ``self._weights`` in ``_fit``: `DenseWeights`, `SparseWeights`, or another form.
    """

    explains: ClassVar[bool] = True

    _weights: Weights | None = PrivateAttr(None)
    # the weights that were copied to an accelerator, which one, and what ranks there
    _ranker: tuple[Weights, str, Ranker] | None = PrivateAttr(None)

    @property
    def weights(self) -> Float | CSR:
        """B, (n_items, n_items): B[j, i] from history item j to candidate item i."""
        return self._fitted_weights.matrix()

    @property
    def _fitted_weights(self) -> Weights:
        if self._weights is None:
            raise NotFittedError(f"{self.name} has not been fitted: call fit(interactions) first")
        return self._weights

    def _score(self, histories: CSR) -> Float:
        return self._fitted_weights.score(histories)

    def _rank(
        self, histories: CSR, k: int, seen: Seen, allowed: Bool, device: str | None
    ) -> Ranking:
        weights = self._fitted_weights
        if not weights.ranks_in_one_pass(histories):
            return super()._rank(histories, k, seen, allowed, device)
        if device is not None and weights.dense:
            return self._on(weights, device).best(csr_arrays(histories), k, *seen, allowed)
        return weights.best(histories, k, seen, allowed)

    def _on(self, weights: Weights, device: str) -> Ranker:
        """What ranks on an accelerator, with a copy of B there."""
        if self._ranker is None or self._ranker[0] is not weights or self._ranker[1] != device:
            self._ranker = (weights, device, Ranker(np.asarray(weights.matrix()), device))
        return self._ranker[2]

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """XᵀX; and a product of n × n matrices, where `bytes_to_fit` has room for a dense one.

        A guess for models that say nothing better.
        """
        work = {"entry": size.n_interactions, "update": n_pairs / 2}
        if self.bytes_to_fit(size) >= 4 * size.n_items**2:
            work |= {"product": 2 * size.n_items**3, "value": size.n_items**2}
        return work

    def bytes_of_model(self, size: Size) -> int:
        """What the whole fit takes, or a sparse B of all entries where that is less."""
        every = 8 * (size.n_items**2 + size.n_items + 1)
        return min(every, self.bytes_to_fit(size))

    def bytes_per_history(self, k: int) -> int:
        """What ranking takes with this form of B."""
        return self._fitted_weights.bytes_per_history(k)

    def contributions(self, history: Int, weights: Float, item: int) -> Float:
        """x_j·B_ji for each history item j: what it adds to the score of `item`."""
        return np.asarray(weights * self.column(item)[history], np.float32)

    def column(self, item: int) -> Float:
        """B[:, item], (n_items,): what each item of a history adds to the score of one."""
        return self._fitted_weights.column(item)

    def state(self) -> State:
        """The arrays of B in the form in which it is kept."""
        return self._fitted_weights.state()

    def restore(self, state: State) -> None:
        """Restore the fitted B."""
        self._weights = from_state(state)
