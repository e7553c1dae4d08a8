"""Linear models whose item-item matrix has a closed form: one inverse serves the whole family.

    P = (G' + diag Λ)⁻¹          G' = Xᵀ diag(d_u^−β) X     (β = 0: G = XᵀX)
    B = I − P · diag(Λ + μ)
    W = diag(c^α) · B · diag(c^−α)                          (α = 0: W = B)

    Λ_j = λ + p/(1−p) · G_jj     ridge, plus the expected effect of dropout with probability p
    μ_j                          Lagrange multiplier of the model's constraint on B_jj

c_j is the number of users of item j (G_jj in binary data), d_u the number of items of user u. The
models of the family differ in Λ and μ only (shared derivation: Steck, NeurIPS 2020; Moon et al.,
SIGIR 2023). α and β are the normalisation of DAN (Park et al., SIGIR 2025, arXiv:2504.05805):
α damps popular target items, β damps long histories. A new model of the family is a class with its
hyper-parameters and, if it has a constraint, the method `_multiplier`.

`System` is the matrix to invert, and gives the fitted W as a `Weights` object: an array
(`DenseWeights`), or, for the models of `fit_grid`, the common P with three vectors per model
(`SharedInverse`). A `DualSystem` is solved for users in place of items and gives `DualWeights`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import PrivateAttr

from shoal.base import dual
from shoal.base.declared import Spec
from shoal.base.dual import DualSystem, DualWeights
from shoal.base.forms import from_state
from shoal.base.hyper import hyper
from shoal.base.kept import Kept
from shoal.base.linear import LinearRecommender
from shoal.base.low_pass import LeadingVectors, Settings, WithLowPass
from shoal.base.recommender import Recommender, Validation
from shoal.base.system import System, bytes_to_invert, dense_weights
from shoal.base.update import Change, both_logs, update_pays
from shoal.base.weights import DenseWeights, SharedInverse
from shoal.data.align import joint_item_table
from shoal.data.interactions import Interactions
from shoal.data.size import Size
from shoal.errors import ModelError
from shoal.kernels.arrays import Double, Float, Long, State
from shoal.kernels.threads import use_threads
from shoal.run import Run, human_bytes


def zero_diagonal(p_diagonal: Double, ridge: Double) -> Double:
    """μ for the constraint diag(B) = 0, that is 1 − (Λ_j + μ_j)·P_jj = 0 (EASE, eq. 6-8).

    Parameters
    ----------
    p_diagonal : (n_items,) float64
        Diagonal of P.
    ridge : (n_items,) float64
        Λ.

    Returns
    -------
    (n_items,) float64
    """
    return 1 / p_diagonal - ridge


def bounded_diagonal(p_diagonal: Double, ridge: Double, xi: float) -> Double:
    """μ for the constraint diag(B) ≤ ξ by the KKT conditions: zero where the bound is not reached.

    Parameters
    ----------
    p_diagonal : (n_items,) float64
        Diagonal of P.
    ridge : (n_items,) float64
        Λ.
    xi : float
        ξ.

    Returns
    -------
    (n_items,) float64
    """
    return np.where(1 - ridge * p_diagonal > xi, (1 - xi) / p_diagonal - ridge, 0)


class ClosedForm(LinearRecommender):
    """Base class of the closed-form models; by itself it has no constraint on the diagonal of B.

    If there are so many fewer users than items that this is less work, or the only way that fits
    the memory budget, the fit solves for users (`shoal.base.dual`). That gives the same weights up
    to rounding, without an n × n matrix. Scores then need the training data: the model keeps the
    histories that it was fitted to, without the ids of the users, which no other linear model
    does. Its facts then hold ``dual``.
    """

    ridges: ClassVar[tuple[str, ...]] = ("l2",)

    l2: float = hyper(
        500.0, "ridge λ on the weights", gt=0, search=(10, 10_000), scale="log", allow_inf_nan=False
    )
    alpha: float = hyper(
        0.0, "DAN: damp popular targets by c^−α", ge=0, le=1, search=(0, 0.5), allow_inf_nan=False
    )
    beta: float = hyper(
        0.0, "DAN: damp long histories by d^−β", ge=0, le=1, search=(0, 1), allow_inf_nan=False
    )

    _kept: Kept | None = PrivateAttr(None)

    @property
    def _dropout(self) -> float:
        """The dropout probability p, 0 for models without that hyper-parameter."""
        return float(getattr(self, "dropout", 0.0))

    def _multiplier(self, p_diagonal: Double, ridge: Double) -> Double:
        """μ, (n_items,) float64, from the diagonal of P and Λ; zero unless overridden."""
        return np.zeros_like(ridge)

    @property
    def can_share_inverse(self) -> bool:
        """Whether the fitted weights are B of the formula, with no change afterwards.

        Only then can a fit solve for users, and an update find P in the weights.
        """
        return True

    @property
    def scores_from_inverse(self) -> bool:
        """Whether P gives the scores of the model, with its low-pass filter if it has one."""
        return self.can_share_inverse

    @property
    def low_pass(self) -> Settings | None:
        """The low-pass filter that the model adds to B of the formula; None without one."""
        return None

    def system(self, interactions: Interactions, run: Run) -> System:
        """The matrix to invert: that of the items, or a `DualSystem` of the users."""
        system = System.of(self.name, interactions, self.l2, self._dropout, self.beta)
        size = interactions.size
        solve_for_users = self.can_share_inverse and dual.chosen(
            size, system.item_counts, self._bytes_by_items(size), run.memory_budget
        )
        return DualSystem.of_primal(system) if solve_for_users else system

    def _scale(self, system: System, P: Float) -> tuple[Double, Double]:
        """Λ + μ and c^α of this model, (n_items,) float64 each; P is what `inverse` returned."""
        return self.scaling(system.diagonal(P), system.ridge, system.item_counts)

    def scaling(self, p_diagonal: Double, ridge: Double, counts: Long) -> tuple[Double, Double]:
        """Λ + μ and c^α from the diagonal of P, Λ and c, (n_items,) each."""
        scale = ridge + self._multiplier(p_diagonal, ridge)
        return scale, np.maximum(counts, 1.0) ** self.alpha

    def _keep(self, system: System, P: Float) -> Kept | None:
        """What `update` needs, if it is possible; `P` is what `system.inverse` returned."""
        possible = self.can_share_inverse and not isinstance(system, DualSystem)
        return Kept.of_fit(system, P) if possible else None

    def _fit(self, interactions: Interactions, run: Run) -> None:
        self.fit_system(self.system(interactions, run), run)

    def fit_system(self, system: System, run: Run) -> None:
        """Compute the weights from the matrix to invert, which may be spread over machines."""
        P, residual = system.inverse(run)
        self._kept = self._keep(system, P)
        with run.progress.step(f"{self.name}: weights"):
            scale, damping = self._scale(system, P)
            self._weights, facts = system.own_weights(P, scale, damping, self._finish)
        self._facts = facts | {"residual": residual}

    def _finish(self, B: Float) -> dict[str, float]:
        """Return the facts about a dense B; a model may also change B in place here."""
        return DenseWeights(B).facts()

    @classmethod
    def fit_grid(
        cls,
        settings: Sequence[Mapping[str, Any]],
        interactions: Interactions,
        validation: Validation | None = None,
        run: Run | None = None,
    ) -> Iterator[tuple[int, Recommender]]:
        """Fit one model for each of several settings, with one inverse for all that share Λ and β.

        The B of these models are the same P with other factors of rows and columns, so each model
        holds the common P (or the common M of `shoal.base.dual`) and three vectors of its own.

        Parameters
        ----------
        settings : sequence of mappings
            Hyper-parameters of each model.
        interactions : Interactions
        validation : HeldOut or Interactions, optional
            Not used: a closed form does not stop early.
        run : Run, optional

        Yields
        ------
        index : int
            Position in `settings`; settings that share an inverse follow each other.
        model : Recommender
            Fitted. If it shares an inverse, its weights are dropped when the next is asked for.
        """
        run = run or Run()
        models = [cls(**s) for s in settings]
        rank = max((model.low_pass.rank for model in models if model.low_pass), default=0)
        vectors = LeadingVectors(interactions, run, rank)
        groups: dict[tuple[float, float, float], list[int]] = {}
        for index, model in enumerate(models):
            groups.setdefault((model.l2, model._dropout, model.beta), []).append(index)
        for group in groups.values():
            sharing = [index for index in group if models[index].scores_from_inverse]
            if len(sharing) < 2:
                sharing = []
            for index in group:
                if index not in sharing:
                    yield index, cls(**settings[index]).fit(interactions, validation, run)
            if not sharing:
                continue
            first = models[sharing[0]]
            largest = max(sharing, key=lambda i: models[i].bytes_to_fit(interactions.size))
            models[largest].check_can_fit(interactions, run)
            with use_threads(run.threads, fit=True):
                system = first.system(interactions, run)
                P, residual = system.inverse(run)
                kept = first._keep(system, P)
                scales = [models[index]._scale(system, P) for index in sharing]
                system.prepare_sharing(P)
                facts = system.shared_weights(P, *scales[0]).facts()  # the same for all of them
            for index, scale in zip(sharing, scales, strict=True):
                model = models[index]
                model._weights = system.shared_weights(P, *scale)
                if model.low_pass:
                    with use_threads(run.threads, fit=True):
                        added = vectors.filter(model.low_pass)
                    model._weights = WithLowPass(model._weights, added)
                model._kept, model._facts = kept, facts | {"residual": residual}
                model.take_catalogue(interactions)
                yield index, model
                model._weights = model._ranker = model._kept = None
            del P

    def reason_to_refit(self) -> str:
        """Why `update` cannot be used; "" if it can."""
        weights = self._fitted_weights
        if not self.can_share_inverse:
            return (
                f"{self.name} with these settings changes the weights after the inverse, which "
                "cannot be got back from them: fit it again"
            )
        if isinstance(weights, DualWeights):
            return (
                f"this {self.name} was solved for users, of whom there are few, and has no inverse "
                "of the items: fit it again, which is quick"
            )
        if self._kept is None or self.item_counts is None:
            return (
                f"this {self.name} does not hold what an update needs (it was saved by an older "
                "shoal): fit it again once"
            )
        return ""

    def update(
        self,
        log: Interactions | None,
        *,
        before: Interactions | None = None,
        run: Run | None = None,
    ) -> Self:
        """Make the model that a fit to the changed log gives, by Woodbury's identity.

        It takes about r·n² flops for r rows added and removed over n items, a fit n³
        (`shoal.base.update.update_pays` compares them). With dropout, r also counts the items
        whose users change. For parameters and errors see `Recommender.update`.

        Notes
        -----
        P is that of Steck (WWW 2019), eq. 6 to 8, from which B = I − P·diag(1/P_jj) follows.
        Jeunen et al. (ACM TORS 2022, "Dyn-EASE") update P of EASE in this way.
        """
        run = run or Run()
        if reason := self.reason_to_refit():
            raise ModelError(reason)
        assert self._kept is not None
        assert self.item_counts is not None
        after, before = both_logs(self.name, log, before, self.preparation)
        change = Change.of(
            self.name, self.items, self.item_counts, self._kept.squares, after, before,
            l2=self.l2, dropout=self._dropout, beta=self.beta,
        )  # fmt: skip
        change.check_budget(run.memory_budget)
        updated = type(self)(**self.model_dump())
        with use_threads(run.threads, fit=True):
            P = self._inverse_over(change)
            kept = self._kept.onto(change.positions, len(change.items), self.l2)
            updated._kept, residual = change.apply(P, kept, run)
            diagonal = updated._kept.diagonal.astype(np.float64)
            factors = updated.scaling(diagonal, change.ridge, change.counts)
            updated._weights, facts = dense_weights(P, *factors, updated._finish)
        facts["residual"] = residual
        for name, amount in (("updates", 1), ("updated_rank", change.rank)):
            facts[name] = self._facts.get(name, 0.0) + amount
        table = joint_item_table(change.items, self.item_table, after.item_table)
        updated.restore_catalogue(
            change.items, table, change.fingerprint(self.fingerprint), facts, self.preparation,
            item_counts=change.counts,
        )  # fmt: skip
        return updated

    def update_pays(self, before: Interactions, after: Interactions, whole: Interactions) -> bool:
        """Whether `update` can be used and is less work than a fit (`base.update.update_pays`)."""
        rows = sum(int(np.count_nonzero(np.diff(log.indptr))) for log in (before, after))
        if self._dropout:
            touched = max(np.count_nonzero(log.item_counts) for log in (before, after))
            rows += int(touched)
        pairs = float(np.square(np.diff(whole.indptr)).sum())
        entries = len(before) + len(after)
        n_items = max(self.n_items, whole.n_items)
        return not self.reason_to_refit() and update_pays(n_items, rows, pairs, entries)

    def _inverse_over(self, change: Change) -> Float:
        """A new array of P, with both triangles, over the items that a change leads to."""
        assert self._kept is not None
        assert self.item_counts is not None
        weights, kept = self._fitted_weights, self._kept
        if isinstance(weights, SharedInverse):  # P itself, in place of W
            ones = np.ones(self.n_items)
            return change.inverse_of(weights.P, kept.diagonal, -ones, ones, self.l2)
        ridge = self.l2 + self._dropout / (1 - self._dropout) * kept.squares
        scale, damping = self.scaling(kept.diagonal.astype(np.float64), ridge, self.item_counts)
        W = np.asarray(weights.matrix())
        return change.inverse_of(W, kept.diagonal, scale, damping, self.l2)

    def state(self) -> State:
        """The arrays of B, and those that an update needs."""
        return super().state() | ({} if self._kept is None else self._kept.state())

    def state_spec(self, names: Collection[str], n_items: int) -> Spec:
        """B in its dense, sparse or dual form, what an update needs, and `state_arrays`."""
        if "inverse" in names:
            return (*DualWeights.spec, *self.state_arrays)
        kept = Kept.spec if Kept.is_in(names) else ()
        return super().state_spec(names, n_items) + kept

    def restore(self, state: State) -> None:
        """Restore the fitted B, in its form, from the arrays that `state` returned."""
        self._ranker, self._kept = None, Kept.of_state(state)
        self._weights = DualWeights.of_state(state) if "inverse" in state else from_state(state)

    def _bytes_by_items(self, size: Size) -> int:
        """Memory of a fit that solves for items, as `system.bytes_to_invert` counts it."""
        return bytes_to_invert(size)

    def bytes_to_fit(self, size: Size) -> int:
        """Least memory that a fit can take: one n × n buffer for n items, or one m × m for m users.

        The second is possible only if the weights are B of the formula and the log has more than
        `dual.SMALL` items.
        """
        by_items = self._bytes_by_items(size)
        can_solve_for_users = self.can_share_inverse and size.n_items > dual.SMALL
        return min(by_items, dual.bytes_to_fit(size)) if can_solve_for_users else by_items

    def bytes_taken(self, size: Size, budget: int) -> int:
        """Memory that a fit takes with this budget: n × n, or m × m if it solves for users."""
        least, by_items = self.bytes_to_fit(size), self._bytes_by_items(size)
        least_memory = by_items > budget or (self.can_share_inverse and dual.less_work(size))
        return least if least_memory else max(least, by_items)

    def refusal(self, size: Size, budget: int, beside: int = 0) -> str:
        """The base class's reason, and that fewer users help if the fit would solve for users."""
        why, by_items = super().refusal(size, budget, beside), self._bytes_by_items(size)
        if why and self.bytes_to_fit(size) < by_items:
            why += (
                f". That is solved for {size.n_users:,} users, so fewer of them "
                f"(--min-user-items) help as well; for items it would be {human_bytes(by_items)}"
            )
        return why

    def work_to_fit(self, size: Size, n_pairs: float) -> dict[str, float]:
        """Work of the upper triangle of G', its inverse and B; or of the same for users."""
        if self.can_share_inverse and dual.less_work(size):
            updates = dual.user_pairs(size.n_items, size.n_interactions)
            return {"entry": 2 * size.n_interactions, "update": updates, "inverse": size.n_users**3}
        return {
            "entry": size.n_interactions,
            "update": n_pairs / 2,
            "inverse": size.n_items**3,
            "value": 2 * size.n_items**2,
        }

    def bytes_of_model(self, size: Size) -> int:
        """Size of B and of what an update needs; in the dual form that of M and the histories."""
        if self.can_share_inverse and dual.less_work(size):
            return 4 * size.n_users**2 + 8 * size.n_interactions + 20 * size.n_items
        return 4 * size.n_items**2 + (24 * size.n_items if self.can_share_inverse else 0)
