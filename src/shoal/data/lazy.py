"""Lazy frames from rows that are parsed piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import polars as pl
from polars.io.plugins import register_io_source
from polars.schema import Schema


def lazy_frame(frames: Callable[[], Iterator[pl.DataFrame]], schema: Schema) -> pl.LazyFrame:
    """A lazy frame whose rows are parsed anew for each query, and no further than it needs.

    Parameters
    ----------
    frames : callable
        Begins to parse, and gives the rows piece by piece.
    schema : Schema
        Columns and types of each piece.
    """

    def batches(
        columns: list[str] | None, predicate: pl.Expr | None, n_rows: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        for frame in frames():
            part = frame if columns is None else frame.select(columns)
            if n_rows is not None:
                part = part.head(n_rows)
                n_rows -= len(part)
            yield part if predicate is None else part.filter(predicate)
            if n_rows == 0:
                return

    return register_io_source(batches, schema=schema)
