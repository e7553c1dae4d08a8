"""SLIM: column j of B minimises ½‖x_j − Xw‖² + (l2/2)‖w‖² + l1·Σw over w ≥ 0 with w_j = 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from shoal.base.by_columns import ColumnwiseRecommender, Known, Pass
from shoal.base.cosines import Cosines, IndexedLog
from shoal.base.costs import coordinate_descent_work
from shoal.base.elastic_nets import ElasticNets, GramMatrix
from shoal.base.hyper import hyper
from shoal.base.recommender import Recommender, Validation
from shoal.base.system import System
from shoal.base.weights import SparseWeights
from shoal.data.interactions import Interactions, csr
from shoal.data.size import Size
from shoal.kernels.arrays import Sparse
from shoal.kernels.coordinate_descent import Nets
from shoal.kernels.threads import use_threads
from shoal.run import Run


class SLIM(ColumnwiseRecommender):
    """Sparse linear method (Ning and Karypis, ICDM 2011), by coordinate descent on XᵀX.

    With `neighbours`, only that many items, the most similar by cosine, may have a weight (the
    paper's fsSLIM); XᵀX is then not made where it does not fit the memory budget. With m users,
    scikit-learn's ElasticNet has l1 = alpha·l1_ratio·m and l2 = alpha·(1 − l1_ratio)·m.
    """

    name: ClassVar[str] = "slim"

    l1: float = hyper(2.0, "l1 penalty", ge=0, search=(0.1, 50), scale="log", allow_inf_nan=False)
    l2: float = hyper(200.0, "l2 penalty", gt=0, search=(1, 1000), scale="log", allow_inf_nan=False)
    neighbours: int = hyper(0, "only so many most similar items get weights; 0: all", ge=0)
    tolerance: float = hyper(1e-6, "duality gap to stop at, relative to ½‖x_j‖²", gt=0, le=0.1)

    def _shared(self, log: Interactions, run: Run) -> IndexedLog:
        System.of(self.name, log, self.l2, 0.0, 0.0)  # refuses values too large for float32
        n, lists = log.n_items, 8 * log.n_items * min(self.neighbours, log.n_items)
        fits = self._dense_bytes(n, len(log)) <= run.memory_budget - lists
        return IndexedLog.of(log, dense=fits or not lists)

    def _passes(self, n_items: int, start: Sparse | None = None) -> tuple[Pass, ...]:
        nets = ElasticNets(self.l1, self.l2, self.tolerance, start)
        return Cosines(min(self.neighbours, n_items - 1)), GramMatrix(), nets

    def _of_gram(self, gram: Any) -> Known | None:
        return None if self.neighbours else (None, None, gram)  # no log, and no lists

    def _learn(self, known: Known) -> None:
        nets: Nets = known[-1]
        self._facts = nets.facts
        extents, rows, values = nets.columns
        B_t = csr(values, rows, extents, nets.lengths.size)
        self._weights = SparseWeights(B_t.T.tocsr())

    @classmethod
    def fit_grid(
        cls,
        settings: Sequence[Mapping[str, Any]],
        interactions: Interactions,
        validation: Validation | None = None,
        run: Run | None = None,
    ) -> Iterator[tuple[int, Recommender]]:
        """Fit by falling l1 on one Gram matrix, each model starting at the previous weights."""
        run = run or Run()
        models = [cls(**s) for s in settings]
        order = sorted(range(len(models)), key=lambda i: (-models[i].l1, -models[i].l2))
        for neighbours in dict.fromkeys(m.neighbours for m in models):
            known: Known = ()
            start = None
            for index in (i for i in order if models[i].neighbours == neighbours):
                model = cls(**settings[index])
                model.check_can_fit(interactions, run)
                with use_threads(run.threads, fit=True):
                    known = known[:3] or [model._shared(interactions, run)]
                    passes = model._passes(interactions.n_items, start)
                    known = model._go_on(known, passes, run)
                    model._learn(known)
                start = known[-1].columns
                model.take_catalogue(interactions)
                yield index, model

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """Return the work of XᵀX and of all columns, an estimate (too high with `neighbours`)."""
        columns = coordinate_descent_work(size.n_items, n_pairs, self.l1)
        work = {"entry": size.n_interactions, "update": n_pairs / 2 + columns}
        return work | {"value": 3 * size.n_items**2}

    @staticmethod
    def _dense_bytes(n_items: int, n_interactions: int) -> int:
        return 5 * n_items**2 + 16 * n_interactions  # XᵀX, the weights, X and its places by column

    def bytes_to_fit(self, size: Size) -> int:
        """Return the bytes of XᵀX; with `neighbours`, the least: their lists and X by column."""
        _, n, nnz = size
        dense, k = self._dense_bytes(n, nnz), min(self.neighbours, n)
        return min(dense, 32 * n * k + 20 * nnz) if k else dense
