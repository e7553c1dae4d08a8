"""`Finding`: what a check of an installation found, and how a fault is mended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"  # works, but not as well or as safely as it could
    FAULT = "fault"  # the service would not start, or would fail


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Parameters
    ----------
    check : str
        What was looked at, in a word or two.
    state : State
    text : str
        What is the case, with its numbers.
    way_out : str
        What to do about it; empty where all is well.
    """

    check: str
    state: State
    text: str
    way_out: str = ""


def ok(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, State.OK, text)


def warning(check: str, text: str, way_out: str) -> Finding:
    """Works, but not as well or as safely as it could."""
    return Finding(check, State.WARNING, text, way_out)


def fault(check: str, text: str, way_out: str) -> Finding:
    """The service would not start, or would fail."""
    return Finding(check, State.FAULT, text, way_out)
