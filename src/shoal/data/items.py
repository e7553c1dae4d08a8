"""Tables of items: their ids and attributes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from shoal.data.columns import folded, is_known, usual_names
from shoal.data.conditions import column_name
from shoal.data.dialect import TextRules
from shoal.data.ids import encode, without_decimals
from shoal.data.interactions import Interactions
from shoal.data.placeholders import WORDS
from shoal.data.sources import Source, explained, open_source
from shoal.data.titles import TITLES
from shoal.errors import DataError

_RULES = TextRules(format="rows", is_usual_name=is_known)  # of item tables in text files
_INT = r"^(?:0|-?[1-9]\d{0,17})$"  # without leading zeros, which codes have
_NUMBER = r"^[+-]?(?:0|[1-9]\d*)?(?:\.\d+)?(?:[eE][+-]?\d+)?$"
_DATE = r"^\d{4}-\d{2}-\d{2}$"


def read_items(
    table: Any, log_column: str = "item", *, item_id: str | None = None, typed: bool = True
) -> pl.DataFrame:
    """Read item attributes; the id column is renamed to ``item``.

    Parameters
    ----------
    table : path or frame
    log_column : str
        Name of the id column in the log. If the table has no such column, it is guessed.
    item_id : str, optional
        Name of the id column in the table, if it is to be no other.
    typed : bool
        Whether attributes of text files become numbers and dates where all of them are such
        (ids never do).

    Raises
    ------
    DataError
        No column can be recognised as the item id, or its type cannot serve as ids.
    """
    source = open_source(table, _RULES)
    if not source.has_header:
        raise DataError(f"{source.name}: an item table needs a header that names its columns")
    with explained(source):
        names = source.frame.collect_schema().names()
        id_column = _id_column(source, names, log_column, item_id)
        frame = source.frame.filter(pl.col(id_column).is_not_null()).collect()
    ids = frame[id_column]
    if not source.typed:
        ids = without_decimals(ids.str.strip_chars())
    codes, distinct = encode(ids, f"column {id_column!r} of {source.name}")
    others = [n for n in names if n not in (id_column, "item")]
    attributes = frame.select(others)
    if typed and not source.typed:
        attributes = attributes.select(with_type(attributes[name]) for name in others)
    return pl.DataFrame([distinct.series.gather(codes).alias("item"), *attributes.get_columns()])


def _id_column(source: Source, names: list[str], log_column: str, item_id: str | None) -> str:
    """The column that holds the ids: as the user says, else by its name."""
    if item_id is not None:
        try:
            return column_name(item_id, names)
        except DataError:
            raise DataError(
                f"{source.name} has no column {item_id!r} (asked for as the item's id); its "
                f"columns: {', '.join(names)}"
            ) from None
    candidates = [log_column] if log_column in names else usual_names("item", names)
    if not candidates:
        raise DataError(
            f"{source.name}: no column could be recognised as the item's id; its columns are "
            f"{', '.join(names)}. Name it 'item', or say which it is: --item-id NAME"
        )
    return candidates[0]


def with_type(column: pl.Series) -> pl.Series:
    """A column of texts as numbers or dates, if all of them are such.

    Codes with leading zeros stay text, and so do titles and names. Texts such as ``NA`` among
    numbers are empty.
    """
    # titles are texts, even if all of them are numbers ("1984")
    if column.dtype != pl.String or folded(column.name) in TITLES:
        return column
    text = column.str.strip_chars()
    entries = text.filter(text.is_not_null() & (text != "") & ~text.is_in(WORDS))
    if entries.is_empty():
        return column
    if entries.str.contains(_INT).all():
        return text.cast(pl.Int64, strict=False)
    if (entries.str.contains(_NUMBER) & (entries.str.contains(r"\d"))).all():
        return text.cast(pl.Float64, strict=False).fill_nan(None)
    if entries.str.contains(_DATE).all():
        dates = text.str.to_date("%Y-%m-%d", strict=False)
        if dates.null_count() == len(column) - len(entries):
            return dates
    return column


def item_frame(interactions: Interactions) -> pl.DataFrame:
    """Give the items of a log with their attributes, or their ids alone."""
    if interactions.item_table is not None:
        return interactions.item_table
    return pl.DataFrame({"item": interactions.items.series})


def item_table(items: Any, column: str | None = None) -> tuple[pl.DataFrame, str]:
    """Read a table of items as it is written: the id in ``item``, and its name for messages.

    Raises
    ------
    DataError
        The table cannot be read or has no such id column.
    """
    table = read_items(items, item_id=column, typed=False)
    return table, str(items) if isinstance(items, str | Path) else open_source(items).name
