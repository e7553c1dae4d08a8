"""A small log in every form, and what any reading of it must give."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from shoal.data.interactions import Interactions

ROWS = [(3, 40, 5.0, 300), (1, 7, 4.0, 100), (1, 40, 2.5, 200), (20, 7, 1.0, 50)]
NAMES = ["user", "item", "rating", "timestamp"]
# by hand: users 1, 3, 20; items 7, 40
USERS, ITEMS, INDPTR, INDICES = [1, 3, 20], [7, 40], [0, 2, 3, 4], [0, 1, 1, 0]
VALUES, TIMES = [4.0, 2.5, 5.0, 1.0], [100, 200, 300, 50]

Write = Callable[[Path], Any]


def text(separator: str, header: bool = True, end: str = "\n") -> str:
    lines = [separator.join(NAMES)] if header else []
    lines += [separator.join(map(str, row)) for row in ROWS]
    return end.join(lines) + end


def frame() -> pl.DataFrame:
    return pl.DataFrame(ROWS, schema=NAMES, orient="row")


def file(name: str, content: str | bytes) -> Write:
    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def parts(name: str, pieces: list[bytes]) -> Write:
    """Several files, and the pattern that finds them."""

    def write(folder: Path) -> Path:
        for at, piece in enumerate(pieces):
            (folder / name.replace("*", f"part-{at}")).write_bytes(piece)
        return folder / name

    return write


def as_bytes(method: str, rows: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    getattr(rows, method)(buffer)
    return buffer.getvalue()


PARQUET, ARROW = as_bytes("write_parquet", frame()), as_bytes("write_ipc", frame())


def facts(log: Interactions) -> dict[str, Any]:
    return {
        "users": log.users.take(np.arange(log.n_users)),
        "items": log.items.take(np.arange(log.n_items)),
        "indptr": log.indptr.tolist(),
        "indices": log.indices.tolist(),
        "values": None if log.values is None else log.values.tolist(),
        "times": None if log.times is None else log.times.tolist(),
    }


BY_HAND = {
    "users": USERS,
    "items": ITEMS,
    "indptr": INDPTR,
    "indices": INDICES,
    "values": VALUES,
    "times": TIMES,
}


def users_of(log: Interactions) -> list[Any]:
    return log.users.take(np.arange(log.n_users))
