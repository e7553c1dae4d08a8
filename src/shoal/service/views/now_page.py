"""Now: what the service does at this moment and did in the last hour, from its own metrics."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from shoal.service import siblings
from shoal.service.charts import Chart, Mark, Series, line_chart, number
from shoal.service.endpoints import Call, Reply, Routes
from shoal.service.metrics import BOUNDS
from shoal.service.recent import Swap
from shoal.service.schemas import Body
from shoal.service.totals import Interval, binned, merged, quantile
from shoal.service.views.live_models import trouble_of
from shoal.service.views.rendering import host_of, page
from shoal.service.words import ago

if TYPE_CHECKING:
    from shoal.service.shared import Service

routes = Routes("pages")

N_BINS = 120  # points of a chart
LATEST = 60.0  # seconds that the tiles are about
_MOST_TYPES = 2  # of events with a line of their own
_MOST_SWAPS = 12
Bins = Sequence[Interval | None]


class NowQuery(Body):
    """What the address of the page may say."""

    minutes: Literal["10", "60"] = Field("60", description="How far the charts go back.")


@dataclass(frozen=True)
class Tile:
    """A number at the top of the page, and what it is about."""

    name: str
    value: str
    about: str = ""
    state: str = ""  # "bad" or "warn" where somebody should look


@routes.page("GET", "/now", query=NowQuery)
def now(call: Call, query: NowQuery) -> Reply:
    """Show numbers and charts of the last hour."""
    service = call.service
    intervals, swaps, moment = service.recent.intervals(), service.recent.swaps(), time.time()
    minutes = int(query.minutes)
    length = 60 * minutes / N_BINS
    # bins end at round times, so that a value does not change with the moment of looking
    end = math.ceil(moment / length) * length
    start = end - 60 * minutes
    bins = binned(intervals, start, end, N_BINS)
    shown = [swap for swap in swaps if swap.before]  # the first version of a service is no swap
    latest = [each for each in intervals if each.end > moment - LATEST - service.recent.every]
    values = {
        "minutes": minutes,
        "tiles": _tiles(service, latest),
        "charts": _charts(service, bins, _marks(shown, start, end), minutes),
        "troubles": _troubles(service),
        "swaps": [_told(swap, moment) for swap in reversed(shown[-_MOST_SWAPS:])],
        "workers": _workers(service),
        "models": _models(service, moment),
        "since": _clock(intervals[0].end - intervals[0].seconds) if intervals else "",
        "n_requests": sum(each.n_requests for each in intervals),
        "has_events": service.events is not None,
        "moment": _clock(moment),
        "several": len(service.all_models()) > 1,
        "host": host_of(call),
    }
    return page("now.html", call, values, title="Now", here="/now")


def _tiles(service: Service, latest: Sequence[Interval]) -> list[Tile]:
    """The numbers of the last minute."""
    if not latest:
        return []
    minute = merged(latest)
    n, errors = minute.n_requests, minute.requests.get("5xx", 0)
    median, slow = (quantile(minute.latencies, q) for q in (0.5, 0.99))
    refused = minute.shed + minute.limited
    tiles = [
        Tile("requests", number(n / minute.seconds), "a second"),
        Tile("latency", _with_ms(median), _slowest(slow)),
        Tile("faults", f"{errors:,}", "answers 5xx", "bad" if errors else ""),
        Tile("refused", f"{refused:,}", "overload or rate limit", "warn" if refused else ""),
        Tile("popular list instead", f"{minute.fallbacks:,}", "of the model's"),
        Tile("empty answers", f"{minute.empty:,}", "no item", "warn" if minute.empty else ""),
        Tile("in flight", f"{minute.in_flight:,}", "at this moment"),
    ]
    if service.events is not None:
        stored = sum(minute.events.values())
        tiles.insert(5, Tile("events", number(60 * stored / minute.seconds, 1), "a minute"))
    return tiles


def _with_ms(seconds: float | None) -> str:
    if seconds is not None and seconds >= BOUNDS[-1]:  # how much more is not counted
        return f"over {BOUNDS[-1]:g} s"
    return "–" if seconds is None else f"{number(1000 * seconds, 1)} ms"


def _slowest(seconds: float | None) -> str:
    """What is said of the 99th percentile of latencies."""
    if seconds is not None and seconds >= BOUNDS[-1]:
        return f"1 % took {_with_ms(seconds)}"
    return "median" if seconds is None else f"99 % within {_with_ms(seconds)}"


def _charts(service: Service, bins: Bins, marks: list[Mark], minutes: int) -> list[Chart]:
    ends = (f"{minutes} min ago", f"{minutes // 2} min", "now")

    def chart(name: str, title: str, series: list[Series], **options: Any) -> Chart:
        return line_chart(name, title, series, ends=ends, marks=marks, **options)

    def rate(tell: Callable[[Interval], int], seconds: float = 1.0) -> list[float | None]:
        return [None if b is None else seconds * tell(b) / b.seconds for b in bins]

    def latency(q: float) -> list[float | None]:
        found = [None if b is None else quantile(b.latencies, q) for b in bins]
        return [None if value is None else 1000 * value for value in found]

    def of_class(status: str) -> list[float | None]:
        return rate(lambda b: b.requests.get(status, 0))

    requests = [Series("answered", "1", of_class("2xx"), area=True)]
    requests.append(Series("4xx", "3", of_class("4xx")))
    requests.append(Series("5xx", "2", of_class("5xx")))
    slow = [Series("median", "1", latency(0.5)), Series("99 % within", "2", latency(0.99))]
    missing = [
        Series("popular list instead", "1", rate(lambda b: b.fallbacks, 60), area=True),
        Series("empty answers", "2", rate(lambda b: b.empty, 60)),
    ]
    refused = [
        Series("overload", "2", rate(lambda b: b.shed, 60)),
        Series("rate limit", "3", rate(lambda b: b.limited, 60)),
    ]
    busy = [None if b is None else float(b.in_flight) for b in bins]
    charts = [
        chart("requests", "Requests a second", requests),
        chart("latency", "Latency", slow, unit="ms", digits=1),
        chart("lists", "Lists that the model could not make, a minute", missing, least_top=2),
    ]
    if service.events is not None:
        series = _event_series(bins, rate)
        charts.append(chart("events", "Events a minute", series, least_top=2, digits=1))
    charts.append(chart("refused", "Refused, a minute", refused, least_top=2))
    charts.append(chart("in-flight", "Requests in flight", [Series("requests", "1", busy)]))
    return charts


def _event_series(
    bins: Bins, rate: Callable[[Callable[[Interval], int], float], list[float | None]]
) -> list[Series]:
    """A line for each of the most frequent types of events, and one for all others."""
    known = [each for each in bins if each is not None]
    totals = merged(known).events if known else {}
    names = sorted(totals, key=lambda name: (-totals[name], name))
    own = names if len(names) == _MOST_TYPES + 1 else names[:_MOST_TYPES]
    series = [
        Series(name, str(place + 1), rate(lambda b, n=name: b.events.get(n, 0), 60), place == 0)  # type: ignore[misc]
        for place, name in enumerate(own)
    ]
    if len(names) > len(own):
        others = rate(lambda b: sum(b.events.get(name, 0) for name in names[_MOST_TYPES:]), 60)
        series.append(Series("others", "3", others))
    return series or [Series("events", "1", rate(lambda b: 0, 60), True)]


def _marks(swaps: Sequence[Swap], start: float, end: float) -> list[Mark]:
    return [
        Mark((swap.time - start) / (end - start), f"{swap.version} since {_clock(swap.time)}")
        for swap in swaps
        if start <= swap.time <= end
    ]


def _told(swap: Swap, moment: float) -> dict[str, Any]:
    """A swap as the page tells it."""
    return {
        "live": swap.live,
        "model": swap.model,
        "version": swap.version,
        "before": swap.before,
        "clock": _clock(swap.time),
        "age": ago(moment - swap.time),
        "workers": swap.workers,
        "seconds": number(swap.until - swap.time, 1) if swap.workers > 1 else "",
    }


def _troubles(service: Service) -> list[str]:
    """What keeps versions from answering that should."""
    several = len(service.all_models()) > 1
    told = [(live.name, trouble_of(live)) for live in service.all_models()]
    return [f"{name}: {trouble}" if several else trouble for name, trouble in told if trouble]


def _models(service: Service, moment: float) -> list[dict[str, str]]:
    return [
        {
            "live": live.name,
            "model": "–" if live.served is None else live.served.name,
            "version": "none" if live.served is None else live.served.version,
            "since": "" if live.served is None else ago(moment - live.served.loaded),
            "state": _state(live.trouble is not None, live.served is not None),
        }
        for live in service.all_models()
    ]


def _state(troubled: bool, answers: bool) -> str:
    if troubled:
        return "degraded" if answers else "missing"
    return "ready" if answers else "loading"


def _workers(service: Service) -> list[dict[str, str]]:
    """The workers with the version of the main model that each of them has."""
    served = service.live.served
    own = {str(os.getpid()): "" if served is None else served.version}
    return [
        {"worker": worker, "version": version}
        for worker, version in (siblings.versions() or own).items()
    ]


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%H:%M:%S UTC")
