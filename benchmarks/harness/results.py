"""A study's results: one file of JSON lines, to which each result is added once it is measured."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Results:
    """The results of one study, by name, in a file that survives an interruption.

    Each line of the file is ``{"name": …, "result": {…}}``. `save` adds a line at the end and has
    it written to the disk before it returns, so that a study that is killed continues with the
    first result that is missing. Of several lines with the same name, the last one counts. The
    unfinished line of a study that was killed while it wrote is left out when the file is read, and
    the next `save` writes over it. One process at a time may save.

    Parameters
    ----------
    path : Path
        The file, usually ``results.jsonl`` beside the study's ``run.py``. It need not be there yet;
        it is read when the first result is asked for.

    Examples
    --------
    >>> results = Results(HERE / "results.jsonl")
    >>> if "ease-100" not in results:
    ...     results.save("ease-100", {"fit_seconds": 5.6})
    >>> results.get("ease-100")
    {'fit_seconds': 5.6}
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: dict[str, Row] | None = None

    def get(self, name: str) -> Row | None:
        """The result of this name; None if there is none yet."""
        return self._read().get(name)

    def __contains__(self, name: str) -> bool:
        return name in self._read()

    def names(self, pattern: str = "*") -> list[str]:
        """Names in alphabetical order; with a pattern such as ``ease-*``, those that match it."""
        return sorted(name for name in self._read() if fnmatchcase(name, pattern))

    def matching(self, pattern: str) -> list[Row]:
        """Results whose names match a pattern such as ``ease-*``, in the order of their names."""
        rows = self._read()
        return [rows[name] for name in self.names(pattern)]

    def save(self, name: str, row: Row) -> None:
        """Add a result at the end of the file, and wait until it is on the disk."""
        rows = self._read()
        line = json.dumps({"name": name, "result": row}, sort_keys=True, ensure_ascii=False)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole, rest = self._parts()
        with self.path.open("ab") as file:
            file.truncate(len(whole))
            file.write(rest + line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        rows[name] = json.loads(line)["result"]  # what a later process will read

    def once(self, name: str, make: Callable[[], Row], shown: Callable[[Row], str]) -> Row:
        """The kept result of this name, or a new one, which is saved and a line of it printed."""
        kept = self.get(name)
        if kept is not None:
            return kept
        row = make()
        self.save(name, row)
        print(f"{name}: {shown(row)}", flush=True)
        return row

    def _read(self) -> dict[str, Row]:
        """All results, read from the file once."""
        if self._rows is None:
            self._rows = {}
            for number, line in enumerate(b"".join(self._parts()).splitlines(), 1):
                try:
                    entry = json.loads(line)
                    self._rows[entry["name"]] = entry["result"]
                except (ValueError, KeyError, TypeError) as error:
                    place = f"{self.path}, line {number}"
                    raise SystemExit(f"{place}: not a result; correct or delete it") from error
        return self._rows

    def _parts(self) -> tuple[bytes, bytes]:
        """The lines that end, and the last one if it lacks nothing but its end."""
        text = self.path.read_bytes() if self.path.exists() else b""
        end = text.rfind(b"\n") + 1
        whole, last = text[:end], text[end:]
        try:
            json.loads(last)
        except ValueError:  # cut short, or not there
            return whole, b""
        return whole, last + b"\n"
