"""Cells of invented models, whose values per user are what a test says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from shoal.data.ids import Ids
from shoal.evaluation.evaluate import Evaluation, Score
from shoal.experiments.comparison.cell import Cell


def cell(
    label: str,
    values: Mapping[str, Sequence[float]] | Sequence[float],
    *,
    kind: str = "linear",
    seed: int = 0,
    users: Sequence[int] | None = None,
    lengths: Sequence[int] | None = None,
    **more: Any,
) -> Cell:
    """A cell with these values per user of each metric (of ndcg@10, if it is one list).

    Parameters
    ----------
    label : str
    values : mapping metric → values, or a list
    kind, seed
        Of the cell.
    users : list of int, optional
        Ids, ascending; 0, 1, 2, … unless given.
    lengths : list of int, optional
        Of the users' histories.
    **more
        Other fields of `Cell`; those of costs have small defaults.
    """
    of_metrics = values if isinstance(values, Mapping) else {"ndcg@10": values}
    arrays = {name: np.asarray(v, np.float64) for name, v in of_metrics.items()}
    n = len(next(iter(arrays.values())))
    scores = {}
    for name, array in arrays.items():
        known = array[~np.isnan(array)]
        se = float(known.std(ddof=1) / np.sqrt(known.size)) if known.size > 1 else None
        scores[name] = Score(float(known.mean()) if known.size else np.nan, se, known.size)
    ids = Ids(pl.Series(range(n) if users is None else users, dtype=pl.Int64), "int")
    overall = more.pop("overall", {})  # metrics without values per user
    scores |= {name: Score(value, None, n) for name, value in overall.items()}
    settings = more.pop("settings", {"l2": 1.0})
    evaluation = Evaluation(label, settings, f"invented, seed {seed}", scores, arrays, ids, 0, 0.1)
    costs: dict[str, Any] = {"fit_seconds": 1.0, "model_bytes": 1000} | more
    return Cell(
        label,
        kind,
        seed,
        evaluation,
        history_lengths=None if lengths is None else np.asarray(lengths, np.int64),
        **costs,
    )
