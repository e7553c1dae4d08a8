"""JSON lines, piece by piece, and JSON arrays."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from shoal.data.lazy import lazy_frame
from shoal.data.limits import check_whole
from shoal.data.unpack import unpacked, whole_lines
from shoal.errors import DataError

_HEAD = 10_000  # rows that the columns and their types are taken from


def open_json(name: str, files: tuple[Path, ...]) -> pl.LazyFrame:
    """Open files of JSON lines, or one with an array of objects.

    Raises
    ------
    DataError
        The text is neither.
    """
    head = _head(files[0])
    if head.lstrip()[:1] == b"[":
        frames = [_array(path) for path in files]
        return pl.concat(frames, how="diagonal").lazy()
    if not head.strip():
        raise DataError(f"{files[0]} is empty")
    try:
        schema = pl.read_ndjson(head, infer_schema_length=_HEAD).schema
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise _fault(files[0], head, 1, error) from error
    return lazy_frame(lambda: _frames(files, schema), schema)


def _head(path: Path) -> bytes:
    """The first rows of a file, or all of a short one."""
    head, n = b"", 0
    for text, _, _ in whole_lines(path):
        lines = text.splitlines(keepends=True)[: _HEAD - n]
        head, n = head + b"".join(lines), n + len(lines)
        if n >= _HEAD:
            break
    return head


def _frames(files: tuple[Path, ...], schema: Any) -> Iterator[pl.DataFrame]:
    for path in files:
        for text, line, _ in whole_lines(path):
            rows = re.sub(rb"\n\s*\n", b"\n", text).strip()
            if not rows:
                continue
            try:
                yield pl.read_ndjson(rows, schema=schema)
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
                raise _fault(path, text, line, error) from error


def _array(path: Path) -> pl.DataFrame:
    """The objects of a JSON array, which has to be in memory as a whole."""
    pieces, size = [], 0
    for piece in unpacked(path):
        size += len(piece)
        check_whole(path, size, "write one object a line (jq -c '.[]') and name it .jsonl")
        pieces.append(piece)
    text = b"".join(pieces).removeprefix(b"\xef\xbb\xbf")
    try:
        if any(not isinstance(row, dict) for row in json.loads(text)):
            raise DataError(f"{path} is a JSON array, but not of objects such as {{'user': 1}}")
        return pl.read_json(text, infer_schema_length=_HEAD)
    except DataError:
        raise
    except (
        *(ValueError, RecursionError),
        *(pl.exceptions.PolarsError, pl.exceptions.PanicException),
    ) as error:
        reason = str(error).strip().splitlines()[:1]
        raise DataError(f"{path} cannot be read as JSON: {''.join(reason)}") from error


def _fault(path: Path, text: bytes, line: int, error: BaseException) -> DataError:
    """Which line is no JSON object, and why."""
    for i, raw in enumerate(text.split(b"\n")):
        try:
            if raw.strip() and not isinstance(json.loads(raw), dict):
                return DataError(
                    f"{path} cannot be read as JSON lines: line {line + i} is no object"
                )
        except (ValueError, RecursionError) as reason:
            return DataError(
                f"{path} cannot be read as JSON lines (one JSON object per line is expected): line "
                f"{line + i}: {reason}"
            )
    reason_lines = str(error).strip().splitlines()[:1]
    return DataError(f"{path} cannot be read as JSON lines: {''.join(reason_lines)}")
