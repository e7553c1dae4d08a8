"""Estimate how long an epoch takes on a large log from epochs measured on small random logs."""

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
from shoal.experiments.tasks import task_of
from shoal.kernels.arrays import Long
from shoal.run import Run, Silent

COLUMNS = 3000  # most columns of a small log; a batch's scores then exceed the cache of a core
ROWS = (32, 1024)  # fewest and most rows of a small log
# for models whose training steps sample items:
SPARE = 2  # items of the small log, in multiples of the items that a step works with
STEPS = 4  # training steps per epoch on the small log
QUICK = 0.05  # seconds; an epoch that takes less is measured again


def seconds_of_epoch(model: Costs, size: Size, run: Run) -> float:
    """Measure on small random data how many seconds an epoch takes, without its validation.

    An epoch is assumed to take a·steps + b·steps·weights + c·rows·weights + d·rows·columns +
    e·interactions seconds. The coefficients a … e, none of them negative, are fitted by least
    squares to epochs on small logs. For a model whose steps work with a sample of the items
    (`sampled` of ELSA), steps of full size are measured instead.

    Parameters
    ----------
    model : Costs
        A `DeepRecommender`.
    size : Size
        The log for which the time is asked.
    run : Run

    Returns
    -------
    float
        Seconds of one epoch.
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
    amounts, durations = [], []
    for small in _sizes(model, size):
        log = _random_log(model, small)
        amounts.append(_amounts(model, log.size))
        durations.append(_epoch(model, log, 2, quiet))
        if durations[-1] < QUICK:
            durations[-1] = min(durations[-1], _epoch(model, log, 6, quiet))
    features, seconds = np.array(amounts), np.array(durations)
    scale = features.max(axis=0)
    # errors are relative to the duration, so that small logs count as much as large ones
    rates, _ = nnls(features / scale / seconds[:, None], np.ones(len(seconds)))
    target = np.array(_amounts(model, size))
    return float(target / scale @ rates)


def _epoch(model: DeepRecommender, log: Interactions, n_epochs: int, run: Run) -> float:
    """Seconds of the fastest epoch after the first one, which loads code and allocates memory."""
    settings = model.model_dump(exclude_unset=True) | {"n_epochs": n_epochs, "patience": 0}
    curve = type(model)(**settings).fit(log, run=run).curve
    return max(min(row["seconds"] for row in curve[1:]), 1e-3)  # curves give whole milliseconds


def _amounts(model: DeepRecommender, size: Size) -> list[float]:
    """The amounts of work in an epoch that a … e of `seconds_of_epoch` are multiplied by."""
    rows, columns = model.rows_and_columns(size.n_users, size.n_items)
    steps = -(-rows // model.rows_per_batch(rows))
    weights = model.n_parameters(size.n_users, size.n_items)
    return [steps, steps * weights, rows * weights, rows * columns, size.n_interactions]


def _sizes(model: DeepRecommender, size: Size) -> Iterator[Size]:
    """Sizes of the small logs: two numbers of rows with up to three numbers of columns."""
    rows, columns = model.rows_and_columns(size.n_users, size.n_items)
    length = max(1, size.n_interactions // rows)
    widest = min(columns, COLUMNS)
    few = max(ROWS[0], min(ROWS[1], model.rows_per_batch(rows) // 8))
    few, more = min(rows, few), min(rows, 3 * few)
    # a model with `factors` dimensions needs at least as many items
    least = min(widest, max(2, getattr(model, "factors", 0)))
    narrow, wide = max(least, widest // 4), max(least, widest // 2)
    for r, c in ((few, narrow), (few, widest), (more, narrow), (more, wide)):
        # rows_and_columns keeps or swaps its arguments, so it also leads back to users and items
        users, items = model.rows_and_columns(r, c)
        yield Size(users, items, r * min(length, c // 2 + 1))


def _random_log(model: DeepRecommender, size: Size) -> Interactions:
    """A random log of about this size, in which some items are more popular than others."""
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
        values=ratings if task_of(model).reads_values else None,
        times=np.arange(pairs.size) if model.ordered else None,
    )
