"""From histories to lists: scoring and selection, block by block of users."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from shoal.base.packed import PackedModel
from shoal.base.recommender import Recommender
from shoal.base.weights import best_of_scores
from shoal.data.interactions import CSR, csr
from shoal.errors import MemoryBudgetError
from shoal.executor import Executor, Handle
from shoal.kernels.arrays import Bool, Float, Int, Ranking, Seen, not_locked
from shoal.kernels.shifts import shift
from shoal.kernels.threads import use_threads
from shoal.run import Run

_BLOCK_BYTES = 256_000_000  # bytes of scores in a block of users; larger ones were not faster
_BLOCK_USERS = 4096  # most users of a block
_FEWEST_BLOCKS = 4  # that are given to other processes; fewer are done before the model has moved


@dataclass(frozen=True)
class ListRules:
    """How lists are made, for all users alike.

    Parameters
    ----------
    k : int
        Length of the lists.
    exclude_seen : bool
        Whether what stands in the history is never recommended.
    allowed : (n_items,) bool
        The items that may be recommended at all.
    factors, shifts : (n_items,) float32 or None
        As for `Recommender.rank`.
    """

    k: int
    exclude_seen: bool
    allowed: Bool
    factors: Float | None
    shifts: Float | None

    def lists(
        self, model: Recommender, rows: CSR, seen: CSR | None, device: str | None = None
    ) -> Ranking:
        """The lists of some histories; `seen` has other items that are barred, by row."""
        barred = np.zeros(rows.shape[0] + 1, np.int64), np.empty(0, np.int32)
        if self.exclude_seen or seen is not None:
            barred = barred_items(rows if self.exclude_seen else None, seen)
        chosen = self.k, barred, self.allowed, device, self.factors, self.shifts
        return model.rank(rows, *chosen)


def block_rows(model: Recommender, k: int, run: Run, *, all_scores: bool = False) -> int:
    """How many users to rank at a time within the memory budget, with rows of all scores or not."""
    room = min(_BLOCK_BYTES, run.memory_budget // 4)
    per_history = model.bytes_per_history(k)
    if all_scores:
        per_history = max(per_history, 4 * model.n_items + 8 * k)
    return max(1, min(_BLOCK_USERS, room // per_history))


def rank_blocks(
    model: Recommender,
    rows: CSR,
    k: int,
    *,
    exclude_seen: bool = True,
    seen: CSR | None = None,
    allowed: Bool | None = None,
    factors: Float | None = None,
    shifts: Float | None = None,
    run: Run | None = None,
    label: str = "scoring",
) -> Iterator[tuple[slice, Int, Float]]:
    """Score histories block by block and keep the k best of each.

    Parameters
    ----------
    model : Recommender
        Fitted or loaded.
    rows : CSR array (m, n_items)
        One history in each row.
    k : int
        Length of the lists.
    exclude_seen : bool
        Never recommend what stands in the history.
    seen : CSR array (m, n_items), optional
        Items that are not to be recommended either, by row; the values do not matter.
    allowed : (n_items,) bool, optional
        The items that may be recommended; all of them, unless given. Items of which the model
        knows nothing (`Recommender.known_items`) never are: their score of 0, or a random one,
        would stand above all negative scores.
    factors : (n_items,) float32, optional
        By how much each item is favoured, as for `Recommender.rank`.
    shifts : (n_items,) float32, optional
        What is added to the score of each item, as for `Recommender.rank`.
    run : Run, optional
        Threads, memory budget, device and progress.
    label : str
        Text of the progress bar.

    Yields
    ------
    where : slice
        The rows that this block answers.
    items : (b, k) int32
        Item numbers, best first; −1 where fewer than k could be chosen.
    scores : (b, k) float32

    Notes
    -----
    Items with equal scores stand in an order that follows neither ids nor popularity and is the
    same for everyone and in every run (`shoal.kernels.ties`).
    """
    run = run or Run()
    m = rows.shape[0]
    allowed = model.known_items if allowed is None else allowed & model.known_items
    rules = ListRules(k, exclude_seen, allowed, factors, shifts)
    size = 1  # for one history, nothing needs to know how much memory is free
    if m != 1:
        every_score = factors is not None or shifts is not None
        size = max(1, min(m, block_rows(model, k, run, all_scores=every_score)))
    blocks = [slice(begin, min(m, begin + size)) for begin in range(0, m, size)]
    parts = _Parts(rows, seen, blocks)
    threads = 1 if m == 1 else run.threads  # for one history, threads would wait for each other
    shared = _to_share(model, rules, len(blocks), m, run)
    with run.progress.step(label, m) as step, use_threads(threads):
        if shared is not None:
            assert run.executor is not None
            lists = _by_tasks(run.executor, shared, parts)
        else:
            lists = (rules.lists(model, *part, run.torch_device) for part in parts)
        for where, found in zip(blocks, lists, strict=True):
            yield where, *found
            step.advance(where.stop - where.start)


@dataclass(frozen=True)
class _Parts:
    """The histories of each block, and what else its users have seen."""

    rows: CSR
    seen: CSR | None
    blocks: list[slice]

    def __iter__(self) -> Iterator[tuple[CSR, CSR | None]]:
        for where in self.blocks:
            whole = len(self.blocks) == 1
            seen = self.seen if self.seen is None or whole else self.seen[where]
            yield self.rows if whole else self.rows[where], seen


# -- blocks as tasks --------------------------------------------------------------------------


def _to_share(
    model: Recommender, rules: ListRules, n_blocks: int, m: int, run: Run
) -> tuple[PackedModel, ListRules] | None:
    """What other processes need to rank the blocks; None if they are ranked here.

    They are ranked here where there are few blocks, or where the scores are fewer bytes than the
    model, so that moving it would take longer; where the machines have no room for the model; and
    where an index or an accelerator is used.
    """
    if run.executor is None or n_blocks < _FEWEST_BLOCKS or run.device != "cpu":
        return None
    if not PackedModel.can_hold(model):
        return None
    packed = PackedModel.of(model)
    if packed.n_bytes > 4 * model.n_items * m:
        return None
    try:
        run.executor.check_room(model.name, packed.n_bytes, packed.n_bytes)
    except MemoryBudgetError:
        return None
    return packed, rules


def _by_tasks(
    executor: Executor, shared: tuple[PackedModel, ListRules], parts: _Parts
) -> Iterator[Ranking]:
    """The lists of all blocks, in their order, each made by a task.

    A few more tasks than can run at once are given out at a time, so that workers which come
    late are used, and lists that are not read yet take little memory.
    """
    common = executor.put(shared)
    waiting: deque[Handle] = deque()
    for part in parts:
        waiting.append(executor.submit(lists_of_block, common, *part))
        while len(waiting) > 2 * executor.n_workers:
            yield executor.get(waiting.popleft())
    while waiting:
        yield executor.get(waiting.popleft())


def lists_of_block(shared: tuple[PackedModel, ListRules], rows: CSR, seen: CSR | None) -> Ranking:
    """The lists of the users of a block, as a task."""
    packed, rules = shared
    seen = None if seen is None else _not_locked(seen)
    lists: Ranking = not_locked(rules).lists(packed.unpacked(), _not_locked(rows), seen)
    return lists


def _not_locked(rows: CSR) -> CSR:
    """The same rows, over the same memory."""
    data, indices, indptr = (not_locked(a) for a in (rows.data, rows.indices, rows.indptr))
    return csr(data, indices, indptr, rows.shape[1])


def barred_items(histories: CSR | None, seen: CSR | None) -> Seen:
    """The items of each row that stand in the history or were seen, as kernels take them."""
    both = [pattern for pattern in (histories, seen) if pattern is not None]
    if len(both) == 1:
        joint = both[0]
    else:
        joint = sum(
            CSR((np.ones(p.nnz, np.float32), p.indices, p.indptr), shape=p.shape) for p in both
        )
        joint.sort_indices()
    return joint.indptr.astype(np.int64, copy=False), joint.indices.astype(np.int32, copy=False)


def most_popular(
    model: Recommender,
    k: int,
    barred: Seen,
    allowed: Bool,
    factors: Float | None = None,
    shifts: Float | None = None,
) -> Ranking:
    """The k items with most training users, for each row of `barred`.

    Parameters
    ----------
    model : Recommender
        One that keeps `item_counts`.
    k : int
    barred : (indptr, indices)
        Items of each row that may not be chosen, as a CSR array has them.
    allowed : (n_items,) bool
        The items that may be chosen at all.
    factors : (n_items,) float32, optional
        By how much each item is favoured.
    shifts : (n_items,) float32, optional
        What is added for each item, as for `Recommender.rank`.

    Returns
    -------
    items : (m, k) int32, −1 where fewer could be chosen
    users : (m, k) float32
        The number of training users of each, times its factor, plus its shift.
    """
    assert model.item_counts is not None
    counts = model.item_counts.astype(np.float32)
    if factors is not None:
        counts *= factors
    allowed = allowed & (model.item_counts > 0)
    indptr, indices = barred
    m, at_once = len(indptr) - 1, max(1, _BLOCK_BYTES // (4 * counts.size))
    items, users = np.empty((m, k), np.int32), np.empty((m, k), np.float32)
    for begin in range(0, m, at_once):
        end = min(m, begin + at_once)
        extents = indptr[begin : end + 1]
        own = extents - extents[0], indices[extents[0] : extents[-1]]
        scores = np.tile(counts, (end - begin, 1))
        if shifts is not None:
            shift(scores, shifts, own, allowed)
        items[begin:end], users[begin:end] = best_of_scores(scores, k, own, allowed)
    return items, users
