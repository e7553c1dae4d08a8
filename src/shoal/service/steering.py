"""Knobs of the live versions, and what steering costs: made in the background, when first needed.

To make the knobs of a large model takes seconds, and to measure the cost on stored people as well.
One quiet thread does it beside the requests; whoever asks meanwhile is told to come again.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as NotInTime
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from shoal.base.recommender import Recommender
from shoal.errors import DataError, ShoalError
from shoal.service.live import Served
from shoal.service.logs import log
from shoal.service.problems import Problem
from shoal.service.quiet import QuietThread
from shoal.steering.cost import (
    LEAST_ITEMS,
    SteeringCost,
    default_metrics,
    held_out_latest,
    steering_cost,
)
from shoal.steering.knobs import Knobs, check_can_steer, knobs

if TYPE_CHECKING:
    from shoal.evaluation.evaluate import Evaluation
    from shoal.events import EventStore
    from shoal.splitting.held_out import HeldOut

T = TypeVar("T")
Key: TypeAlias = tuple[tuple[str, float], ...]  # names of knobs and their levels

PEOPLE = 200  # stored users on whom the cost is measured
WAIT = 2.0  # seconds for which a request waits for knobs that are being made
_MOST_COSTS = 200  # that are kept
_MOST_WAITING = 6  # costs that wait to be measured; older ones are given up


@dataclass(frozen=True)
class _Failure:
    """An error of a job. It is raised anew for each request: a traceback would keep the model."""

    kind: type[Exception]
    text: str

    @classmethod
    def of(cls, error: Exception) -> _Failure:
        if isinstance(error, ShoalError):
            return cls(type(error), str(error))
        log("error", "steering failed", error=type(error).__name__, reason=str(error)[:500])
        return cls(RuntimeError, f"{type(error).__name__}: {error}")


def _attempted(function: Callable[[], T]) -> T | _Failure:
    """The result of a job, or its error."""
    try:
        return function()
    except Exception as error:
        return _Failure.of(error)


def _result(future: Future[T | _Failure], wait: float) -> T:
    """The result of a job; raises its error, or NotInTime."""
    result = future.result(wait)
    if isinstance(result, _Failure):
        raise result.kind(result.text)
    return result


class Steering:
    """The knobs of versions that answer, and the cost of levels of them.

    Parameters
    ----------
    events : EventStore or None
        Where people's histories are stored; without it no cost in accuracy is measured.
    """

    def __init__(self, events: EventStore | None) -> None:
        self._events = events
        self._thread = QuietThread("steering")
        self._lock = threading.Lock()
        self._waiting = threading.Lock()  # held by the one request that waits for knobs
        self._knobs: WeakKeyDictionary[Recommender, Future[Knobs | _Failure]] = WeakKeyDictionary()
        self._measured: WeakKeyDictionary[Recommender, _Measured] = WeakKeyDictionary()

    def stop(self) -> None:
        """Make no more knobs, and measure no more costs."""
        self._thread.stop()

    def knobs(self, served: Served, wait: float | None = None) -> Knobs | None:
        """The knobs of a version, or None while they are being made, after `wait` seconds.

        Raises
        ------
        ModelError
            The model has none; the message says why.
        """
        check_can_steer(served.model)  # said at once
        with self._lock:
            model = served.model
            future = self._knobs.get(model)
            if future is None:
                future = self._thread.submit(lambda: _attempted(lambda: knobs(model)), first=True)
                self._knobs[model] = future
        with suppress(NotInTime):
            return _result(future, WAIT if wait is None else wait)
        return None

    def ready_knobs(self, served: Served) -> Knobs:
        """The knobs of a version.

        Raises
        ------
        ModelError
            The model has none.
        Problem
            503: they are being made. One request waits a moment for them; others that come
            meanwhile are told at once, since threads that rank would soon all wait.
        """
        may_wait = self._waiting.acquire(blocking=False)
        try:
            made = self.knobs(served, WAIT if may_wait else 0.0)
        finally:
            if may_wait:
                self._waiting.release()
        if made is None:
            raise Problem(
                503,
                f"the knobs of {served.version} are being prepared: ask again in some seconds",
                headers={"Retry-After": "3"},
            )
        return made

    def forget_people(self) -> None:
        """Drop the histories that costs are measured on, since somebody was deleted.

        They are read again from the store when the next cost is asked for. A measurement that is
        under way ends with what it has read, and is then dropped as well.
        """
        with self._lock:
            self._measured.clear()

    def cost(
        self, served: Served, made: Knobs, levels: Mapping[str, float], wait: float = 0.0
    ) -> SteeringCost | None:
        """What levels cost in accuracy on people whose events are stored; None while measured.

        Raises
        ------
        DataError
            It cannot be measured: the message says what is missing.
        EventsUnavailable
            The stored events cannot be read.
        """
        events = self._events
        if events is None:
            raise DataError(
                "this service stores no events, and the cost is measured on what people did: serve "
                "with --events FILE"
            )
        key = tuple(sorted(made.levels(levels).items()))
        with self._lock:
            model = served.model
            measured = self._measured.get(model)
            if measured is None:
                measured = self._measured[model] = _Measured(events)
            future = measured.costs.get(key)
            if future is None:
                known = measured
                future = self._thread.submit(
                    lambda: _attempted(lambda: known.measure(model, made.shifts(dict(key))))
                )
                measured.keep(key, future)
            else:
                measured.costs.move_to_end(key)
        try:
            return _result(future, wait)
        except (NotInTime, CancelledError):  # a cost that was given up is asked for again
            return None
        except Exception:
            with self._lock:  # tried again by the next request: people may have come since
                if measured.costs.get(key) is future:
                    del measured.costs[key]
            raise


class _Measured:
    """The people on whom the costs of one version are measured, and the costs so far."""

    # it does not hold the model, which is freed when another version answers

    def __init__(self, events: EventStore) -> None:
        self._events = events
        self.costs: OrderedDict[Key, Future[SteeringCost | _Failure]] = OrderedDict()
        self._unsteered: tuple[HeldOut, Evaluation] | None = None
        self._users: list[str] = []
        self._read = 0.0  # when their histories were read

    def keep(self, key: Key, future: Future[SteeringCost | _Failure]) -> None:
        """Remember a cost, and give up old ones, above all those that still wait."""
        self.costs[key] = future
        waiting = [name for name, other in self.costs.items() if not other.done()]
        for name in waiting[:-_MOST_WAITING]:
            if self.costs[name].cancel():
                del self.costs[name]
        while len(self.costs) > _MOST_COSTS:
            self.costs.popitem(last=False)[1].cancel()

    def measure(self, model: Recommender, steer: Any) -> SteeringCost:
        """The cost of some shifts."""
        from shoal.evaluation.evaluate import evaluate
        from shoal.run import Run

        run = Run(threads=1)
        if self._unsteered is None or self._somebody_was_deleted():
            self._unsteered = None
            held_out = self._people(model)
            names = default_metrics(model)
            self._unsteered = held_out, evaluate(model, held_out, names, run)
        held_out, unsteered = self._unsteered
        return steering_cost(model, held_out, steer, unsteered=unsteered, run=run)

    def _somebody_was_deleted(self) -> bool:
        """Whether one of the people is no longer stored, such as by another process."""
        deleted = self._events.deletion_times(self._users)
        return any(moment >= self._read for moment in deleted.values())

    def _people(self, model: Recommender) -> HeldOut:
        from shoal.events.latest import latest_users

        self._read = time.time()
        users = latest_users(self._events, PEOPLE, least_items=LEAST_ITEMS)
        if not users:
            raise DataError(
                f"no stored user has {LEAST_ITEMS} items yet, and the cost is measured on what "
                "people did"
            )
        self._users = users
        histories = {user: self._events.history(user) for user in users}
        name = "stored users who were active last; the latest fifth of what they did is held out"
        return held_out_latest(model, histories, name)
