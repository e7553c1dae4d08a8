"""MRF: B[N, i] = −P[N, i]/P_ii with P = (G̃[N∪i, N∪i] + λI)⁻¹, N the j with the largest |G̃_ij|."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from shoal.base.by_columns import ColumnwiseRecommender, Known, Pass
from shoal.base.covariance_blocks import Covariances, KeptRows, RidgeBlocks, StrongestPairs
from shoal.base.hyper import hyper
from shoal.base.system import LARGEST, TOLERANCE
from shoal.base.weights import SparseWeights
from shoal.data.interactions import Interactions, csr
from shoal.data.size import Size
from shoal.errors import ModelError
from shoal.kernels.covariance import SAMPLE, centred_gram, estimated_threshold
from shoal.kernels.threads import cores
from shoal.run import Run

KEPT_ROWS = 2**27  # least bytes for rows of XᵀX that are kept while blocks are solved


class MRF(ColumnwiseRecommender):
    """Markov random field with one sparse block per item (Steck, NeurIPS 2019, r = 0).

    EASE for catalogues whose n × n matrix does not fit in memory. G̃ is m times the covariance of
    the items, scaled by v^(−α/2) on both sides (m users, v the diagonal). Item i is regressed on
    its neighbours N, the items j with |G̃_ij| above a threshold; the threshold is the lowest that
    `neighbours` and `density` allow.
    """

    name: ClassVar[str] = "mrf"

    l2: float = hyper(10.0, "ridge λ", gt=0, search=(0.1, 30), scale="log", allow_inf_nan=False)
    alpha: float = hyper(
        0.75, "α: 0 uses covariances of items, 1 correlations", ge=0, le=1, search=(0.25, 1)
    )
    neighbours: int = hyper(200, "mean neighbours per item", ge=1, search=(25, 400), scale="log")
    density: float = hyper(1.0, "largest share of the n² weights; the smaller counts", gt=0, le=1)
    max_neighbours: int = hyper(1000, "largest number of neighbours of one item", ge=1)

    def _shared(self, log: Interactions, run: Run) -> Covariances:
        n, n_weights = log.n_items, self._n_weights(log.n_items)
        if n_weights < min(n, n * (n - 1)):
            raise ModelError(
                f"mrf: density={self.density:g} of {n:,} items leaves less than one neighbour per "
                f"item: give {1.1 / n:.2g} or more"
            )
        gram = centred_gram(*log.arrays, n, self.alpha)
        if gram.squares.max() > LARGEST:
            raise ModelError("mrf: values are too large for float32: divide them by a constant")
        with run.progress.step("mrf: threshold", min(n, SAMPLE)) as step:
            limits = n_weights, self.max_neighbours, step.advance
            return Covariances(gram, estimated_threshold(gram, *limits))

    def _passes(self, n_items: int) -> tuple[Pass, ...]:
        most = self._n_weights(n_items), self.max_neighbours, self._room(n_items)
        return StrongestPairs(*most), KeptRows(), RidgeBlocks(self.l2)

    def _learn(self, known: Known) -> None:
        (gram, _), (lists, _), _, (weights, residual) = known
        if not residual <= TOLERANCE:
            raise ModelError(f"mrf: l2={self.l2:g} is too small for these data: raise it")
        self._facts = lists.summary() | {
            "without_neighbours": float(np.sum((np.diff(lists.starts) == 0) & (gram.scale > 0))),
            "negative_weights": float(np.count_nonzero(weights < 0) / max(weights.size, 1)),
            "residual": residual,
        }
        B_t = csr(weights, lists.items, lists.starts, gram.sums.size)
        self._weights = SparseWeights(B_t.T.tocsr())

    def _n_weights(self, n: int) -> int:
        return int(min(self.density * n**2, self.neighbours * n, n * (n - 1)))

    def _room(self, n: int) -> int:
        return min(4 * n**2, max(KEPT_ROWS, 12 * self._n_weights(n)))

    def bytes_to_fit(self, size: Size) -> int:
        """Return the bytes of neighbour lists, kept rows of XᵀX, X by column, threads' buffers."""
        total = self._n_weights(size.n_items)
        block = 8 * (min(self.max_neighbours, size.n_items) + 24) ** 2 + 2**20
        fit = max(24 * total, 16 * total + self._room(size.n_items)) + 12 * size.n_interactions
        per_thread = cores() * max(block, 24 * size.n_items)
        return max(fit, 20 * size.n_interactions) + per_thread + 100 * size.n_items

    def bytes_of_model(self, size: Size) -> int:
        """Return the bytes of each weight and its item."""
        return 8 * (self._n_weights(size.n_items) + size.n_items + 1)

    def refusal(self, size: Size, budget: int, beside: int = 0) -> str:
        """Return why the fit is refused, and which hyper-parameters would help; "" if it fits."""
        why = super().refusal(size, budget, beside)
        return why and f"{why}; or lower neighbours, density or max_neighbours"

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """Return the work of the rows of G̃ and of one k × k system per item, k³/3 flops."""
        k = self._n_weights(size.n_items) / size.n_items
        systems = size.n_items * (k**3 / 3 + 30 * k**2)
        return {"entry": size.n_interactions, "update": 4 * n_pairs, "product": 20 * systems}
