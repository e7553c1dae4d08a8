"""`warm_up`: load and compile what a fit needs before its duration is measured.

Kernels are compiled when they are first called (numba keeps them on disk after that), torch is
loaded when it is first needed, and its first training step allocates memory. None of this belongs
to the duration of a model's fit.
"""

from __future__ import annotations

import random
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
from shoal.experiments.tasks import RATING, SplitSettings, task_of
from shoal.inference.ranking import rank_blocks
from shoal.kernels import ties
from shoal.kernels.threads import imported, use_threads
from shoal.run import Run, Silent

SHAPE = 200, 120  # users and items of the tiny log
WIDE = 200, 5_000  # the same for a log of many more items than users: some models solve for users
MOST_BYTES = {SHAPE: 10**9, WIDE: 64 * 10**6}  # a fit to these that takes more is left out

_warm: set[tuple[Any, ...]] = set()  # the kinds of fits for which this process is warmed up


def warm_up(
    model: Recommender, log: Interactions, run: Run | None = None, *, grid: bool = False
) -> float:
    """Fit a model with the same settings to a tiny log of the same kind, and rank with it.

    Nothing that the caller can see changes: the model stays unfitted, random generators get their
    states back, and there is no progress, no checkpoint and no log file. If the tiny fit fails,
    nothing is raised, since the fit that follows will say why. A process warms up once for each
    kind of model, settings and log.

    Parameters
    ----------
    model : Recommender
        Its settings decide which kernels run.
    log : Interactions
        The data to which the model will be fitted. The tiny log has values, times, item vectors and
        many more items than users if this one has.
    run : Run, optional
        Threads, device, precision and memory budget are those of the fit that follows.
    grid : bool
        Also warm up for `fit_grid`, which `tune` calls.

    Returns
    -------
    float
        Seconds that the warm-up took; 0 if it was done before, or if the fit is divided.
    """
    began = time.perf_counter()
    if run is not None and run.executor is not None:
        return 0.0  # other processes fit, and are not warm by what this one does
    if _refused(model, log, run or Run()):
        return 0.0  # nothing will be fitted, and torch, if it needs that, need not be loaded
    quiet = replace(run or Run(), progress=Silent(), checkpoint=None, training_log=None)
    wide = log.n_items > max(log.n_users, WIDE[1])
    key = (*_decisive(model, log), quiet.device, quiet.precision, wide, grid)
    if key in _warm:
        return 0.0
    _warm.add(key)
    with _undisturbed(quiet):
        if not _try(model, log, SHAPE, quiet, grid):
            # a huge network, or settings that only a larger catalogue allows: defaults are close
            with suppress(Exception):
                _try(type(model)(), log, SHAPE, quiet, grid)
        if wide:
            _try(model, log, WIDE, quiet, grid)
    return time.perf_counter() - began


def _refused(model: Recommender, log: Interactions, run: Run) -> bool:
    """Whether a fit to this log will be refused for its memory."""
    return bool(model.refusal(log.size, run.memory_budget, model.bytes_beside(log)))


def _decisive(model: Recommender, log: Interactions) -> tuple[Any, ...]:
    """Everything that decides which kernels run; of a number, only whether it is zero."""
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
    """Split, fit, evaluate and rank as the command line does; return whether that was possible."""
    try:
        if model.bytes_to_fit(Size(*shape, 10 * sum(shape))) > MOST_BYTES[shape]:
            return False
        small = tiny_log(log, *shape)
        brief = model.briefly(small.n_items)
        task = task_of(brief)
        parts = task.split(small, SplitSettings(), 0)
        fitted = brief.fit(parts.train, parts.validation, run)
        task.evaluate(fitted, parts, task.metric_names("ndcg@10,ndcg@10:tail"), run)
        if task is RATING:
            return True
        _rank(fitted, parts.train, run)
        kind, settings = type(brief), brief.model_dump(exclude_unset=True)
        if grid:
            for _, fitted in kind.fit_grid([settings] * 2, parts.train, parts.validation, run):
                _rank(fitted, parts.train, run)
                evaluate(fitted, parts.test, "ndcg@10", run)
    except Exception:  # the fit that follows will raise it again, where it can be seen
        return False
    return True


def _rank(model: Recommender, log: Interactions, run: Run) -> None:
    """Rank for many users and for one, since models may use other kernels for each."""
    rows = model.histories(log)
    for histories in (rows, rows[:1]):
        for _ in rank_blocks(model, histories, 10, run=run):
            pass
    with use_threads(run.threads):
        model.score(rows[:1])
        _deal_equal_scores()


def _deal_equal_scores() -> None:
    """Two of three items with the same score: lists that end among such come up anywhere."""
    items, scores = np.arange(3, dtype=np.int32)[None], np.ones((1, 3), np.float32)
    nothing_seen = np.zeros(2, np.int64), np.empty(0, np.int32)
    ties.dealt(
        items, scores, 2, lambda rows: np.ones((rows.size, 3), np.float32), nothing_seen,
        np.ones(3, np.bool_),
    )  # fmt: skip


def tiny_log(like: Interactions, n_users: int, n_items: int) -> Interactions:
    """Make a random log that has values, times and item vectors if another log has them.

    Parameters
    ----------
    like : Interactions
        Values and vectors are taken from this log.
    n_users, n_items : int
        Size of the log to make.

    Returns
    -------
    Interactions
    """
    rng = np.random.default_rng(0)
    # Histories are long enough to hold something out of them, and short enough for sparse models to
    # stay sparse. In a large catalogue they are so long that most items have a user.
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
    """Silence warnings, and restore all random generators, global ones too, when the block ends."""
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
    """Restore torch's random generators when the block ends, if torch is loaded.

    If a fit in the block loads torch, nobody has drawn from its generators yet.
    """
    torch = imported("torch")
    if torch is None:
        yield
        return
    on_gpu = run.device != "cpu" and torch.cuda.is_available()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if on_gpu else []):
        yield
