"""What steering costs: of one list, in scores; over many people, in accuracy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from shoal.base.recommender import Recommender
from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.errors import DataError
from shoal.evaluation.evaluate import Evaluation, evaluate
from shoal.forks import uses_polars
from shoal.inference.recommend import recommend
from shoal.inference.recommendations import Recommendations
from shoal.kernels.arrays import Float
from shoal.kernels.shifts import UNIT_RANK, reference_score
from shoal.run import Run
from shoal.splitting.held_out import HeldOut

if TYPE_CHECKING:
    from shoal.evaluation.significance import Paired

METRICS = ("ndcg", "recall")
K = 10  # length of the lists that accuracy is measured on
LEAST_ITEMS = 6  # of a person, so that something is left when the last fifth is held out
_HELD_OUT = 5  # one in so many of a person's items, the latest ones


@dataclass(frozen=True)
class SteeredList:
    """A list before and after it was steered, and what that cost.

    Parameters
    ----------
    before, after : Recommendations
    kept : float
        Share of the margin of `before` that `after` keeps. The margin of a list is the sum of the
        scores of its items, as they were before, above the score of the 100th best item. 1 is no
        cost; below 0, the new items are worse than the 100th best.
    changed : int
        How many items of `after` are not in `before`.
    """

    before: Recommendations
    after: Recommendations
    kept: float
    changed: int

    @property
    def note(self) -> str:
        """What steering did, in a sentence."""
        if self.after.items == self.before.items:
            return "Steering changed nothing in this list: raise the level."
        if not self.changed:
            return "Steering put the same items into another order."
        are = "is" if self.changed == 1 else "are"
        return (
            f"{self.changed} of {len(self.after)} items {are} new; "
            f"the model rates the list at {100 * max(self.kept, 0.0):.0f} % of the unsteered one."
        )


def steered_list(
    model: Recommender,
    history: Any,
    k: int = 10,
    *,
    steer: Any,
    run: Run | None = None,
    **options: Any,
) -> SteeredList:
    """Recommend with and without steering.

    Parameters
    ----------
    model, history, k, run
        As for `shoal.recommend`.
    steer : (n_items,) array
        From `Knobs.shifts`.
    **options
        More options of `shoal.recommend`, which hold for both lists.

    Returns
    -------
    SteeredList

    Raises
    ------
    HistoryError
        As of `shoal.recommend`.
    """
    after = recommend(model, history, k, steer=steer, run=run, **options)
    plain = {name: value for name, value in options.items() if name not in ("because", "diversity")}
    wide = recommend(model, history, min(model.n_items, max(UNIT_RANK, k)), run=run, **plain)
    if len(wide) < k or options.get("because") or options.get("diversity"):
        before = recommend(model, history, k, run=run, **options)
    else:  # the begin of what was ranked already
        before = replace(wide, rows=wide.rows[:k], shortfall="")
    scores = {row.item: row.score for row in wide}
    # with diversity, both lists may hold items beyond the best that were asked for
    further = [i for i in dict.fromkeys([*before.items, *after.items]) if i not in scores]
    if further:  # in scores as they were before
        only = plain | {"only": further}
        ranked = recommend(model, history, len(further), run=run, **only)
        scores |= {row.item: row.score for row in ranked}
    reference = reference_score(np.array([row.score for row in wide])) if len(wide) else 0.0
    margin = sum(scores[item] - reference for item in before.items)
    left = sum(scores[item] - reference for item in after.items)
    kept = left / margin if margin > 0 else float(before.items == after.items)
    return SteeredList(before, after, kept, len(set(after.items) - set(before.items)))


@dataclass(frozen=True)
class SteeringCost:
    """What steering everybody alike does to accuracy.

    Parameters
    ----------
    protocol : str
        What it was measured on.
    n_users : int
    before, after : dict of str to float
        The means of the metrics without and with steering.
    difference : dict of str to Paired
        After minus before for the same users, with its 95 % interval.
    """

    protocol: str
    n_users: int
    before: dict[str, float]
    after: dict[str, float]
    difference: dict[str, Paired] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The result as plain data for JSON."""
        return {
            "measured_on": self.protocol,
            "users": self.n_users,
            "metrics": {
                name: {
                    "before": self.before[name],
                    "after": self.after[name],
                    "difference": difference.difference,
                    "low": difference.low,
                    "high": difference.high,
                }
                for name, difference in self.difference.items()
            },
        }


def steering_cost(
    model: Recommender,
    held_out: HeldOut,
    steer: Any,
    metrics: Iterable[str] | None = None,
    *,
    unsteered: Evaluation | None = None,
    run: Run | None = None,
) -> SteeringCost:
    """Measure how well lists find what people took next, with and without steering.

    Everybody is steered by the same shifts, whatever they like.

    Parameters
    ----------
    model : Recommender
        Fitted or loaded.
    held_out : HeldOut
        ``shoal.split(…).test``, or what `held_out_latest` makes of stored histories.
    steer : (n_items,) array
        From `Knobs.shifts`.
    metrics : iterable of str, optional
        NDCG@10 and recall@10, unless given.
    unsteered : Evaluation, optional
        What `shoal.evaluate` gives without steering, if it was computed before.
    run : Run, optional
        Threads, memory budget and progress.

    Returns
    -------
    SteeringCost

    Raises
    ------
    HistoryError
        `steer` is no array of a number for each item.
    DataError
        As of `shoal.evaluate`.
    """
    from shoal.evaluation.significance import paired  # loads scipy.stats

    names = default_metrics(model) if metrics is None else list(metrics)
    before = evaluate(model, held_out, names, run) if unsteered is None else unsteered
    after = evaluate(model, held_out, names, run, steer=steer)
    return SteeringCost(
        held_out.name,
        held_out.n_users,
        {name: before[name] for name in names},
        {name: after[name] for name in names},
        {name: paired(after, before, name) for name in names},
    )


def default_metrics(model: Recommender) -> list[str]:
    """NDCG and recall of the first ten items, or of all of fewer."""
    return [f"{name}@{min(K, model.n_items)}" for name in METRICS]


def held_out_latest(
    model: Recommender, histories: Mapping[Any, Mapping[Any, float]], name: str
) -> HeldOut:
    """Hold out the latest fifth of each history.

    Parameters
    ----------
    model : Recommender
    histories : mapping of user id to mapping of item id to weight
        The oldest item first. Items that the model does not know are left out, and then people
        with fewer than 6 items.
    name : str
        What the histories are, for people.

    Returns
    -------
    HeldOut

    Raises
    ------
    DataError
        Nobody has 6 items that the model knows.
    """
    uses_polars("measuring the cost of steering")
    known = model.known_items
    users: list[str] = []
    parts: list[tuple[Any, Float]] = []
    for user, items in histories.items():
        codes = model.items.lookup(items)
        usable = (codes >= 0) & known[codes]
        if usable.sum() >= LEAST_ITEMS:
            users.append(str(user))
            parts.append((codes[usable], np.array(list(items.values()), np.float32)[usable]))
    if not users:
        raise DataError(
            f"nobody of {len(histories):,} people has {LEAST_ITEMS} items that {model.name} knows"
        )
    order = sorted(range(len(users)), key=users.__getitem__)
    ids = Ids(pl.Series([users[i] for i in order]), "str")
    sides = []
    for latest in (False, True):
        rows, columns, weights, times = [], [], [], []
        for row, i in enumerate(order):
            codes, values = parts[i]
            n_latest = max(1, len(codes) // _HELD_OUT)
            chosen = slice(len(codes) - n_latest, None) if latest else slice(0, -n_latest)
            columns.append(codes[chosen])
            weights.append(values[chosen])
            rows.append(np.full(len(columns[-1]), row, np.int32))
            times.append(np.arange(len(columns[-1])))
        values = np.concatenate(weights)
        sides.append(
            Interactions.from_codes(
                ids,
                model.items,
                np.concatenate(rows),
                np.concatenate(columns).astype(np.int32),
                values=None if (values == 1).all() else values,
                times=np.concatenate(times),
            )
        )
    counts = model.item_counts
    counts = np.ones(model.n_items, np.int64) if counts is None else counts
    return HeldOut(sides[0], sides[1], counts, name, len(histories) - len(users))
