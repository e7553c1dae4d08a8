"""When to refresh: at an interval, or at a time of day."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_UNITS = {"m": 60, "h": 3600, "d": 86_400}
_SHORTEST = 60.0  # seconds


def parse_schedule(text: str) -> timedelta | tuple[int, int]:
    """``24h`` as an interval, ``03:00`` as hour and minute.

    Raises
    ------
    ValueError
        It is neither; pydantic reports it with the key.
    """
    interval = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([mhd])", text.strip())
    if interval:
        seconds = float(interval[1]) * _UNITS[interval[2]]
        if not _SHORTEST <= seconds <= 366 * 86_400:
            raise ValueError("give an interval between a minute and a year")
        return timedelta(seconds=seconds)
    daily = re.fullmatch(r"(\d{1,2}):(\d\d)", text.strip())
    if daily and int(daily[1]) < 24 and int(daily[2]) < 60:
        return int(daily[1]), int(daily[2])
    raise ValueError('write an interval such as "24h", "30m" or "7d", or a time such as "03:00"')


def next_run(schedule: str, last: datetime | None, now: datetime) -> datetime:
    """When to refresh next.

    Parameters
    ----------
    schedule : str
        An interval begins with the last refresh, and the first one is at once. A time of day is
        that of the clock of `now`.
    last : datetime or None
        When the last refresh began.
    now : datetime
    """
    parsed = parse_schedule(schedule)
    if isinstance(parsed, timedelta):
        return now if last is None else max(now, last + parsed)
    hour, minute = parsed
    today = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if today > now and (last is None or last < today):
        return today
    return today + timedelta(days=1)
