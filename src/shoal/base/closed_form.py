"""One inverse, a whole family.

    P = (G' + diag Λ)⁻¹          G' = Xᵀ diag(d_u^−β) X     (β = 0: G = XᵀX)
    B = I − P · diag(Λ + μ)
    W = diag(c^α) · B · diag(c^−α)                          (α = 0: W = B)

    Λ_j = λ + p/(1−p) · G_jj     ridge, plus what dropout with probability p amounts to
    μ_j                          Lagrange multiplier of the model's constraint on B_jj

c_j are the users of item j (= G_jj in binary data), d_u the items of user u. Members differ in Λ
and μ only (shared derivation: Steck, NeurIPS 2020; Moon et al., SIGIR 2023). α and β are DAN's
normalisation (Park et al., SIGIR 2025, arXiv:2504.05805): α damps popular targets, β long
histories. A new member is a class with its fields and, where it has a constraint, `_multiplier`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from shoal.base import dual
from shoal.base.dual import DualSystem, DualWeights
from shoal.base.hyper import hyper
from shoal.base.linear import LinearRecommender
from shoal.base.recommender import Recommender, Validation
from shoal.base.system import System
from shoal.base.weights import DenseWeights, from_state
from shoal.data.interactions import Interactions
from shoal.data.size import Size
from shoal.kernels.arrays import Double, Float, State
from shoal.kernels.threads import use_threads
from shoal.run import Run, human_bytes


def zero_diagonal(p_diagonal: Double, ridge: Double) -> Double:
    """μ for diag(B) = 0: B_jj = 1 − (Λ_j + μ_j)·P_jj vanishes (EASE, eq. 6-8)."""
    return 1 / p_diagonal - ridge


def bounded_diagonal(p_diagonal: Double, ridge: Double, xi: float) -> Double:
    """μ for diag(B) ≤ ξ, by the KKT conditions: zero wherever the bound is not reached."""
    return np.where(1 - ridge * p_diagonal > xi, (1 - xi) / p_diagonal - ridge, 0)


class ClosedForm(LinearRecommender):
    """Base of the closed-form family; by itself it has no constraint.

    Where users are so many fewer than items that it is less work, a fit solves for users (`dual`):
    the same model, its weights up to rounding, without an n × n matrix. The exception to the rule
    that a model keeps no training data: in this form it keeps the histories that it was fitted to,
    without ids of users, and has the fact ``dual``.
    """

    l2: float = hyper(
        500.0, "ridge λ on the weights", gt=0, search=(10, 10_000), scale="log", allow_inf_nan=False
    )
    alpha: float = hyper(
        0.0, "DAN: damp popular targets by c^−α", ge=0, le=1, search=(0, 0.5), allow_inf_nan=False
    )
    beta: float = hyper(
        0.0, "DAN: damp long histories by d^−β", ge=0, le=1, search=(0, 1), allow_inf_nan=False
    )

    @property
    def _dropout(self) -> float:
        return float(getattr(self, "dropout", 0.0))

    def _multiplier(self, p_diagonal: Double, ridge: Double) -> Double:
        """μ, (n_items,), from diag(P) and Λ."""
        return np.zeros_like(ridge)

    @property
    def _can_share_inverse(self) -> bool:
        """Whether B is left as the formula gives it (then P can be shared, or be that of users)."""
        return True

    def _system(self, interactions: Interactions, run: Run) -> System:
        system = System.of(self.name, interactions, self.l2, self._dropout, self.beta)
        by_users = self._can_share_inverse and dual.chosen(
            interactions, self._bytes_by_items(interactions.size), run.memory_budget
        )
        return DualSystem.of_primal(system) if by_users else system

    def _scale(self, system: System, P: Float) -> tuple[Double, Double]:
        """Λ + μ, and c^α, of this model's B."""
        scale = system.ridge + self._multiplier(system.diagonal(P), system.ridge)
        return scale, np.maximum(system.log.item_counts, 1.0) ** self.alpha

    def _fit(self, interactions: Interactions, run: Run) -> None:
        system = self._system(interactions, run)
        P, residual = system.inverse(run)
        with run.progress.step(f"{self.name}: weights"):
            scale, damping = self._scale(system, P)
            self._weights, facts = system.own_weights(P, scale, damping, self._finish)
        self._facts = facts | {"residual": residual}

    def _finish(self, B: Float) -> dict[str, float]:
        """Give the facts about a dense B; a member may also change it in place."""
        return DenseWeights(B).facts()

    @classmethod
    def fit_grid(
        cls,
        settings: Sequence[Mapping[str, Any]],
        interactions: Interactions,
        validation: Validation | None = None,
        run: Run | None = None,
    ) -> Iterator[tuple[int, Recommender]]:
        """Fit with one inverse for all settings that share Λ and β.

        Their B differ from P by factors of rows and columns only, so a model given out here holds
        P (or the M of `dual`), in common with the others, and three vectors.
        """
        run = run or Run()
        models = [cls(**s) for s in settings]
        groups: dict[tuple[float, float, float], list[int]] = {}
        for at, model in enumerate(models):
            groups.setdefault((model.l2, model._dropout, model.beta), []).append(at)
        for members in groups.values():
            alike = [at for at in members if models[at]._can_share_inverse]
            for at in members if len(alike) < 2 else [a for a in members if a not in alike]:
                yield at, cls(**settings[at]).fit(interactions, validation, run)
            if len(alike) < 2:
                continue
            models[alike[0]].check_can_fit(interactions, run)
            with use_threads(run.threads):
                system = models[alike[0]]._system(interactions, run)
                P, residual = system.inverse(run)
                scales = [models[at]._scale(system, P) for at in alike]
                system.prepare_sharing(P)
                facts = system.shared_weights(P, *scales[0]).facts()  # the same for all of them
            for at, scale in zip(alike, scales, strict=True):
                model = models[at]
                model._weights = system.shared_weights(P, *scale)
                model._facts = facts | {"residual": residual}
                model.take_catalogue(interactions)
                yield at, model
                model._weights = model._ranker = None
            del P

    def restore(self, state: State) -> None:
        """Restore the fitted B, or its dual form."""
        self._ranker = None
        self._weights = DualWeights.of_state(state) if "inverse" in state else from_state(state)

    def _bytes_by_items(self, size: Size) -> int:
        """One n × n float32 matrix, worked on in place, and an index of X by column."""
        return (
            4 * size.n_items**2 + 12 * size.n_interactions + 64 * size.n_items + 24 * size.n_users
        )

    def bytes_to_fit(self, size: Size) -> int:
        """An n × n float32 matrix, or m × m where that is less and the dual form is possible."""
        by_items = self._bytes_by_items(size)
        possible = self._can_share_inverse and size.n_items > dual.SMALL
        return min(by_items, dual.bytes_to_fit(size)) if possible else by_items

    def bytes_taken(self, size: Size, budget: int) -> int:
        """The n × n matrix where it fits, unless solving for users is less work."""
        least, by_items = self.bytes_to_fit(size), self._bytes_by_items(size)
        by_users = by_items > budget or (self._can_share_inverse and dual.less_work(size))
        return least if by_users else max(least, by_items)

    def refusal(self, size: Size, budget: int, beside: int = 0) -> str:
        """Also what fewer users would help, where the dual form is what does not fit."""
        why, by_items = super().refusal(size, budget, beside), self._bytes_by_items(size)
        if why and self.bytes_to_fit(size) < by_items:
            why += (
                f". That is solved for {size.n_users:,} users, so fewer of them "
                f"(--min-user-items) help as well; for items it would be {human_bytes(by_items)}"
            )
        return why

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """The upper triangle of G', its inverse, and B from it; or users' in the dual form."""
        if self._can_share_inverse and dual.less_work(size):
            updates = dual.user_pairs(size.n_items, size.n_interactions)
            return {"entry": 2 * size.n_interactions, "update": updates, "inverse": size.n_users**3}
        return {
            "entry": size.n_interactions,
            "update": n_pairs / 2,
            "inverse": size.n_items**3,
            "value": 2 * size.n_items**2,
        }

    def bytes_of_model(self, size: Size) -> int:
        """B; in the dual form M and the histories."""
        if self._can_share_inverse and dual.less_work(size):
            return 4 * size.n_users**2 + 8 * size.n_interactions + 20 * size.n_items
        return 4 * size.n_items**2
