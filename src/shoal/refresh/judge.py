"""Which of two models is better for what happened last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from shoal import metrics
from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.errors import DataError
from shoal.inference.ranking import rank_blocks
from shoal.kernels import topk
from shoal.kernels.arrays import Double
from shoal.refresh.config import EvaluationPart
from shoal.run import Run
from shoal.splitting.held_out import HeldOut, pair_with_targets

_DAY = 86_400.0


@dataclass(frozen=True)
class Cut:
    """A log in two parts: what came before a moment, and what came after it.

    Parameters
    ----------
    before : Interactions
        What a candidate is fitted to.
    held_out : HeldOut
        Users with something before and something after.
    time : float
        The moment: rows at this time are in the second part.
    """

    before: Interactions
    held_out: HeldOut
    time: float


def cut_at(log: Interactions, time: float) -> Cut:
    """Cut a log at a moment.

    Raises
    ------
    DataError
        No user has something on both sides, or one side has nothing.
    """
    assert log.times is not None
    after = log.times >= time
    if after.all() or not after.any():
        raise DataError("no moment divides the log: its times are all alike")
    before = log.keep(~after)
    name = f"interactions from {moment(time)} on"
    return Cut(before, pair_with_targets(before, log.keep(after), before.item_counts, name), time)


def configured_cut(log: Interactions, part: EvaluationPart) -> float:
    """The moment from which on interactions are held out, as the configuration says.

    Raises
    ------
    DataError
        The log has no times that can be compared between users.
    """
    if log.times is None or log.times_are_ranks:
        raise DataError(
            "models are compared on the latest interactions, and the log has no times: name the "
            "column (log.read.columns: {time: …}), or publish without comparing "
            "(evaluation.compare: false)"
        )
    if part.days is not None:
        return float(log.times.max()) - part.days * _DAY
    return float(np.quantile(log.times, 1 - part.share, method="higher"))


def scores(model: Recommender, held_out: HeldOut, metric: str, run: Run) -> Double:
    """The metric for each held-out user, (n_users,).

    The model may have another catalogue: held-out items that it does not know count as missed, and
    items of its lists that the log does not have are no hits.
    """
    parsed, target = metrics.parse(metric), held_out.target
    history = held_out.history
    if history.items != model.items:
        history = history.onto_items(model.items)
    positions = target.items.match(model.items)  # of the model's items in the log's catalogue
    hits = np.zeros((held_out.n_users, parsed.k), np.bool_)
    k = min(parsed.k, model.n_items)
    blocks = rank_blocks(
        model, model.histories(history), k, run=run, label=f"evaluating {model.name}"
    )
    for users, listed, _ in blocks:
        items = np.where(listed >= 0, positions[listed], -1).astype(np.int32)
        extents = target.indptr[users.start : users.stop + 1]
        hits[users, :k] = topk.hits(items, extents, target.indices, target.n_items)
    n_targets = np.diff(target.indptr)
    return metrics.ACCURACY[parsed.base](hits, n_targets, parsed.k)


def moment(time: float) -> str:
    """A time for people: a date and time where it can be one between 1980 and 2100 in seconds."""
    if 3.2e8 < time < 4.1e9:
        return datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")
    return f"{time:g}"
