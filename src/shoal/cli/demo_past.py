"""What the demo's invented visitors did before the service was started.

They come with a history from the invented log. In the days before the start they were shown lists
by the variants of the demo's experiment, which the models really made, and clicked some films.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from shoal.datasets.demo_visitors import LOVED, Visitors
from shoal.events import Event, ShownList
from shoal.run import Run

if TYPE_CHECKING:
    import polars as pl

    from shoal.online import Experiment
    from shoal.service.live import Served

DAYS = 14
K = 10  # films of a list
_DAY = 86_400.0
# how likely a visit begins in each hour of the day, the night first
_HOURS = np.array([2, 1, 1, 0, 0, 1, 2, 4, 5, 5, 5, 6, 8, 7, 5, 5, 6, 8, 11, 15, 18, 17, 11, 5])


@dataclass(frozen=True)
class Visit:
    """A visitor, by number, comes at a time."""

    time: float
    visitor: int


def histories(visitors: Visitors, log: pl.DataFrame, end: float, seed: int = 0) -> list[Event]:
    """What the visitors watched and loved, as events.

    Each person's times are shifted as a whole, so that the last falls on one of the two days before
    `end`; the time from one film to the next stays.
    """
    import polars as pl

    rng = np.random.Generator(np.random.PCG64(seed))
    loved = log.filter(log["user"].is_in(visitors.users) & (log["rating"] >= LOVED))
    last = dict(loved.group_by("user").agg(pl.col("timestamp").max()).iter_rows())
    shift = {user: end - 2 * _DAY * rng.random() - last[user] for user in visitors.users}
    return [
        Event(user, item, "watch", float(rating), moment + shift[user])
        for user, item, rating, moment in loved.select(
            "user", "item", "rating", "timestamp"
        ).iter_rows()
    ]


def visits(visitors: Visitors, now: float, seed: int = 0) -> list[Visit]:
    """Who comes when in the days before `now`, the earliest first."""
    rng = np.random.Generator(np.random.PCG64(seed))
    today = datetime.fromtimestamp(now).astimezone().replace(hour=0, minute=0, second=0)
    share_of_hours = np.cumsum(_HOURS) / _HOURS.sum()
    planned = []
    for days_ago in range(DAYS, -1, -1):
        midnight = (today - timedelta(days=days_ago)).timestamp()
        counts = np.floor(visitors.visits + rng.random(len(visitors.users))).astype(np.int64)
        for visitor in np.repeat(np.arange(len(counts)), counts).tolist():
            hour = np.searchsorted(share_of_hours, rng.random(), side="right") + rng.random()
            planned.append(Visit(midnight + 3600.0 * float(hour), visitor))
    first = now - DAYS * _DAY
    return sorted((v for v in planned if first <= v.time < now), key=lambda v: v.time)


def past(
    visitors: Visitors,
    watched: list[Event],
    planned: list[Visit],
    experiment: Experiment,
    models: Mapping[str, Served],
    now: float,
    *,
    seed: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> tuple[list[ShownList], list[Event]]:
    """The lists that the visitors were shown in the last days, and what they clicked in them.

    Each visit asks the model of the visitor's variant, with the settings of that variant and
    with all that the visitor watched and clicked until then, as the service does.

    Parameters
    ----------
    visitors : Visitors
    watched : list of Event
        From `histories`.
    planned : list of Visit
        From `visits`.
    experiment : Experiment
    models : dict of name to Served
        The live models, by the names that variants use; the main one under ``main``.
    now : float
        Seconds since 1970; nobody clicks later.
    seed : int
    advance : callable
        Is called after each visit.
    """
    from shoal.inference.recommend import recommend

    rng = np.random.Generator(np.random.PCG64(seed))
    known: list[dict[str, float]] = [{} for _ in visitors.users]  # item → since when
    number = {user: place for place, user in enumerate(visitors.users)}
    for event in sorted(watched, key=lambda event: float(event.time)):
        known[number[event.user]].setdefault(event.item, float(event.time))
    run = Run(threads=1)
    lists, clicks = [], []
    for count, visit in enumerate(planned, 1):
        user = visitors.users[visit.visitor]
        name = experiment.variant_of(user)
        variant = experiment.variants[name]
        served = models[variant.model or "main"]
        since = known[visit.visitor]
        # a click of a visit that began less than a minute ago may be still to come
        history: Any = {item: 1.0 for item, moment in since.items() if moment < visit.time}
        answer = recommend(served.model, history, K, run=run, **variant.settings)
        shown = [row.item for row in answer]
        request = f"past-{count:06d}"
        lists.append(
            ShownList(
                request, user, shown, served.name, served.version, visit.time, experiment.name, name
            )
        )
        for item in visitors.clicks(visit.visitor, shown, rng):
            moment = min(visit.time + 5.0 + 55.0 * float(rng.random()), now)
            key = f"{request} {experiment.success} {item}"
            clicks.append(Event(user, item, experiment.success, None, moment, request, key))
            since[item] = min(moment, since.get(item, moment))
        advance()
    return lists, clicks
