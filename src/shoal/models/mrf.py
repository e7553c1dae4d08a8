"""MRF: B[N, i] = −P[N, i]/P_ii with P = (G̃[N∪i, N∪i] + λI)⁻¹, N the j with the largest |G̃_ij|."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from shoal.base.hyper import hyper
from shoal.base.linear import LinearRecommender
from shoal.base.system import LARGEST, TOLERANCE
from shoal.base.weights import SparseWeights
from shoal.data.interactions import Interactions, csr
from shoal.data.size import Size
from shoal.errors import ModelError
from shoal.kernels.covariance import centred_gram, n_rows, strongest_neighbours
from shoal.kernels.sparse_blocks import block_weights, block_work
from shoal.kernels.threads import cores
from shoal.run import Run

KEPT_ROWS = 2**27  # bytes for rows of XᵀX while blocks are solved; more where the weights take more


class MRF(LinearRecommender):
    """Markov random field with one sparse block per item (Steck, NeurIPS 2019, r = 0).

    EASE for catalogues whose n × n matrix does not fit. G̃ is the covariance of the items, times m
    and v^(−α/2) on both sides (v: its diagonal); item i is regressed on its neighbours, the j
    with |G̃_ij| above a threshold, which is as low as `neighbours` and `density` allow.
    """

    name: ClassVar[str] = "mrf"

    l2: float = hyper(10.0, "ridge λ", gt=0, search=(0.1, 30), scale="log", allow_inf_nan=False)
    alpha: float = hyper(
        0.75, "0: covariances, 1: correlations between items", ge=0, le=1, search=(0.25, 1)
    )
    neighbours: int = hyper(200, "per item on average", ge=1, search=(25, 400), scale="log")
    density: float = hyper(
        1.0, "share of the n² weights that is kept; the smaller limit holds", gt=0, le=1
    )
    max_neighbours: int = hyper(1000, "of a single item, at most", ge=1)

    def _fit(self, interactions: Interactions, run: Run) -> None:
        n, wanted = interactions.n_items, self._wanted(interactions.n_items)
        if wanted < min(n, n * (n - 1)):
            raise ModelError(
                f"mrf: density={self.density:g} of {n:,} items leaves less than one neighbour per "
                f"item: give {1.1 / n:.2g} or more"
            )
        gram = centred_gram(*interactions.arrays, n, self.alpha)
        if gram.squares.max() > LARGEST:
            raise ModelError("mrf: values are too large for float32: divide them by a constant")
        with run.progress.step("mrf: neighbours", n_rows(n)) as step:
            near = strongest_neighbours(gram, wanted, self.max_neighbours, step.advance)
        sizes = np.diff(near.starts)
        alone = int(((sizes == 0) & (gram.scale > 0)).sum())
        with run.progress.step("mrf: weights", block_work(sizes)) as step:
            if alone:
                step.note(f"{alone:,} items have no neighbour")
            weights, residual = block_weights(gram, near, self.l2, self._room(n), step.advance)
        if not residual <= TOLERANCE:
            raise ModelError(f"mrf: l2={self.l2:g} is too small for these data: raise it")
        self._facts = near.summary() | {
            "without_neighbours": float(alone),
            "negative_weights": np.count_nonzero(weights < 0) / max(weights.size, 1),
            "residual": residual,
        }
        self._weights = SparseWeights(csr(weights, near.items, near.starts, n).T.tocsr())

    def _wanted(self, n: int) -> int:
        return int(min(self.density * n**2, self.neighbours * n, n * (n - 1)))

    def _room(self, n: int) -> int:
        return min(4 * n**2, max(KEPT_ROWS, 12 * self._wanted(n)))

    def bytes_to_fit(self, size: Size) -> int:
        """Lists of neighbours while they are cut, kept rows, X by column, room of each thread."""
        total = self._wanted(size.n_items)
        block = 8 * (min(self.max_neighbours, size.n_items) + 24) ** 2 + 2**20
        fit = max(24 * total, 8 * total + self._room(size.n_items)) + 12 * size.n_interactions
        per_thread = cores() * max(block, 24 * size.n_items)
        return max(fit, 20 * size.n_interactions) + per_thread + 100 * size.n_items

    def bytes_of_model(self, size: Size) -> int:
        """A number and an item for each weight."""
        return 8 * (self._wanted(size.n_items) + size.n_items + 1)

    def refusal(self, size: Size, budget: int, beside: int = 0) -> str:
        """Also which hyper-parameters would help."""
        why = super().refusal(size, budget, beside)
        return why and f"{why}; or lower neighbours, density or max_neighbours"

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """Rows of G̃, and a system of k neighbours for each item, k³/3 flops and its pairs."""
        k = self._wanted(size.n_items) / size.n_items
        systems = size.n_items * (k**3 / 3 + 30 * k**2)
        return {"entry": size.n_interactions, "update": 4 * n_pairs, "product": 20 * systems}
