"""The check of everything that callers give, before it is stored or asked for."""

from __future__ import annotations

import hashlib
import json
import math
import numbers
import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from shoal.errors import DataError, EventError
from shoal.events.event import Event, Row, ShownList

LONGEST_ID = 256  # characters
LONGEST_TYPE = 64
LONGEST_NAME = 64  # of an experiment, and of a variant
MOST_SHOWN = 10_000  # items of one list
LARGEST_VALUE = 1e30  # as `shoal.read` allows
DAY = 86_400.0

# control characters, and halves of surrogate pairs, which no encoding can write
NOT_ALLOWED = "[\x00-\x1f\x7f-\x9f\ud800-\udfff]"
_NOT_ALLOWED = re.compile(NOT_ALLOWED)


def checked_text(value: Any, what: str, longest: int = LONGEST_ID) -> str:
    """An id as text without outer spaces.

    Raises
    ------
    EventError
        Empty, too long, with control characters, or of a type that is no id's.
    """
    if isinstance(value, str):
        text = value.strip()
    elif isinstance(value, bool) or not isinstance(value, numbers.Integral | uuid.UUID):
        raise EventError(f"{what} is {value!r:.60}: give text, a whole number or a UUID")
    else:
        text = str(value)
    if not text:
        raise EventError(f"{what} is empty")
    if len(text) > longest:
        raise EventError(
            f"{what} has {len(text):,} characters ({text[:20]!r}…), and at most {longest} are kept"
        )
    if _NOT_ALLOWED.search(text):
        raise EventError(f"{what} is {text[:60]!r}: control characters are not allowed")
    return text


def seconds(time: Any, now: float, what: str) -> float:
    """A time in seconds since 1970.

    Raises
    ------
    EventError
        No time, one before 1970, or one that is more than a day in the future.
    """
    if time is None:
        return now
    if isinstance(time, str | date):
        number = _seconds_of_date(time, what)
    elif isinstance(time, bool) or not isinstance(time, numbers.Real):
        raise EventError(f"{what} is {time!r:.60}: give seconds since 1970 or an ISO date")
    else:
        number = float(time)
    if not 0 <= number <= now + DAY:  # also refuses NaN
        raise EventError(f"{what} is {number:.15g}: {_what_is_wrong(number)}")
    return number


def _what_is_wrong(number: float) -> str:
    if not math.isfinite(number):
        return "give a finite number"
    if number < 0:
        return "times before 1970 are refused"
    hint = ", and these may be milliseconds" if number > 1e11 else ""
    return f"that is more than a day in the future; times are seconds since 1970{hint}"


def _seconds_of_date(time: str | date, what: str) -> float:
    try:
        moment = time if isinstance(time, datetime) else datetime.fromisoformat(str(time).strip())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.timestamp()
    except (ValueError, OverflowError):
        raise EventError(
            f"{what} is {str(time)[:60]!r}: give seconds since 1970 or an ISO date such as "
            "2024-01-31T12:00:00Z"
        ) from None


def checked_value(value: Any, what: str) -> float | None:
    """A value as a number; None stays.

    Raises
    ------
    EventError
        No finite number.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise EventError(f"{what} is {value!r:.60}: give a number")
    number = float(value)
    if not abs(number) <= LARGEST_VALUE:  # also refuses NaN
        raise EventError(f"{what} is {number}: give a finite number up to {LARGEST_VALUE:g}")
    return number


def checked_type(given: Any, weights: Mapping[str, float] | None, what: str) -> str:
    """The type of an event, which has a weight where there are weights.

    Raises
    ------
    EventError
        No text, or none of the types that count.
    """
    kind = checked_text(given, what, LONGEST_TYPE)
    if weights is not None and kind not in weights:
        raise EventError(f"{what} is {kind!r}: give one of {', '.join(weights)}")
    return kind


def event_rows(
    events: Sequence[Event], now: float, weights: Mapping[str, float] | None = None
) -> list[Row]:
    """Rows of the table of events.

    Raises
    ------
    EventError
        An event cannot be stored; the message names its place among the others, from 1.
    """
    rows, several = [], len(events) > 1
    for place, event in enumerate(events, 1):
        of = f" of event {place}" if several else ""
        request, own_id = event.request_id, event.id
        rows.append(
            {
                "user_id": checked_text(event.user, f"user{of}"),
                "item_id": checked_text(event.item, f"item{of}"),
                "type": checked_type(event.type, weights, f"type{of}"),
                "value": checked_value(event.value, f"value{of}"),
                "time": seconds(event.time, now, f"time{of}"),
                "received": now,
                "request_id": None if request is None else checked_text(request, f"request_id{of}"),
                "event_key": None if own_id is None else checked_text(own_id, f"id{of}"),
            }
        )
    return rows


def list_rows(lists: Sequence[ShownList], now: float) -> list[Row]:
    """Rows of the table of lists.

    Raises
    ------
    EventError
        A list cannot be stored; the message names its place among the others, from 1.
    """
    rows = []
    for place, shown in enumerate(lists, 1):
        of = f" of list {place}" if len(lists) > 1 else ""
        items = [checked_text(item, f"item {n}{of}") for n, item in enumerate(shown.items, 1)]
        if len(items) > MOST_SHOWN:
            raise EventError(f"a list of {len(items):,} items: give {MOST_SHOWN:,} at most")
        if (shown.experiment is None) != (shown.variant is None):
            raise EventError(f"experiment and variant{of} go together: give both or none")
        rows.append(
            {
                "request_id": checked_text(shown.request_id, f"request_id{of}"),
                "user_id": None if shown.user is None else checked_text(shown.user, f"user{of}"),
                "model": checked_text(shown.model, f"model{of}"),
                "version": checked_text(shown.version, f"version{of}"),
                "time": seconds(shown.time, now, f"time{of}"),
                "shown": json.dumps(items, ensure_ascii=False),
                "experiment": _optional(shown.experiment, f"experiment{of}"),
                "variant": _optional(shown.variant, f"variant{of}"),
            }
        )
    return rows


def _optional(name: Any, what: str) -> str | None:
    return None if name is None else checked_text(name, what, LONGEST_NAME)


def digest(events: Sequence[Event], lists: Sequence[ShownList] = ()) -> str:
    """A hash of what a call gives, by which a key that is used twice is checked.

    Who made a list is left out: another version may answer when a call is sent again.
    """
    given: list[list[Any]] = [
        [*map(str, (e.user, e.item, e.type, e.value, e.time, e.request_id, e.id))] for e in events
    ]
    given += [[*map(str, (s.request_id, s.user, s.time)), [*map(str, s.items)]] for s in lists]
    return hashlib.sha256(json.dumps(given).encode()).hexdigest()


def user_hash(user: str) -> str:
    """How a deleted user is remembered."""
    return hashlib.sha256(user.encode()).hexdigest()


def checked_bound(time: Any, what: str) -> float | None:
    """A bound of a time window, which may lie in the future."""
    return None if time is None else seconds(time, math.inf, what)


def checked_limit(limit: Any) -> int:
    """How many rows to give back.

    Raises
    ------
    EventError
        No whole number of 1 or more.
    """
    if isinstance(limit, bool) or not isinstance(limit, numbers.Integral) or limit < 1:
        raise EventError(f"limit={limit!r}: give a whole number of 1 or more")
    return min(int(limit), 1_000_000)


def checked_weights(weights: Mapping[str, Any] | None) -> dict[str, float] | None:
    """The weights as they are kept.

    Raises
    ------
    DataError
        None at all, or one that is negative or not finite.
    """
    if weights is None:
        return None
    if not weights:
        raise DataError("weights: name at least one type, such as {'view': 1, 'purchase': 5}")
    kept: dict[str, float] = {}
    for kind, weight in weights.items():
        name = checked_text(kind, "a type of the weights")
        number = math.nan if isinstance(weight, bool | str) else float(weight)
        if not 0 <= number <= LARGEST_VALUE:  # also refuses NaN
            raise DataError(
                f"weight {weight!r} of type {name!r}: give a number of 0 or more, where 0 takes "
                "the item out of the history"
            )
        kept[name] = number
    return kept
