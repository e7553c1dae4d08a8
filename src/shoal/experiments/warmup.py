"""`warm_up`: load and compile what a fit needs before somebody takes its time.

Kernels are compiled when they are first called (numba keeps them on disk after that), torch is
loaded when it is first needed, and its first step allocates. None of it is the model's own time.
"""

from __future__ import annotations

import random
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from shoal.base.recommender import Recommender
from shoal.data.ids import Ids
from shoal.data.interactions import Interactions
from shoal.data.size import Size
from shoal.evaluation.evaluate import evaluate
from shoal.evaluation.ratings import evaluate_ratings
from shoal.inference.ranking import rank_blocks
from shoal.kernels.threads import use_threads
from shoal.run import Run, Silent
from shoal.splitting.ratings import split_ratings
from shoal.splitting.split import split

SHAPE = 200, 120  # users and items of the log that is fitted to
WIDE = 200, 5_000  # of many items for its users: some models then solve for users
SMALL_FIT = 64_000_000  # bytes of a fit that is worth trying on the wide one

_warm: set[tuple[Any, ...]] = set()  # what this process has warmed up for


def warm_up(
    model: Recommender, log: Interactions, run: Run | None = None, *, grid: bool = False
) -> float:
    """Fit a model like this one to a tiny log like this one, and rank with it.

    Nothing that the caller can see changes: the model stays unfitted, random generators are put
    back, and there is no progress, no checkpoint and no log file. A model that fails here fails
    silently, since its own fit will say why. What was done once in a process is not done again.

    Parameters
    ----------
    model : Recommender
        Its settings decide which kernels run.
    log : Interactions
        What the model will be fitted to: the tiny log is binary or not, has times, item vectors
        and many items for its users as this one.
    run : Run, optional
        Threads, device, precision and memory budget are those of the fit that follows.
    grid : bool
        Also for `fit_grid`, as `tune` calls it.

    Returns
    -------
    float
        Seconds that it took.
    """
    began = time.perf_counter()
    quiet = replace(run or Run(), progress=Silent(), checkpoint=None, training_log=None)
    wide = log.n_items > max(log.n_users, WIDE[1])
    key = (*_decisive(model, log), quiet.device, quiet.precision, wide, grid)
    if key in _warm:
        return 0.0
    _warm.add(key)
    with _undisturbed(quiet):
        done = _try(model, log, SHAPE, quiet, grid)
        if not done:  # settings that only a larger catalogue allows: the defaults are close
            with suppress(Exception):
                _try(type(model)(), log, SHAPE, quiet, grid)
        if wide and model.bytes_to_fit(Size(*WIDE, 10 * sum(WIDE))) <= SMALL_FIT:
            _try(model, log, WIDE, quiet, grid)
    return time.perf_counter() - began


def _decisive(model: Recommender, log: Interactions) -> tuple[Any, ...]:
    """What decides which kernels run: of numbers, only whether they are zero."""
    settings = model.model_dump()
    kinds = tuple(
        (name, bool(value) if isinstance(value, int | float) else str(value))
        for name, value in sorted(settings.items())
    )
    size = None if log.item_vectors is None else log.item_vectors.shape[1]
    return type(model), kinds, log.values is None, log.times is None, size


def _try(
    model: Recommender, log: Interactions, shape: tuple[int, int], run: Run, grid: bool
) -> bool:
    """Split, fit, evaluate and rank, as the command line does; whether nothing went wrong."""
    try:
        small = tiny_log(log, *shape)
        brief = model.briefly(small.n_items)
        if brief.task == "rating":
            ratings = split_ratings(small)
            brief.fit(ratings.train, ratings.validation, run)
            evaluate_ratings(brief, ratings, run)
            return True
        parts = split(small, "strong", test=20, validation=20)
        kind, settings = type(brief), brief.model_dump(exclude_unset=True)
        _rank(brief.fit(parts.train, parts.validation, run), parts.train, run)
        evaluate(brief, parts.test, "ndcg@10,ndcg@10:tail", run)
        if grid:
            for _, fitted in kind.fit_grid([settings] * 2, parts.train, parts.validation, run):
                _rank(fitted, parts.train, run)
                evaluate(fitted, parts.test, "ndcg@10", run)
    except Exception:  # the fit that follows says what is wrong, in its own words
        return False
    return True


def _rank(model: Recommender, log: Interactions, run: Run) -> None:
    """For many users and for one: models may do either in another way."""
    rows = model.histories(log)
    for some in (rows, rows[:1]):
        for _ in rank_blocks(model, some, 10, run=run):
            pass
    with use_threads(run.threads):
        model.score(rows[:1])


def tiny_log(like: Interactions, n_users: int, n_items: int) -> Interactions:
    """A random log of this size with the columns, the values and the vectors of another.

    Parameters
    ----------
    like : Interactions
    n_users, n_items : int
    """
    rng = np.random.default_rng(0)
    # long enough to hold something out, short enough for sparse models to stay sparse; of a wide
    # catalogue, enough for most items to have a user
    length = max(10, n_items // 50)
    draws = (n_items * rng.random((n_users, length)) ** 1.5).astype(np.int64)
    pairs = np.unique(np.arange(n_users)[:, None] * n_items + draws)
    users, items = pairs // n_items, pairs % n_items
    size = pairs.size
    log = Interactions.from_codes(
        Ids(pl.Series(np.arange(n_users)), "int"),
        Ids(pl.Series(np.arange(n_items)), "int"),
        users.astype(np.int32),
        items.astype(np.int32),
        values=None if like.values is None else rng.choice(like.values[:10_000], size),
        times=None if like.times is None else rng.permutation(size).astype(like.times.dtype),
    )
    if like.item_vectors is None:
        return log
    return replace(log, item_vectors=like.item_vectors[np.arange(n_items) % like.n_items])


@contextmanager
def _undisturbed(run: Run) -> Iterator[None]:
    """No warnings, and random generators as they were, also those that a model should not use."""
    state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    with warnings.catch_warnings(), _torch_generators(run):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            random.setstate(state)
            np.random.set_state(numpy_state)  # noqa: NPY002


@contextmanager
def _torch_generators(run: Run) -> Iterator[None]:
    """Of torch, where it is loaded already; models load it when they are made."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    on_gpu = run.device != "cpu" and torch.cuda.is_available()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if on_gpu else []):
        yield
