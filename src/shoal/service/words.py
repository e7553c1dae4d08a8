"""Times and numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime


def duration(seconds: float) -> str:
    """A length of time: ``1.5 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"


def moment(seconds: float) -> str:
    """A time in seconds since 1970 as date and minute, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def with_minus(number: str) -> str:
    """A written number with the sign that is as wide as its digits, in place of a hyphen."""
    return number.replace("-", "−")


def protocol_in_words(protocol: str) -> str:
    """How a version was measured, as somebody reads it who does not know the name of the split."""
    for name, words in (
        ("strong test", "tested on users kept out of training"),
        ("strong validation", "validated on users kept out of training"),
    ):
        if protocol.startswith(name):
            return words + protocol.removeprefix(name)
    return protocol


def age_of(moment: str, now: datetime) -> str:
    """How long ago a moment in ISO form was, in words; empty if it cannot be read."""
    try:
        then = datetime.fromisoformat(moment)
    except ValueError:
        return ""
    then = then if then.tzinfo else then.replace(tzinfo=UTC)
    return ago((now - then).total_seconds())


def ago(seconds: float) -> str:
    """Seconds as words: ``3 hours ago``."""
    if seconds < 60:
        return "just now"
    for name, length, until in (
        ("minute", 60.0, 3600.0),
        ("hour", 3600.0, 48 * 3600.0),
        ("day", 86400.0, 60 * 86400.0),
        ("month", 30.44 * 86400, 24 * 30.44 * 86400),
    ):
        if seconds < until:
            n = int(seconds // length)
            return f"{n} {name}{'s' if n != 1 else ''} ago"
    return f"{int(seconds // (365.25 * 86400))} years ago"
