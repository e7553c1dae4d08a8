"""How much each member of a blend counts: the spread of its scores, and weights from validation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from shoal import metrics
from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR
from shoal.errors import ModelError
from shoal.kernels import topk
from shoal.kernels.arrays import Bool, Double, Float, Int
from shoal.run import Run
from shoal.splitting.held_out import HeldOut

MOST_HISTORIES = 1000  # that the spread is measured on
STEPS = {1: 1, 2: 20, 3: 10, 4: 6, 5: 5}  # by number of members; 4 for more of them
_BLOCK_BYTES = 256_000_000


def check_metric(name: str) -> str:
    """The full name of a metric by which weights can be chosen.

    Raises
    ------
    DataError
        There is no such metric.
    ModelError
        It is no measure of what is found.
    """
    parsed = metrics.parse(name)
    if parsed.base not in metrics.ACCURACY:
        known = ", ".join(metrics.ACCURACY)
        raise ModelError(f"weights cannot be chosen by {name}: take one of {known}, with a k")
    return str(parsed)


def candidate_weights(n_members: int) -> Double:
    """All weights that are tried, (c, n_members): parts of the whole in equal steps.

    Each member alone is among them. They come first, then blends of few members.
    """
    n = STEPS.get(n_members, 4)
    ends = (
        (-1, *bars, n + n_members - 1)
        for bars in combinations(range(n + n_members - 1), n_members - 1)
    )
    rows = np.array([np.diff(e) - 1 for e in ends]) / n
    order = np.argsort((rows > 0).sum(axis=1), kind="stable")
    return np.asarray(rows[order], np.float64)


def spreads(members: Sequence[Recommender], histories: CSR) -> Double:
    """The spread of each member's scores, (m,): how far unseen items of one person lie apart.

    It is the standard deviation of the scores of the items that the member knows and the history
    lacks, as a mean over histories: over all of them, or 1,000 at equal distances. A member whose
    scores are all alike has the spread 1.
    """
    filled = np.flatnonzero(np.diff(histories.indptr))
    chosen = filled[np.linspace(0, filled.size - 1, min(filled.size, MOST_HISTORIES)).astype(int)]
    at_once = max(1, 2**22 // histories.shape[1])
    of_all: list[Double] = []
    for begin in range(0, chosen.size, at_once):
        block = histories[chosen[begin : begin + at_once]]
        unseen = np.ones(block.shape, np.bool_)
        unseen[np.repeat(np.arange(block.shape[0]), np.diff(block.indptr)), block.indices] = False
        of_all.append(np.stack([_spread(m.score(block), unseen & m.known_items) for m in members]))
    if not of_all:
        return np.ones(len(members))
    spread = np.concatenate(of_all, axis=1).mean(axis=1)
    return np.where(spread > 0, spread, 1.0)


def _spread(scores: Float, counted: Bool) -> Double:
    """The standard deviation of some entries of each row, (m,)."""
    n = np.maximum(counted.sum(axis=1), 1)
    wide = np.where(counted, scores, 0).astype(np.float64)
    distances = np.where(counted, wide - (wide.sum(axis=1) / n)[:, None], 0)
    return np.asarray(np.sqrt((distances**2).sum(axis=1) / n), np.float64)


def best_weights(
    members: Sequence[Recommender], spread: Float, validation: HeldOut, metric: str, run: Run
) -> tuple[Double, float]:
    """The weights with which validation users find most, and what the metric is with them.

    All candidates are evaluated in one pass, in which each member scores each history once. Of
    equal values the first candidate's is taken. Where the metric counts no user, as nobody has an
    item of its group to find, the weights are equal and the value is NaN.

    Parameters
    ----------
    members : sequence of Recommender
        Fitted.
    spread : (m,) float32
        What each member's scores are divided by.
    validation : HeldOut
    metric : str
        One that `check_metric` gave.
    run : Run
        Its memory budget and progress.
    """
    candidates = candidate_weights(len(members))
    rows, n = members[0].histories(validation.history), validation.history.n_items
    known = np.stack([member.known_items for member in members])
    if validation.candidates is not None:
        known &= validation.candidates
    room = min(_BLOCK_BYTES, run.memory_budget // 4)
    at_once = max(1, room // (4 * n * (len(members) + 2)))
    judge = _Judge(validation, metric)
    sums = np.zeros(len(candidates))
    with run.progress.step("choosing the weights", rows.shape[0]) as step:
        for begin in range(0, rows.shape[0], at_once):
            block = rows[begin : begin + at_once]
            seen = block.indptr.astype(np.int64), block.indices.astype(np.int32)
            scores = [m.score(block) / s for m, s in zip(members, spread, strict=True)]
            mixed = np.empty(block.shape, np.float32)
            for place, weights in enumerate(candidates):
                mixed[:] = 0
                for each, weight in zip(scores, weights, strict=True):
                    if weight:
                        mixed += np.float32(weight) * each
                allowed = known[weights > 0].any(axis=0)
                lists, _ = topk.best(mixed, min(judge.metric.k, n), *seen, allowed)
                sums[place] += judge.total(lists, begin)
            step.advance(block.shape[0])
    if not judge.n_counted:
        return np.full(len(members), 1 / len(members)), float("nan")
    best = int(sums.argmax())
    return candidates[best], float(sums[best] / judge.n_counted)


class _Judge:
    """The metric of lists for some of the validation users."""

    def __init__(self, validation: HeldOut, metric: str) -> None:
        self.metric, self._target = metrics.parse(metric), validation.target
        self._group = metrics.groups_of_items(validation.train_counts)[self.metric.group]
        wanted = self._target.user_codes[self._group[self._target.indices]]
        self._n = np.bincount(wanted, minlength=validation.n_users)

    @property
    def n_counted(self) -> int:
        """Number of users with something to find."""
        return int((self._n > 0).sum())

    def total(self, lists: Int, begin: int) -> float:
        """The sum over the users from `begin` on who have something to find."""
        extents = self._target.indptr[begin : begin + len(lists) + 1]
        hits = topk.hits(lists, extents, self._target.indices, self._group.size)
        n = self._n[begin : begin + len(lists)]
        values = metrics.accuracy(self.metric, lists, hits, n, self._group)
        return float(values[n > 0].sum())
