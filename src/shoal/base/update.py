"""Updates of closed-form models: users added, changed or removed, without a fit.

    G' + diag Λ changes by  Σ d_u^−β x_u x_uᵀ  over the rows of users after (+) and before (−),
    and, with dropout p, by  p/(1−p)·ΔG_jj  on the diagonal.

So P = (G' + diag Λ)⁻¹ changes by Woodbury's identity, of a rank that is the number of these rows
and of the items whose ΔG_jj counts: r·n² flops instead of n³ (as Dyn-EASE, Jeunen et al. 2022,
which keeps P itself). P is got back from the weights of `shoal.base.closed_form`, which hold it up
to factors of rows and columns: P_ji = −W_ji / (c_j^α · s_i · c_i^−α), s = Λ + μ. What W does not
hold is kept in `Kept`. A new item begins as one without users: its row and column of P are zero
except for 1/λ.

What is added comes first, then what is removed, so that the matrix is positive definite at each
step, and each small system is solved by Cholesky. A failure shows that rows are removed which were
never there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shoal.base.kept import Kept
from shoal.base.system import LARGEST, gram_times, squares_of, weights_of_users
from shoal.data.accept import as_interactions
from shoal.data.changes import changed_users
from shoal.data.checks import check_weights
from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.errors import DataError, MemoryBudgetError, ModelError
from shoal.kernels import linear, woodbury
from shoal.kernels.arrays import Double, Float, Int, Long, Sparse
from shoal.kernels.spd import NotPositiveDefiniteError
from shoal.run import Run, human_bytes

# Largest residual of an updated inverse: weights then differ from those of a fit by about 1e-4 of
# the largest. A fit may have more, as it can go on in float64.
ACCURATE = 3e-4
ROUNDING = 1e-6  # share of G_jj that removing all rows of an item may leave or take too much

# Seconds of the parts of an update and of a fit, in those of one flop of an n³ inverse, as
# benchmarks/updates measured them.
_CORRECTION = 1.4  # one flop of a correction of P, of which there are n² for each row of U
_SMALL = 1.3  # one flop of its triangular system: BLOCK·n for each row
_ENTRY = 33.0  # one multiply-add of U·P: n for each entry of U
_PASSES = 1200.0  # P from W, W from P, the check: for each of n² numbers
_PAIR = 550.0  # one multiply-add of XᵀX


@dataclass(frozen=True)
class Change:
    """What changes in the training data, over the catalogue that the updated model will have.

    Parameters
    ----------
    name : str
        Model name, for error messages and progress.
    positions : (n_items before,) int32
        Where the model's items are in the new catalogue.
    before, after : Interactions
        Rows that are removed and added; both over the new catalogue.
    beta : float
        β.
    counts : (n_items,) int64
        c_j after the change.
    squares : (n_items,) float64
        G_jj after the change.
    ridge : (n_items,) float64
        Λ after the change.
    ridge_change : (n_items,) float64
        By how much Λ grows.
    """

    name: str
    positions: Int
    before: Interactions
    after: Interactions
    beta: float
    counts: Long
    squares: Double
    ridge: Double
    ridge_change: Double

    @property
    def items(self) -> Ids:
        """The new catalogue."""
        return self.after.items

    @property
    def rank(self) -> int:
        """Number of rows of U over all corrections."""
        rows = sum(int((np.diff(log.indptr) > 0).sum()) for log in (self.before, self.after))
        return rows + int(np.count_nonzero(self.ridge_change))

    @staticmethod
    def of(
        name: str,
        items: Ids,
        counts: Long,
        squares: Double,
        after: Interactions,
        before: Interactions,
        *,
        l2: float,
        dropout: float,
        beta: float,
    ) -> Change:
        """Work out what changes, and refuse what cannot be.

        Parameters
        ----------
        name : str
            Model name.
        items : Ids
            The model's catalogue.
        counts : (n_items,) int64
            Training users of its items.
        squares : (n_items,) float64
            G_jj of its training data.
        after, before : Interactions
            Rows of some users as they will be, and as they are in the training data.
        l2, dropout, beta : float
            λ, p and β of the model.

        Raises
        ------
        DataError
            Nothing changes, a value is no weight, or rows are removed that were not there.
        ModelError
            The values are too large for float32.
        """
        if not len(after) and not len(before):
            raise DataError(f"{name}: there is no row to add or to remove: give a log with rows")
        for log in (after, before):
            check_weights(log)
        _check_known(name, items, before)
        before, after = changed_users(before, after)
        used = after.items.subset(np.flatnonzero(after.item_counts))
        fresh = used.take(np.flatnonzero(items.match(used) < 0))
        larger = items.extended(fresh) if fresh else items
        positions = larger.match(items)
        before, after = before.onto_items(larger), after.onto_items(larger)
        n = len(larger)
        old_counts, old_squares = np.zeros(n, np.int64), np.zeros(n)
        old_counts[positions], old_squares[positions] = counts, squares
        new_counts = old_counts + after.item_counts - before.item_counts
        added, removed = squares_of(after), squares_of(before)
        new_squares = old_squares + added - removed
        lost = (new_counts < 0) | (new_squares < -ROUNDING * (old_squares + added))
        if lost.any():
            item = larger.take(np.flatnonzero(lost)[:1])[0]
            raise DataError(
                f"{name}: more rows of item {item!r} are to be removed than the model was fitted "
                "to: `before` must hold the users' rows as they are in the training data, read "
                "with the same options"
            )
        if not new_counts.any():
            raise DataError(f"{name}: no interaction is left to fit on")
        new_squares = np.where(new_counts > 0, np.maximum(new_squares, 0), 0)
        ratio = dropout / (1 - dropout)
        ridge = l2 + ratio * new_squares
        if (new_squares + ridge).max() > LARGEST:
            raise ModelError(
                f"{name}: the values, squared and added up, are too large for float32: divide them "
                "by a constant"
            )
        growth = ratio * (new_squares - old_squares)
        return Change(name, positions, before, after, beta, new_counts, new_squares, ridge, growth)

    def bytes_needed(self) -> int:
        """Memory of an update: one n × n matrix, the rows, and a block of corrections."""
        n, rows = len(self.counts), min(self.rank, woodbury.BLOCK)
        entries = len(self.before) + len(self.after) + n
        return 4 * n**2 + rows * (4 * n + 24 * rows) + 24 * entries + 256 * n

    def check_budget(self, budget: int) -> None:
        """Raise a MemoryBudgetError if the update needs more memory than a budget in bytes."""
        need = self.bytes_needed()
        if need > budget:
            raise MemoryBudgetError(
                f"{self.name}: an update over {len(self.counts):,} items needs "
                f"{human_bytes(need)}, the budget is {human_bytes(budget)}. Raise it (--memory); a "
                "fit needs as much"
            )

    def inverse_of(
        self, W: Float, diagonal: Float, scale: Double, damping: Double, l2: float
    ) -> Float:
        """P of the model as it is, over the new catalogue, (n, n) float32 with both triangles.

        Parameters
        ----------
        W : (n_items before, n_items before) float32
            The weights diag(damping)·(I − P·diag(scale))·diag(1/damping).
        diagonal : (n_items before,) float32
            P_jj.
        scale, damping : (n_items before,) float64
            Λ + μ and c^α of the model.
        l2 : float
            λ: P_jj of new items is 1/λ.
        """
        n = len(self.counts)
        P = np.empty((n, n), np.float32) if n == len(W) else np.zeros((n, n), np.float32)
        rows, columns = (1 / damping).astype(np.float32), (damping / scale).astype(np.float32)
        woodbury.recover(W, rows, columns, self.positions, P)
        np.einsum("ii->i", P)[:] = 1 / l2
        P[self.positions, self.positions] = diagonal
        return P

    def apply(self, P: Float, kept: Kept, run: Run) -> tuple[Kept, float]:
        """Correct P in place for the change; its lower triangle is meaningless afterwards.

        Parameters
        ----------
        P : (n, n) float32
            What `inverse_of` returned.
        kept : Kept
            What the model keeps, over the new catalogue.

        Returns
        -------
        kept : Kept
            What the updated model keeps.
        residual : float
            max |P·(G' + diag Λ)·z − z| for the probe z.

        Raises
        ------
        ModelError
            What would remain is not positive definite, or the updated inverse is not accurate.
        """
        weights = [weights_of_users(log.indptr, self.beta) for log in (self.after, self.before)]
        added = _rows(self.after, weights[0], np.maximum(self.ridge_change, 0))
        removed = _rows(self.before, weights[1], np.maximum(-self.ridge_change, 0))
        blocks = [(U, 1) for U in _blocks(added)] + [(U, -1) for U in _blocks(removed)]
        label = f"{self.name}: update of rank {self.rank:,}"
        with run.progress.step(label, max(1, len(blocks))) as step:
            for number, (U, sign) in enumerate(blocks):
                if number:
                    linear.mirror_upper(P)
                try:
                    woodbury.correct(P, U, sign)
                except NotPositiveDefiniteError:
                    raise ModelError(
                        f"{self.name}: the rows to be removed are not all in the training data "
                        "(`before` must hold the users' rows as the model was fitted to them), or "
                        "λ is too small for an update: fit it again"
                    ) from None
                step.advance()
        _clear(P, np.flatnonzero(self.counts == 0), self.ridge)
        z = kept.probe.astype(np.float64)
        product = kept.product.copy()
        for log, user_weights, sign in zip(
            (self.after, self.before), weights, (1, -1), strict=True
        ):
            product += sign * gram_times(log.indptr, log.indices, log.values, user_weights, z)
        found = linear.symmetric_times(P, product + self.ridge * z)
        residual = float(np.abs(found - z).max())
        if not residual <= ACCURATE:
            raise ModelError(
                f"{self.name}: the updated inverse is off by {residual:.1g}, as λ is small for "
                "these data or the rows in `before` are not those of the training data: fit it "
                "again"
            )
        diagonal = P.diagonal().copy()
        return replace(kept, squares=self.squares, diagonal=diagonal, product=product), residual

    def fingerprint(self, old: str) -> str:
        """sha256 of the model's fingerprint before and those of the rows removed and added.

        Parameters
        ----------
        old : str
            Fingerprint of the model before the update.
        """
        parts = ("update", old, self.before.fingerprint(), self.after.fingerprint())
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def update_pays(n_items: int, rank: int, n_pairs: float, n_entries: int = 0) -> bool:
    """Whether an update is less work than a fit, by arithmetic.

    An update takes rank·n² flops and some passes over n² numbers; a fit n³ for the inverse and
    Σ d_u² / 2 multiply-adds for the Gram matrix. How long each kind takes was measured once; it
    differs between machines, but a choice that is close costs little either way.

    Parameters
    ----------
    n_items : int
        n, new items included.
    rank : int
        `Change.rank`: rows added and removed and, with dropout, items whose G_jj changes.
    n_pairs : float
        Σ_u d_u² over the lengths d_u of the histories of the whole log.
    n_entries : int
        Interactions in the rows that are added and removed; 50 of each row if 0.
    """
    n, entries = float(n_items), n_entries or 50 * rank
    rows = rank * n * (_CORRECTION * n + _SMALL * woodbury.BLOCK)
    return rows + _ENTRY * entries * n + _PASSES * n**2 < n**3 + _PAIR * n_pairs / 2


def both_logs(
    name: str,
    after: Interactions | None,
    before: Interactions | None,
    preparation: Mapping[str, Any],
) -> tuple[Interactions, Interactions]:
    """The two logs of an update, one of which may be missing, read as the training log was.

    Parameters
    ----------
    name : str
        Model name, for error messages.
    after, before : Interactions or None
        Or what `as_interactions` takes.
    preparation : mapping
        How the training log was read.

    Raises
    ------
    DataError
        Both are missing, or values have another meaning in one of them.
    """
    logs = [
        None if log is None else as_interactions(log, f"update{what}")
        for log, what in ((after, ""), (before, "(before=…)"))
    ]
    there = [log for log in logs if log is not None]
    if not there:
        raise DataError(f"{name}: there is nothing to update with: give a log")
    trained = preparation.get("values")
    for log in there:
        values = log.preparation.get("values")
        if trained is not None and values is not None and values != trained:
            raise DataError(
                f"{name} was fitted to a log read with values={trained!r}, and this one was read "
                f"with values={values!r}: read it alike (shoal.read(…, like=model))"
            )
    nobody = there[0].take_users(np.empty(0, np.int64))
    after, before = (nobody if log is None else log for log in logs)
    return after, before


def _check_known(name: str, items: Ids, before: Interactions) -> None:
    """Refuse to remove rows of items that the model does not have."""
    used = before.items.subset(np.flatnonzero(before.item_counts))
    unknown = np.flatnonzero(items.match(used) < 0)
    if unknown.size:
        item = used.take(unknown[:1])[0]
        raise DataError(
            f"{name}: item {item!r} of the rows to be removed is none of the model's: `before` "
            "must hold the users' rows as they are in the training data"
        )


def _rows(log: Interactions, weights: Float, diagonal: Double) -> Sparse:
    """U with UᵀU = Xᵀ diag(w) X + diag(diagonal): scaled rows of users, then of single items."""
    indptr, indices, data = log.arrays
    roots = np.sqrt(weights.astype(np.float64))
    items = np.flatnonzero(diagonal).astype(np.int32)
    values = data * np.repeat(roots, np.diff(indptr))
    own = np.sqrt(diagonal[items])
    return (
        np.concatenate([indptr, indptr[-1] + np.arange(1, items.size + 1)]),
        np.concatenate([indices, items]),
        np.concatenate([values, own]).astype(np.float32),
    )


def _blocks(U: Sparse) -> Iterator[Sparse]:
    """U in parts of few rows; rows without entries are left out."""
    indptr, indices, data = U
    ends = indptr[1:][np.diff(indptr) > 0]
    extents = np.concatenate([[0], ends]).astype(np.int64)
    for begin in range(0, ends.size, woodbury.BLOCK):
        part = extents[begin : begin + woodbury.BLOCK + 1]
        entries = slice(int(part[0]), int(part[-1]))
        yield part - part[0], indices[entries], data[entries]


def _clear(P: Float, items: Long, ridge: Double) -> None:
    """Set rows and columns of items without users as a fit gives them: 0, and 1/Λ_jj."""
    P[items] = 0
    P[:, items] = 0
    P[items, items] = 1 / ridge[items]
