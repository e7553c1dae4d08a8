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
from shoal.inference.rules import check_model, checked_shifts
from shoal.kernels import topk
from shoal.kernels.arrays import Bool, Double, Float, Int
from shoal.run import Run, how_many
from shoal.splitting.held_out import HeldOut, Split

DEFAULT_METRICS = (
    *("ndcg@100", "recall@20", "recall@50"),
    *("ndcg@100:head", "ndcg@100:tail", "coverage@100"),
)


@dataclass(frozen=True)
class Score:
    """The mean of a metric over users.

    Parameters
    ----------
    mean : float
    se : float or None
        Standard error of the mean; None for metrics that belong to no single user.
    n_users : int
        Number of users that the metric counts.
    """

    mean: float
    se: float | None
    n_users: int

    def __str__(self) -> str:
        return f"{self.mean:.4f}" + ("" if self.se is None else f" ± {self.se:.4f}")


@dataclass(frozen=True)
class Evaluation:
    """The result of `evaluate`.

    Parameters
    ----------
    model : str
        Name of the model.
    parameters : dict
        Hyper-parameters of the model.
    protocol : str
        Description of the split.
    scores : dict of str to Score
        Score of each metric.
    per_user : dict of str to (n_users,) float64
        Values of each metric for paired tests; NaN for users that the metric does not count.
    users : Ids
        Ids of the users, in the order of these values.
    dropped : int
        Number of users that could not be evaluated.
    seconds : float
        Time that scoring and ranking took.
    unknown_items : int
        Number of candidates of which the model knows nothing: no training user had them, and no
        vector tells of them. They are in no list.
    unknown_targets : int
        Number of held-out interactions with such items. They count as missed.
    fitted_on_other_data : bool
        Whether the model was fitted on other data than the split's training part, by the number
        of users of each item. If what is held out was among them, the scores are too good.
    """

    model: str
    parameters: dict[str, Any]
    protocol: str
    scores: dict[str, Score]
    per_user: dict[str, Double] = field(repr=False)
    users: Ids = field(repr=False)
    dropped: int
    seconds: float
    unknown_items: int = 0
    unknown_targets: int = 0
    fitted_on_other_data: bool = False

    def __getitem__(self, metric: str) -> float:
        return self.scores[str(m.parse(metric))].mean

    def __str__(self) -> str:
        width = max(map(len, self.scores))
        lines = [f"{self.model} on {self.protocol} ({how_many(len(self.users), 'user')})"]
        lines += [f"  {name:<{width}}  {score}" for name, score in self.scores.items()]
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])

    @property
    def notes(self) -> tuple[str, ...]:
        """How many users and items could not be evaluated, in sentences; often nothing."""
        notes = []
        if self.dropped:
            dropped = how_many(self.dropped, "user")
            notes.append(f"{dropped} dropped: no history, or nothing held out")
        if self.unknown_items:
            notes.append(
                f"{self.unknown_items:,} items have no training user and are in no list; "
                f"{self.unknown_targets:,} held-out interactions are with them and count as missed"
            )
        if self.fitted_on_other_data:
            notes.append(
                "the model was fitted on other data than this split's training part: if what is "
                "held out was among them, these numbers are too good"
            )
        return tuple(notes)

    def to_dict(self) -> dict[str, Any]:
        """Give the result as plain data for JSON, without the values per user."""
        return {
            "model": self.model,
            "parameters": self.parameters,
            "protocol": self.protocol,
            "users": len(self.users),
            "users_dropped": self.dropped,
            "unknown_items": self.unknown_items,
            "unknown_targets": self.unknown_targets,
            "fitted_on_other_data": self.fitted_on_other_data,
            "metrics": {
                # no user had an item of the group: JSON has no NaN
                name: {"mean": s.mean if s.n_users else None, "se": s.se, "users": s.n_users}
                for name, s in self.scores.items()
            },
            "seconds": round(self.seconds, 3),
        }


def evaluate(
    model: Recommender,
    held_out: HeldOut,
    metrics: str | Iterable[str] = DEFAULT_METRICS,
    run: Run | None = None,
    *,
    steer: Any = None,
) -> Evaluation:
    """Evaluate a fitted model on held-out users, with full ranking over the catalogue.

    Where `held_out` has candidates (the split by items), only those are ranked. Items of which the
    model knows nothing (`Recommender.known_items`) are in no list and count as missed. Items with
    equal scores stand in an order that follows neither ids nor popularity.

    Parameters
    ----------
    model : Recommender
        Fitted on the training data of the same split.
    held_out : HeldOut
        ``split(...).test`` or ``.validation``; of a whole split, the test users are taken. Items of
        the history are never recommended.
    metrics : str or iterable of str
        Names such as ``ndcg@100`` and ``recall@20:tail``, in a list or in one text separated by
        commas; see `shoal.metrics`.
    run : Run, optional
        Threads, memory budget, device and progress.
    steer : (n_items,) array, optional
        Shifts of the scores of all users alike, as for `shoal.recommend`.

    Returns
    -------
    Evaluation

    Raises
    ------
    DataError
        An unknown metric, k above the catalogue, a model fitted on other items, or one that reads
        the order of time where the log has no times.
    """
    return evaluate_with_lists(model, held_out, metrics, run, steer=steer)[0]


def evaluate_with_lists(
    model: Recommender,
    held_out: HeldOut,
    metrics: str | Iterable[str] = DEFAULT_METRICS,
    run: Run | None = None,
    *,
    steer: Any = None,
    at_least: int = 0,
) -> tuple[Evaluation, Int, Bool]:
    """`evaluate`, and the lists themselves, so that more can be counted in them.

    Parameters
    ----------
    model, held_out, metrics, run, steer
        As for `evaluate`.
    at_least : int
        Length of the lists (or the whole catalogue), where the metrics need less.

    Returns
    -------
    Evaluation
    lists : (n_users, k) int32
        The best items of each user, −1 where there are fewer.
    hits : (n_users, k) bool
        Which of them are held out.
    """
    check_model(model)
    held_out = as_held_out(held_out)
    parsed = _metrics_for(model, held_out, metrics)
    began = time.perf_counter()
    k = max(min(at_least, model.n_items), *(metric.k for metric in parsed))
    lists, hits = _top_lists(model, held_out, k, run, checked_shifts(model, steer))
    seconds = time.perf_counter() - began
    per_user, scores = scores_of_lists(parsed, lists, hits, held_out)
    unknown = ~model.known_items
    candidates = np.ones_like(unknown) if held_out.candidates is None else held_out.candidates
    evaluation = Evaluation(
        model.name,
        model.model_dump(),
        held_out.name,
        scores,
        per_user,
        held_out.history.users,
        held_out.dropped,
        seconds,
        int((unknown & candidates).sum()),
        int(unknown[held_out.target.indices].sum()),
        model.item_counts is not None
        and not np.array_equal(model.item_counts, held_out.train_counts),
    )
    return evaluation, lists, hits


def as_held_out(data: Any) -> HeldOut:
    """Held-out users, also from a split, whose test users are meant."""
    if isinstance(data, Split):
        return data.test
    if not isinstance(data, HeldOut):
        raise DataError(
            f"evaluate takes held-out users, and this is {type(data).__name__}: split a log with "
            "shoal.split(shoal.read(…)), fit on its train, and evaluate on its test"
        )
    return data


def _metrics_for(
    model: Recommender, held_out: HeldOut, metrics: str | Iterable[str]
) -> list[m.Metric]:
    """The metrics that are asked for, if they can be computed for this model and split."""
    if model.items != held_out.history.items:
        raise DataError(
            f"{model.name} was fitted on other items than this split holds: fit it on split.train"
        )
    return parse_metrics(metrics, model.n_items)


def parse_metrics(metrics: str | Iterable[str], n_items: int) -> list[m.Metric]:
    """The metrics that are asked for, if a catalogue of `n_items` has lists so long.

    Raises
    ------
    DataError
        An unknown metric or none, or lists that are longer than the catalogue.
    """
    names = metrics.split(",") if isinstance(metrics, str) else metrics
    parsed = [m.parse(name) for name in names]
    if not parsed:
        raise DataError("no metric was asked for")
    refuse_long_lists(parsed, n_items)
    return parsed


def refuse_long_lists(metrics: Iterable[str | m.Metric], n_items: int) -> None:
    """Refuse metrics of lists that are longer than the catalogue, before anything is fitted.

    Raises
    ------
    DataError
        A k is larger than `n_items`; the message says how to ask for a smaller one.
    """
    k = max((m.parse(str(metric)).k for metric in metrics), default=0)
    if k > n_items:
        raise DataError(
            f"@{k} is more than the catalogue of {n_items:,} items: ask for a smaller k, such as "
            "ndcg@10 (--metrics; of tune also --metric; in an experiment file evaluation.metrics "
            "and tuning.metric)"
        )


def _top_lists(
    model: Recommender, held_out: HeldOut, k: int, run: Run | None, shifts: Float | None
) -> tuple[Int, Bool]:
    """The k best items of each user (−1: none), and which of them are held out: (n_users, k)."""
    lists = np.empty((held_out.n_users, k), np.int32)
    hits = np.empty((held_out.n_users, k), np.bool_)
    target = held_out.target
    blocks = rank_blocks(
        model,
        model.histories(held_out.history),
        k,
        allowed=held_out.candidates,
        shifts=shifts,
        run=run,
        label=f"evaluating {model.name}",
    )
    for users, items, _ in blocks:
        extents = target.indptr[users.start : users.stop + 1]
        lists[users] = items
        hits[users] = topk.hits(items, extents, target.indices, model.n_items)
    return lists, hits


def has_values_per_user(metric: m.Metric) -> bool:
    """Whether a metric is a mean over users, as opposed to a property of all lists together."""
    return metric.base not in m.OVERALL


def values_per_user(metric: m.Metric, lists: Int, held_out: HeldOut) -> Double:
    """The value of one metric for each user, from lists that were ranked elsewhere.

    Parameters
    ----------
    metric : Metric
        One that `has_values_per_user`.
    lists : (n_users, k) int32
        The best items of each user, −1 where there are fewer.
    held_out : HeldOut

    Returns
    -------
    (n_users,) float64, NaN for users that the metric does not count
    """
    target = held_out.target
    hits = topk.hits(lists, target.indptr, target.indices, target.n_items)
    return scores_of_lists([metric], lists, hits, held_out)[0][str(metric)]


def scores_of_lists(
    metrics: list[m.Metric], lists: Int, hits: Bool, held_out: HeldOut
) -> tuple[dict[str, Double], dict[str, Score]]:
    """The value of each metric for each user, where it has one, and its mean over users."""
    counts = held_out.train_counts
    groups, target = m.groups_of_items(counts), held_out.target
    per_user: dict[str, Double] = {}
    scores: dict[str, Score] = {}
    for metric in metrics:
        name = str(metric)
        if metric.base in m.OVERALL:
            overall = m.OVERALL[metric.base](lists, counts, metric.k)
            scores[name] = Score(overall, None, len(lists))
            continue
        if metric.base in m.PER_LIST:
            values = m.PER_LIST[metric.base](lists, counts, metric.k)
        else:
            group = groups[metric.group]
            n = np.bincount(target.user_codes[group[target.indices]], minlength=len(lists))
            values = m.accuracy(metric, lists, hits, n, group)
        per_user[name] = values
        scores[name] = _mean(values)
    return per_user, scores


def _mean(values: Double) -> Score:
    """The mean over the users that count, and its standard error."""
    counted = values[~np.isnan(values)]
    mean = float(counted.mean()) if counted.size else float("nan")
    se = float(counted.std(ddof=1) / np.sqrt(counted.size)) if counted.size > 1 else None
    return Score(mean, se, counted.size)
