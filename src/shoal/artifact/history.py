"""The history of a store: a line of JSON for each version that was published or made live."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HISTORY = "history.jsonl"


def append(store: Path, entry: dict[str, Any]) -> None:
    """Add an entry to the history, and wait until it is on the disk."""
    append_line(store / HISTORY, entry)


def append_line(path: Path, entry: dict[str, Any]) -> None:
    """Add an entry with the time to a file of JSON lines, and wait until it is on the disk.

    A part of a line that a killed process or a full disk left is ended first, so that it harms no
    other line.
    """
    line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), **entry})
    with path.open("ab+") as file:
        end = file.seek(0, os.SEEK_END)
        if end:
            file.seek(end - 1)
            if file.read(1) != b"\n":
                line = "\n" + line
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def entries(store: Path) -> list[dict[str, Any]]:
    """All entries, oldest first; lines that are none are left out."""
    try:
        text = (store / HISTORY).read_text("utf-8", "replace")
    except OSError:
        return []
    found = []
    for line in text.split("\n"):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and isinstance(entry.get("version"), str):
            found.append(entry)
    return found


def notes(store: Path) -> dict[str, str]:
    """What was said of each version when it was published, by its name."""
    return {
        entry["version"]: str(entry.get("note", ""))
        for entry in entries(store)
        if entry.get("action") == "publish"
    }


def way_back(store: Path, live: str | None) -> list[str]:
    """The versions that were live one after the other, the live one last.

    A roll-back takes the last one away, so that the next one goes further back. An entry that was
    written by a process that was killed before it moved the pointer does not count.

    Parameters
    ----------
    store : Path
    live : str or None
        The live version as the pointer says it; None if there is none.
    """
    way: list[str] = []
    for entry in entries(store):
        if not entry.get("live"):
            continue
        _end_with(way, entry.get("before"))
        version = entry["version"]
        if entry.get("action") == "rollback":
            _end_with(way, version)
        elif not way or way[-1] != version:
            way.append(version)
    _end_with(way, live)
    return way


def _end_with(way: list[str], live: Any) -> None:
    """Cut the way after a version, or add that version if it is not on it."""
    if not isinstance(live, str):
        return
    if live in way:
        while way[-1] != live:
            way.pop()
    else:
        way.append(live)
