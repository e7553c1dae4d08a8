"""Tables of items: their ids and attributes."""

from __future__ import annotations

from typing import Any

import polars as pl

from shoal.data.columns import is_usual_name, usual_names
from shoal.data.dialect import TextRules
from shoal.data.ids import encode
from shoal.data.interactions import Interactions
from shoal.data.sources import UNREADABLE, explain, open_source
from shoal.errors import DataError

_RULES = TextRules(format="rows", is_usual_name=is_usual_name)  # of item tables in text files


def read_items(table: Any, log_column: str = "item") -> pl.DataFrame:
    """Read item attributes; the id column is renamed to ``item``.

    Parameters
    ----------
    table : path or frame
    log_column : str
        Name of the id column in the log. If the table has no such column, it is guessed.

    Raises
    ------
    DataError
        No column can be recognised as the item id, or its type cannot serve as ids.
    """
    source = open_source(table, _RULES)
    if not source.has_header:
        raise DataError(f"{source.name}: an item table needs a header that names its columns")
    try:
        names = source.frame.collect_schema().names()
        candidates = [log_column] if log_column in names else usual_names("item", names)
        if not candidates:
            raise DataError(
                f"{source.name}: no column could be recognised as the item's id; its columns are "
                f"{', '.join(names)}. Name it 'item'"
            )
        id_column = candidates[0]
        frame = source.frame.filter(pl.col(id_column).is_not_null()).collect()
    except DataError:
        raise
    except UNREADABLE as error:
        raise explain(source, error) from error
    ids = frame[id_column] if source.typed else frame[id_column].str.strip_chars()
    codes, distinct = encode(ids, f"column {id_column!r} of {source.name}")
    others = [n for n in names if n not in (id_column, "item")]
    return frame.select(distinct.series.gather(codes).alias("item"), *others)


def item_frame(interactions: Interactions) -> pl.DataFrame:
    """Give the items of a log with their attributes, or their ids alone."""
    if interactions.item_table is not None:
        return interactions.item_table
    return pl.DataFrame({"item": interactions.items.series})


def item_table(items: Any, column: str | None = None) -> tuple[pl.DataFrame, str]:
    """Read a table of items: a frame with the id in ``item``, and its name for error messages.

    Raises
    ------
    DataError
        The table cannot be read or has no such id column.
    """
    source = open_source(items, _RULES)
    if column is not None and source.has_header:
        names = source.frame.collect_schema().names()
        if column not in names:
            raise DataError(
                f"{source.name} has no column {column!r} (asked for as the item's id); its "
                f"columns: {', '.join(names)}"
            )
    return read_items(items, column or "item"), source.name
