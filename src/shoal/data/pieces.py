"""One pass over a log in pieces: rows are judged and counted, and those that count are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from shoal.data.limits import SMALL
from shoal.errors import MemoryBudgetError
from shoal.run import available_memory, human_bytes

ROWS = 100_000  # of a piece


@dataclass(frozen=True)
class Budget:
    """The memory that the rows of a log may take.

    Parameters
    ----------
    name : str
        Name of the log, for error messages.
    n_bytes : int
    """

    name: str
    n_bytes: int

    @staticmethod
    def of(name: str, memory: int | None) -> Budget:
        """The memory that was asked for, or 80 % of what is free; a little is always there."""
        asked = int(0.8 * available_memory()) if memory is None else memory
        return Budget(name, max(SMALL, asked))


def collect_in_pieces(
    pieces: Iterable[pl.LazyFrame],
    empty: pl.DataFrame,
    flags: Mapping[str, pl.Expr],
    keep: pl.Expr,
    budget: Budget,
) -> tuple[dict[str, Any], pl.DataFrame]:
    """Count the rows with each flag, and keep some columns of the rows that count.

    Parameters
    ----------
    pieces : iterable of LazyFrame
        The rows, some at a time.
    empty : DataFrame
        The columns to keep, without rows.
    flags : mapping of name to expression
        A boolean for each row.
    keep : expression
        Whether a row is kept.
    budget : Budget

    Returns
    -------
    counts : dict of str to int
        The number of rows with each flag, and of "all" rows.
    frame : DataFrame
        The rows that are kept.

    Raises
    ------
    MemoryBudgetError
        The rows that are kept, and their ids while they are numbered, do not fit the budget.
    """
    counts: dict[str, Any] = dict.fromkeys(["all", "not positive", *flags], 0)
    marks = [keep.alias("_kept"), *(flag.alias(f"_{name}") for name, flag in flags.items())]
    kept, size = [empty], 0
    for rows in pieces:
        piece = rows.select(*empty.columns, *marks).collect()
        counts["all"] += len(piece)
        for name in flags:
            counts[name] += int(piece[f"_{name}"].sum())
        part = piece.filter(pl.col("_kept")).select(empty.columns)
        if 2 * len(part) < len(piece):
            part = _copied(part)
        size += int(part.estimated_size())
        if 2 * size > budget.n_bytes:  # the ids are held once more while they are numbered
            raise MemoryBudgetError(
                f"{budget.name}: the rows that are kept take more than the "
                f"{human_bytes(budget.n_bytes)} of the memory budget ({counts['all']:,} rows read "
                "so far). Give more (--memory), keep fewer rows (--min-value, --since), or store "
                "ids as whole numbers in Parquet"
            )
        kept.append(part)
    return counts, pl.concat(kept, rechunk=True)


def _copied(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with texts of its own: filtered ones keep alive all that they were chosen from."""
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String]
    return frame.with_columns(pl.concat_str(pl.col(name), pl.lit("")).alias(name) for name in texts)
