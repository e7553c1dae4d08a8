"""The rows of a log as arrays: numbers in place of ids, values and times."""

from __future__ import annotations

import numpy as np
import polars as pl

from shoal.data.ids import Ids, encode_written
from shoal.data.prepare import Entries
from shoal.data.rows import Values
from shoal.kernels.arrays import Int


def encode_rows(
    frame: pl.DataFrame, name: str, values: Values, *, typed: bool, file_order: bool = False
) -> Entries:
    """Turn the columns of the rows that count into arrays.

    Parameters
    ----------
    frame : DataFrame
        From `scan`. Each column is taken out of it, to free its memory.
    name : str
        Name of the log, for error messages.
    values : {"binary", "keep", "log1p"}
    typed : bool
        False for a text file, whose ids are numbers if all are written like one.
    file_order : bool
        Whether the number of each row is kept.
    """
    users = encode_ids(frame, "user", name, typed=typed)
    items = encode_ids(frame, "item", name, typed=typed)
    value = time = None
    if "value" in frame.columns:
        value = frame.drop_in_place("value").to_numpy().astype(np.float32)
    if "time" in frame.columns:
        time = frame.drop_in_place("time").to_numpy()
        if time.dtype != np.int64:
            whole = (np.floor(time) == time) & (np.abs(time) < 2**63)
            time = time.astype(np.int64) if whole.all() else time
    return Entries(
        *users,
        *items,
        value=value,
        time=time,
        row=frame["row"].to_numpy().astype(np.int64) if file_order else None,
        keep_value=values != "binary",
        name=name,
        logarithm=values == "log1p",
    )


def encode_ids(frame: pl.DataFrame, role: str, name: str, *, typed: bool) -> tuple[Int, Ids]:
    """Take a column of ids out of a frame: the position of each row's id, and the ids."""
    where = f"the {role} column of {name}"
    return encode_written(frame.drop_in_place(role), where, typed=typed)
