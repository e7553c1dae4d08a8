"""What an epoch will take: epochs on small random data, and from them to the size that is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
from scipy.optimize import nnls

from shoal.base.costs import Costs
from shoal.base.deep import DeepRecommender
from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.data.size import Size
from shoal.kernels.arrays import Long
from shoal.run import Run, Silent

COLUMNS = 3000  # of the largest rehearsal: its scores of a batch no longer fit into a core's cache
ROWS = (32, 1024)  # at least and at most
SPARE = 2  # times the items of a batch, in a catalogue of which a step knows some
STEPS = 4  # of that
QUICK = 0.05  # seconds of an epoch that is worth repeating


def seconds_of_epoch(model: Costs, size: Size, run: Run) -> float:
    """Measure on small random data how many seconds an epoch takes, without its validation.

    An epoch takes a·steps + b·steps·weights + c·rows·weights + d·rows·columns + e·interactions
    seconds; a … e, none below zero, are those that explain the rehearsals best. Where a step knows
    the items of its batch only (`sampled` of ELSA), steps of full size are rehearsed instead.
    """
    assert isinstance(model, DeepRecommender)
    quiet = replace(run, progress=Silent(), checkpoint=None, training_log=None)
    if drawn := getattr(model, "sampled", 0):
        batch, length = (
            min(size.n_users, model.batch_size),
            max(1, size.n_interactions // size.n_users),
        )
        items = min(size.n_items, max(COLUMNS, SPARE * (batch * length + drawn)))
        users = min(size.n_users, STEPS * batch)
        log = _random_log(model, Size(users, items, users * min(length, items // 2 + 1)))
        return _epoch(model, log, 3, quiet) / -(-users // batch) * -(-size.n_users // batch)
    measured, took = [], []
    for small in _sizes(model, size):
        log = _random_log(model, small)
        measured.append(_amounts(model, log.size))
        took.append(_epoch(model, log, 2, quiet))
        if took[-1] < QUICK:
            took[-1] = min(took[-1], _epoch(model, log, 6, quiet))
    features, seconds = np.array(measured), np.array(took)
    scale = features.max(axis=0)
    # in relative terms, so that the small rehearsals count as much as the large
    rates, _ = nnls(features / scale / seconds[:, None], np.ones(len(seconds)))
    wanted = np.array(_amounts(model, size))
    return float(wanted / scale @ rates)


def _epoch(model: DeepRecommender, log: Interactions, n_epochs: int, run: Run) -> float:
    """The quickest epoch but the first, which loads and allocates."""
    settings = model.model_dump(exclude_unset=True) | {"n_epochs": n_epochs, "patience": 0}
    curve = type(model)(**settings).fit(log, run=run).curve
    return max(min(row["seconds"] for row in curve[1:]), 1e-3)  # told in whole milliseconds


def _amounts(model: DeepRecommender, size: Size) -> list[float]:
    rows, columns = model.rows_and_columns(size.n_users, size.n_items)
    steps = -(-rows // model.rows_per_batch(rows))
    weights = model.n_parameters(size.n_users, size.n_items)
    return [steps, steps * weights, rows * weights, rows * columns, size.n_interactions]


def _sizes(model: DeepRecommender, size: Size) -> Iterator[Size]:
    """Sizes of the rehearsals: a few numbers of rows and columns."""
    rows, columns = model.rows_and_columns(size.n_users, size.n_items)
    length = max(1, size.n_interactions // rows)
    widest = min(columns, COLUMNS)
    few = max(ROWS[0], min(ROWS[1], model.rows_per_batch(rows) // 8))
    few, more = min(rows, few), min(rows, 3 * few)
    # no narrower than the vectors of items, which may not have more numbers than there are items
    least = min(widest, max(2, getattr(model, "factors", 0)))
    narrow, wide = max(least, widest // 4), max(least, widest // 2)
    for r, c in ((few, narrow), (few, widest), (more, narrow), (more, wide)):
        # by rows and columns it is its own inverse
        users, items = model.rows_and_columns(r, c)
        yield Size(users, items, r * min(length, c // 2 + 1))


def _random_log(model: DeepRecommender, size: Size) -> Interactions:
    """About so many interactions, some items more popular than others."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(size.n_users), -(-size.n_interactions // size.n_users))
    items = (size.n_items * rng.random(users.size) ** 1.5).astype(np.int64)
    pairs: Long = np.unique(users * size.n_items + items)
    row_ids, column_ids = (
        Ids(pl.Series(np.arange(n)), "int") for n in (size.n_users, size.n_items)
    )
    ratings = rng.integers(1, 6, pairs.size).astype(np.float32)
    return Interactions.from_codes(
        row_ids,
        column_ids,
        (pairs // size.n_items).astype(np.int32),
        (pairs % size.n_items).astype(np.int32),
        values=ratings if model.task == "rating" else None,
        times=np.arange(pairs.size) if model.ordered else None,
    )
