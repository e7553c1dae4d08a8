"""Logs: a line of JSON for each event on standard error.

What a line holds is listed where it is written: never a key, an id of a user or an item, a history,
or a query.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import Any

from shoal.errors import ShoalError

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_lock = threading.Lock()
_state = {"lowest": 20}


def set_level(level: str) -> None:
    """Write only lines of this level and above."""
    _state["lowest"] = _LEVELS[level]


def is_on(level: str) -> bool:
    """Whether lines of a level are written."""
    return _LEVELS[level] >= _state["lowest"]


def log(level: str, message: str, **values: Any) -> None:
    """Write a line.

    Parameters
    ----------
    level : str
        ``debug``, ``info``, ``warning`` or ``error``.
    message : str
        What happened, always the same words for the same event.
    **values
        Numbers and names that belong to it.
    """
    if not is_on(level):
        return
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    entry = {"time": now, "level": level, "message": message, "pid": os.getpid(), **values}
    _write(json.dumps(entry, default=str))


def log_request(request_id: str, method: str, route: str, status: int, ms: float) -> None:
    """Write the line of a request; the route is the pattern, without what it was filled with."""
    if not is_on("info"):
        return
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    _write(
        f'{{"time": "{now}", "level": "info", "message": "request", "pid": {os.getpid()}, '
        f'"request_id": {json.dumps(request_id)}, "method": {json.dumps(method)}, '
        f'"route": {json.dumps(route)}, "status": {status}, "ms": {ms:.2f}}}'
    )


def log_fault(request_id: str, route: str, error: BaseException) -> None:
    """Write where an exception came from: files, lines and its type, and not what it says.

    The text of an exception may hold an id of a user.
    """
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    log(
        "error", "fault", request_id=request_id, route=route, error=type(error).__name__,
        traceback=places,
    )  # fmt: skip


def reason_of(error: Exception) -> str:
    """What an exception says, in one line; its type comes first where it is no ShoalError."""
    text = " ".join(str(error).split())[:500]
    return text if isinstance(error, ShoalError) else f"{type(error).__name__}: {text}"


def _write(line: str) -> None:
    with _lock:
        try:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):  # standard error is closed or full: there is nobody to tell
            return


class JsonHandler(logging.Handler):
    """Writes what uvicorn and others log in the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, without the text of its exception."""
        level = record.levelname.lower()
        level = "error" if level == "critical" else level if level in _LEVELS else "info"
        values: dict[str, Any] = {"logger": record.name}
        if record.exc_info and record.exc_info[0] is not None:
            values["error"] = record.exc_info[0].__name__
        log(level, record.getMessage(), **values)
