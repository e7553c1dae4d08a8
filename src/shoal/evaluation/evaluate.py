"""`evaluate`: rank for every held-out user, and all metrics from one pass."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shoal import metrics as m
from shoal.base.recommender import Recommender
from shoal.data.ids import Ids
from shoal.errors import DataError
from shoal.inference.ranking import rank_blocks
from shoal.kernels import topk
from shoal.kernels.arrays import Bool, Double, Int
from shoal.run import Run
from shoal.splitting.held_out import HeldOut

DEFAULT_METRICS = (
    *("ndcg@100", "recall@20", "recall@50"),
    *("ndcg@100:head", "ndcg@100:tail", "coverage@100"),
)


@dataclass(frozen=True)
class Score:
    """A metric over users.

    Parameters
    ----------
    mean : float
    se : float or None
        Standard error of the mean; None for metrics that belong to no single user.
    n_users : int
        Users that count.
    """

    mean: float
    se: float | None
    n_users: int

    def __str__(self) -> str:
        return f"{self.mean:.4f}" + ("" if self.se is None else f" ± {self.se:.4f}")


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Parameters
    ----------
    model : str
    parameters : dict
        Hyper-parameters.
    protocol : str
        Which split, in words.
    scores : dict of str to Score
    per_user : dict of str to (n_users,) float64
        NaN for users that a metric does not count; for paired tests.
    users : Ids
    dropped : int
        Users that could not be evaluated.
    seconds : float
        Scoring and ranking.
    """

    model: str
    parameters: dict[str, Any]
    protocol: str
    scores: dict[str, Score]
    per_user: dict[str, Double] = field(repr=False)
    users: Ids = field(repr=False)
    dropped: int
    seconds: float

    def __getitem__(self, metric: str) -> float:
        return self.scores[str(m.parse(metric))].mean

    def __str__(self) -> str:
        width = max(map(len, self.scores))
        lines = [f"{self.model} on {self.protocol} ({len(self.users):,} users)"]
        lines += [f"  {name:<{width}}  {score}" for name, score in self.scores.items()]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON (without the values per user)."""
        return {
            "model": self.model,
            "parameters": self.parameters,
            "protocol": self.protocol,
            "users": len(self.users),
            "users_dropped": self.dropped,
            "metrics": {
                # no user had an item of the group: JSON has no NaN
                n: {"mean": s.mean if s.n_users else None, "se": s.se, "users": s.n_users}
                for n, s in self.scores.items()
            },
            "seconds": round(self.seconds, 3),
        }


def evaluate(
    model: Recommender,
    held_out: HeldOut,
    metrics: str | Iterable[str] = DEFAULT_METRICS,
    run: Run | None = None,
) -> Evaluation:
    """Evaluate a fitted model on held-out users, with full ranking over the catalogue.

    Where `held_out` has candidates (the split by items), those are ranked alone.

    Parameters
    ----------
    model : Recommender
    held_out : HeldOut
        ``split(...).test`` or ``.validation``. Items of the history are never recommended.
    metrics : str or iterable of str
        Names such as ``ndcg@100``, ``recall@20:tail`` (in one text: separated by commas); see
        `shoal.metrics`.
    run : Run, optional

    Returns
    -------
    Evaluation

    Raises
    ------
    DataError
        An unknown metric, k above the catalogue, a model fitted on other items, or one that reads
        the order of time where the log has no times.
    """
    names = metrics.split(",") if isinstance(metrics, str) else metrics
    wanted = [m.parse(name) for name in names]
    if not wanted:
        raise DataError("no metric was asked for")
    if model.items != held_out.history.items:
        raise DataError(
            f"{model.name} was fitted on other items than this split holds: fit it on split.train"
        )
    k = max(metric.k for metric in wanted)
    if k > model.n_items:
        raise DataError(
            f"@{k} is more than the catalogue of {model.n_items:,} items: ask for a smaller k, "
            "such as ndcg@10 (--metrics)"
        )
    began = time.perf_counter()
    lists = np.empty((held_out.n_users, k), np.int32)
    hits = np.empty((held_out.n_users, k), np.bool_)
    target = held_out.target
    for where, items, _ in rank_blocks(
        model,
        model.histories(held_out.history),
        k,
        allowed=held_out.candidates,
        run=run,
        label=f"evaluating {model.name}",
    ):
        extents = target.indptr[where.start : where.stop + 1]
        lists[where] = items
        hits[where] = topk.hits(items, extents, target.indices, model.n_items)
    seconds = time.perf_counter() - began
    per_user, scores = _from_lists(wanted, lists, hits, held_out)
    return Evaluation(
        model.name,
        model.model_dump(),
        held_out.name,
        scores,
        per_user,
        held_out.history.users,
        held_out.dropped,
        seconds,
    )


def _from_lists(
    wanted: list[m.Metric],
    lists: Int,
    hits: Bool,
    held_out: HeldOut,
) -> tuple[dict[str, Double], dict[str, Score]]:
    counts, target = held_out.train_counts, held_out.target
    head = m.head_items(counts)
    in_group = {"": np.ones(counts.size, np.bool_), "head": head, "tail": ~head}
    found = np.nonzero(hits)
    per_user: dict[str, Double] = {}
    scores: dict[str, Score] = {}
    for metric in wanted:
        if metric.base in m.OVERALL:
            value = m.OVERALL[metric.base](lists, counts, metric.k)
            scores[str(metric)] = Score(value, None, len(lists))
            continue
        if metric.base in m.PER_LIST:
            values = m.PER_LIST[metric.base](lists, counts, metric.k)
        else:
            member = in_group[metric.group]
            n = np.bincount(target.user_codes[member[target.indices]], minlength=len(lists))
            counted = hits
            if metric.group:  # hits are few: only they are looked up
                counted = hits.copy()
                counted[found[0], found[1]] = member[lists[found]]
            with np.errstate(invalid="ignore", divide="ignore"):
                values = m.ACCURACY[metric.base](counted, n, metric.k)
            values = np.where(n > 0, values, np.nan)
        per_user[str(metric)] = values
        there = values[~np.isnan(values)]
        mean = float(there.mean()) if there.size else float("nan")
        se = float(there.std(ddof=1) / np.sqrt(there.size)) if there.size > 1 else None
        scores[str(metric)] = Score(mean, se, there.size)
    return per_user, scores
