"""ADMM-SLIM: min ½‖X − XB‖² + ½‖diag(√Λ)·B‖² + l1·‖B‖₁, diag(B) = 0, B ≥ 0 or not, by ADMM."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
import scipy.sparse as sp

from shoal.base import graph
from shoal.base.hyper import hyper
from shoal.base.linear import LinearRecommender
from shoal.base.system import System, bytes_to_invert
from shoal.base.weights import DenseWeights, SparseWeights
from shoal.data.interactions import CSR, Interactions
from shoal.data.size import Size
from shoal.kernels import admm, linear
from shoal.run import Run

SPARSE = 0.25  # B is stored as a sparse matrix if at most this share of its entries is not zero


class ADMMSLIM(LinearRecommender):
    """SLIM by ADMM, where each constraint can be switched off (Steck et al., WSDM 2020).

    Λ_j = l2·mean(x_j)^alpha. The fit makes one inverse P = (XᵀX + diag(Λ + ρ))⁻¹; each iteration
    multiplies it once, so its cost does not depend on the number of users. B fits the data, its
    copy C meets the constraints. Iterations stop when ‖B − C‖ ≤ tolerance·max(‖B‖, ‖C‖) and C
    changed by at most tolerance·‖C‖, or after `max_iter` of them.
    """

    name: ClassVar[str] = "admm-slim"

    l1: float = hyper(
        3.0, "lasso (l1) penalty", ge=0, search=(0.1, 30), scale="log", allow_inf_nan=False
    )
    l2: float = hyper(
        200.0, "ridge (l2) penalty", ge=0, search=(10, 5000), scale="log", allow_inf_nan=False
    )
    alpha: float = hyper(
        0.5, "α: an item's ridge grows with its mean^α; 0: one ridge", ge=0, le=1, search=(0, 1)
    )
    rho: float = hyper(
        4000.0, "ρ: how firmly B and its copy C are coupled; changes only the speed",
        gt=0, allow_inf_nan=False,
    )  # fmt: skip
    nonnegative: bool = hyper(True, "whether weights must not be negative")
    tolerance: float = hyper(5e-3, "relative residual at which iterations stop", ge=0, le=0.1)
    max_iter: int = hyper(100, "largest number of iterations", ge=1)

    def _fit(self, interactions: Interactions, run: Run) -> None:
        mean = graph.degrees(interactions)[1] / interactions.n_users
        system = System.of(self.name, interactions, self.rho, 0.0, 0.0)
        system = replace(system, ridge=system.ridge + self.l2 * mean**self.alpha)
        P, residual = system.inverse(run)
        linear.mirror_upper(P)
        V, penalty = np.zeros_like(P), (self.l1 / self.rho, self.nonnegative)
        with run.progress.step(f"{self.name}: iterations", self.max_iter) as step:
            for iteration in range(1, self.max_iter + 1):
                primal, dual = admm.iterate(P, V, system.ridge, self.rho, *penalty)
                step.advance()
                step.note(f"{iteration}: residuals {primal:.1e}, {dual:.1e}")
                if max(primal, dual) <= self.tolerance:
                    break
        admm.shrink(V, *penalty)
        share = float(np.count_nonzero(V) / V.size)
        if share <= SPARSE:
            del P  # frees n × n numbers; V is Bᵀ from here on
            begins = range(0, len(V), admm.BLOCK)
            parts = [sp.csr_array(V[begin : begin + admm.BLOCK]) for begin in begins]
            del V
            self._weights = SparseWeights(CSR(sp.vstack(parts).T))
        else:
            P[:] = V.T
            self._weights = DenseWeights(P)
        self._facts = {
            "residual": residual, "iterations": float(iteration), "primal_residual": primal,
            "dual_residual": dual, "share_of_weights": share,
        }  # fmt: skip

    def bytes_to_fit(self, size: Size) -> int:
        """Return the bytes of P and V (n × n each) with blocks of them, or those of making P."""
        blocks = 2 * 4 * min(admm.BLOCK, size.n_items) * size.n_items
        iterating = 8 * size.n_items**2 + blocks + 96 * size.n_items
        return max(iterating, bytes_to_invert(size))

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """Return the work of one inverse and one n × n product per iteration."""
        work = {"entry": size.n_interactions, "update": n_pairs / 2, "inverse": size.n_items**3}
        return work | {"product": 2 * size.n_items**3 * self.max_iter}
