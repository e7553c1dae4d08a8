"""What a person may hand over where `Interactions` are wanted: a frame, a matrix or a path."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from shoal.data.columns import find_roles
from shoal.data.interactions import Interactions
from shoal.data.read import read
from shoal.data.sources import open_source
from shoal.errors import DataError


def as_interactions(data: Any, wanted_by: str) -> Interactions:
    """Read a frame, a scipy matrix or a file in place of a log, where that leaves nothing open.

    Parameters
    ----------
    data : Interactions, path, polars or pandas frame, Arrow table or scipy sparse matrix
        A log that was not read holds users and items, and perhaps times. One with values leaves
        open what they mean, and is refused.
    wanted_by : str
        What the log is for, for error messages: "fit".

    Returns
    -------
    Interactions

    Raises
    ------
    DataError
        The log has values, cannot be read, or is something else altogether.
    """
    if isinstance(data, Interactions):
        return data
    if hasattr(data, "train") and hasattr(data, "test"):
        raise DataError(f"{wanted_by} takes one log, and this is a split: give split.train")
    if hasattr(data, "history") and hasattr(data, "target"):
        raise DataError(f"{wanted_by} takes a log, and these are held-out users: give split.train")
    kind = type(data).__name__
    if sp.issparse(data):
        if data.nnz and (data.data != 1).any():
            raise DataError(
                f"{wanted_by} got a matrix with values: say what they mean with shoal.read(matrix, "
                "values='keep') or shoal.read(matrix, min_value=…)"
            )
        return read(data)
    if isinstance(data, np.ndarray | list | tuple | dict) or data is None:
        raise DataError(
            f"{wanted_by} takes a log, and this is {kind}: read a file, a frame or a scipy matrix "
            "with shoal.read(…)"
        )
    source = open_source(data)
    roles, _ = find_roles(source, source.frame.collect_schema().names(), None)
    if "value" in roles:
        raise DataError(
            f"{wanted_by} got {source.name} with a column of values, {roles['value']!r}: say what "
            "it means with shoal.read(…, min_value=…) or shoal.read(…, values='keep'), or leave it "
            "out with shoal.read(…, columns={'value': 'none'})"
        )
    return read(data)
