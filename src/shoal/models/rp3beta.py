"""RP3β: B = P_iu·P_ui·D^−β, P_iu = (D^−1Xᵀ)^∘α, P_ui = (D_u^−1X)^∘α: walks of three steps."""

from __future__ import annotations

from typing import ClassVar

from shoal.base import graph
from shoal.base.hyper import hyper
from shoal.base.linear import LinearRecommender
from shoal.base.weights import SparseWeights, csr_arrays
from shoal.data.interactions import Interactions, csr
from shoal.data.size import Size
from shoal.kernels.sparse_rows import largest_of_rows
from shoal.run import Run


class RP3Beta(LinearRecommender):
    """Random walk user → item → user → item, less popular ends preferred (Paudel et al., 2017).

    "Updatable, Accurate, Diverse, and Scalable Recommendations for Interactive Applications", ACM
    TiiS 7(1), first in Christoffel et al., RecSys 2015. ∘α raises each probability of a step to the
    power α; D (D_u) holds the column (row) sums of X. β = 0 is P3α (Cooper et al., WWW 2014). The
    papers keep all pairs of items with a common user; with `neighbours`, each item of a history
    keeps its weights to that many other items only, the largest, and B is as small as item-kNN's.
    """

    name: ClassVar[str] = "rp3beta"

    alpha: float = hyper(
        1.0, "α: power of the probability of a step", ge=0, search=(0, 2), allow_inf_nan=False
    )
    beta: float = hyper(
        0.6, "β: candidates are damped by popularity^−β", ge=0, search=(0, 1), allow_inf_nan=False
    )
    neighbours: int = hyper(0, "other items that are reached from an item; 0: all", ge=0)

    def _fit(self, interactions: Interactions, run: Run) -> None:
        a, b = self.alpha, self.beta  # the exponents of an item of the history and of a candidate
        B = graph.normalised_gram(
            self.name, interactions, a / 2, (a + b) / 2, run, tilt=(a - b) / 2, value_power=a
        )
        if self.neighbours:
            with run.progress.step(f"{self.name}: neighbours"):
                indptr, indices, data = largest_of_rows(*csr_arrays(B), self.neighbours)
                B = csr(data, indices, indptr, interactions.n_items)
        self._weights = SparseWeights(B)

    def bytes_to_fit(self, size: Size) -> int:
        """Return the bytes of B (an estimate; the fit counts them), and of what cuts it."""
        whole = graph.bytes_of_graph(size)
        return whole + (int(6 * graph.entries_of_graph(size)) if self.neighbours else 0)

    def bytes_of_model(self, size: Size) -> int:
        """Return the bytes of the weights that are kept, with their rows."""
        entries = graph.entries_of_graph(size)
        if self.neighbours:
            entries = min(entries, size.n_items * (self.neighbours + 1.0))
        return int(8 * (entries + size.n_items + 1))

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """Return the work of making B."""
        return graph.work_of_graph(size, n_pairs)
