"""What the service's own metrics say at one moment, and what happened between two moments.

The numbers are those of ``/metrics``: of this process, or of all workers together. Counters only
grow, so what happened between two readings is their difference; a counter that is smaller than
before was started anew, and what it says has happened since then.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import Metric

from shoal.service.metrics import BOUNDS, NO_ROUTE

_HEALTH = {"/v1/live", "/v1/ready", "/v1/metrics"}
_COUNTED = {  # counters of which all labels are summed
    "shoal_fallbacks_total": "fallbacks",
    "shoal_empty_answers_total": "empty",
    "shoal_shed_requests_total": "shed",
    "shoal_limited_requests_total": "limited",
}
_BY_TYPE = "shoal_events_written_total"
_REQUESTS, _SECONDS = "shoal_requests_total", "shoal_request_seconds_bucket"

Key = tuple[str, ...]


@dataclass(frozen=True)
class Totals:
    """All that was counted until a moment, since the service was started.

    Parameters
    ----------
    counters : dict
        Value of each counter, by (name of the metric, value of its label, …).
    buckets : dict
        Requests of each route by latency, by (route, upper end of the bucket in seconds): as
        Prometheus counts them, so each bucket includes those before it.
    in_flight : int
        Requests that are being answered at this moment.
    degraded : bool
        Whether a version that should answer cannot be loaded.
    """

    counters: dict[Key, float]
    buckets: dict[tuple[str, float], float]
    in_flight: int = 0
    degraded: bool = False


@dataclass(frozen=True)
class Interval:
    """What happened within a few seconds.

    Parameters
    ----------
    end : float
        Seconds since 1970.
    seconds : float
        How long it was.
    requests : dict of str to int
        Requests by class of status: ``2xx``, ``4xx``, ….
    latencies : tuple of int
        Requests by latency: one number for each of `BOUNDS`, and one for those beyond the last.
    fallbacks, empty, shed, limited : int
        Lists that the model could not answer itself, lists without an item, requests refused in
        overload, and by rate.
    events : dict of str to int
        Events stored, by type.
    in_flight : int
        Requests that were being answered at the end.
    degraded : bool
    """

    end: float
    seconds: float
    requests: dict[str, int] = field(default_factory=dict)
    latencies: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    fallbacks: int = 0
    empty: int = 0
    shed: int = 0
    limited: int = 0
    events: dict[str, int] = field(default_factory=dict)
    in_flight: int = 0
    degraded: bool = False

    @property
    def n_requests(self) -> int:
        """Requests of all classes."""
        return sum(self.requests.values())


def is_counted(route: str) -> bool:
    """Whether requests of a route are those of clients: not of probes, pages or their files."""
    return route == NO_ROUTE or (route.startswith("/v1/") and route not in _HEALTH)


class Collected:
    """Adds up samples of metrics, of which only those are kept that are needed here."""

    def __init__(self) -> None:
        self.counters: dict[Key, float] = {}
        self.buckets: dict[tuple[str, float], float] = {}
        self._gauges = {"shoal_requests_in_flight": 0.0, "shoal_model_degraded": 0.0}

    @staticmethod
    def bucket_of(name: str, labels: Mapping[str, str]) -> tuple[str, float] | None:
        """Route and upper end, if a sample is a bucket of latencies."""
        if name != _SECONDS:
            return None
        return labels["route"], float(labels["le"])

    def add(self, name: str, labels: Mapping[str, str], value: float) -> None:
        """Add a sample that is no bucket."""
        if name == _REQUESTS:
            if not is_counted(labels["route"]):
                return
            key: Key = (name, labels["route"], labels["status"])
        elif name == _BY_TYPE:
            key = (name, labels["type"])
        elif name in _COUNTED:
            key = (name, *labels.values())
        else:
            if name in self._gauges:
                self._gauges[name] += value
            return
        self.counters[key] = self.counters.get(key, 0.0) + value

    def totals(self) -> Totals:
        """All that was added."""
        in_flight, degraded = self._gauges.values()
        buckets = {key: value for key, value in self.buckets.items() if is_counted(key[0])}
        return Totals(self.counters, buckets, max(0, round(in_flight)), degraded > 0)


def read_totals(families: Iterable[Metric]) -> Totals:
    """Read what is needed here from all metrics of one process.

    Parameters
    ----------
    families : iterable of prometheus_client.Metric
        Of `Metrics.registry`.
    """
    collected = Collected()
    for family in families:
        for sample in family.samples:
            bucket = collected.bucket_of(sample.name, sample.labels)
            if bucket is None:
                collected.add(sample.name, sample.labels, sample.value)
            else:
                collected.buckets[bucket] = sample.value
    return collected.totals()


def between(before: Totals, after: Totals, end: float, seconds: float) -> Interval:
    """What happened between two readings.

    Parameters
    ----------
    before, after : Totals
    end : float
        When the second one was taken, in seconds since 1970.
    seconds : float
        How long after the first one.
    """
    requests: dict[str, int] = {}
    events: dict[str, int] = {}
    counted = dict.fromkeys(_COUNTED.values(), 0)
    for key, value in after.counters.items():
        grown = _grown(before.counters.get(key, 0.0), value)
        if not grown:
            continue
        if key[0] == _REQUESTS:
            status = f"{key[2][:1]}xx"
            requests[status] = requests.get(status, 0) + grown
        elif key[0] == _BY_TYPE:
            events[key[1]] = events.get(key[1], 0) + grown
        else:
            counted[_COUNTED[key[0]]] += grown
    return Interval(
        end=end,
        seconds=seconds,
        requests=requests,
        latencies=_latencies(before.buckets, after.buckets),
        events=events,
        in_flight=after.in_flight,
        degraded=after.degraded,
        **counted,
    )


def _grown(before: float, after: float) -> int:
    """By how much a counter has grown; one that is smaller than before has begun anew."""
    return round(after - before if after >= before else after)


def _latencies(
    before: Mapping[tuple[str, float], float], after: Mapping[tuple[str, float], float]
) -> tuple[int, ...]:
    """Requests of all routes by latency, each in the one bucket that it belongs to."""
    counts = [0] * (len(BOUNDS) + 1)
    for route in {route for route, _ in after}:
        reached = 0  # by the buckets so far, which include each other
        begun_anew = any(
            after[route, bound] < before.get((route, bound), 0.0)
            for bound in (*BOUNDS, math.inf)
            if (route, bound) in after
        )
        for place, bound in enumerate((*BOUNDS, math.inf)):
            old = 0.0 if begun_anew else before.get((route, bound), 0.0)
            until_here = max(reached, round(after.get((route, bound), old + reached) - old))
            counts[place] += until_here - reached
            reached = until_here
    return tuple(counts)


def quantile(latencies: Sequence[int], q: float) -> float | None:
    """A quantile of latencies that are known by bucket alone, in seconds.

    Inside its bucket the quantile is interpolated linearly, as Prometheus' `histogram_quantile`
    does. None without a request. A quantile beyond the last bound is that bound: all that is known
    is that it is no smaller.

    Parameters
    ----------
    latencies : sequence of int
        As `Interval.latencies`.
    q : float
        Between 0 and 1.
    """
    total = sum(latencies)
    if not total:
        return None
    rank, below = q * total, 0
    for place, count in enumerate(latencies[:-1]):
        if count and below + count >= rank:
            low = BOUNDS[place - 1] if place else 0.0
            share = max(0.0, rank - below) / count
            return low + (BOUNDS[place] - low) * share
        below += count
    return BOUNDS[-1]


def merged(intervals: Sequence[Interval]) -> Interval:
    """Several intervals as one; the state at the end is that of the last one.

    Raises
    ------
    ValueError
        There is none.
    """
    if not intervals:
        raise ValueError("there is no interval to merge")
    last = intervals[-1]
    return Interval(
        end=last.end,
        seconds=sum(part.seconds for part in intervals),
        requests=_summed([part.requests for part in intervals]),
        latencies=tuple(
            sum(column) for column in zip(*(p.latencies for p in intervals), strict=True)
        ),
        fallbacks=sum(part.fallbacks for part in intervals),
        empty=sum(part.empty for part in intervals),
        shed=sum(part.shed for part in intervals),
        limited=sum(part.limited for part in intervals),
        events=_summed([part.events for part in intervals]),
        in_flight=last.in_flight,
        degraded=last.degraded,
    )


def _summed(tables: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for table in tables:
        for name, number in table.items():
            total[name] = total.get(name, 0) + number
    return dict(sorted(total.items()))


def binned(
    intervals: Sequence[Interval], start: float, end: float, n_bins: int
) -> list[Interval | None]:
    """Intervals merged into bins of equal length; None for a bin that nothing is known of.

    Parameters
    ----------
    intervals : sequence of Interval
        In ascending order. An interval belongs to the bin in which its middle lies.
    start, end : float
        Seconds since 1970.
    n_bins : int
    """
    edges = [start + (end - start) * place / n_bins for place in range(1, n_bins + 1)]
    parts: list[list[Interval]] = [[] for _ in range(n_bins)]
    for interval in intervals:
        middle = interval.end - interval.seconds / 2
        if start <= middle <= end:
            parts[min(bisect_left(edges, middle), n_bins - 1)].append(interval)
    return [merged(part) if part else None for part in parts]


def to_line(interval: Interval) -> dict[str, Any]:
    """An interval as plain data for JSON; what is zero is left out."""
    line: dict[str, Any] = {"end": round(interval.end, 3), "seconds": round(interval.seconds, 3)}
    for name in ("requests", "fallbacks", "empty", "shed", "limited", "events", "in_flight"):
        if value := getattr(interval, name):
            line[name] = value
    if interval.degraded:
        line["degraded"] = True
    if any(interval.latencies):
        line["latencies"] = interval.latencies
    return line


def of_line(line: Mapping[str, Any]) -> Interval:
    """The interval that `to_line` wrote."""
    values = dict(line)
    if "latencies" in values:
        values["latencies"] = tuple(values["latencies"])
    return Interval(**values)
