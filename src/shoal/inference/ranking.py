"""From histories to lists: scoring and selection, block by block of users."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR
from shoal.kernels.arrays import Bool, Float, Int
from shoal.kernels.threads import use_threads
from shoal.run import Run

_BLOCK_BYTES = 256_000_000  # bytes of scores in a block of users; larger ones were not faster


def block_rows(model: Recommender, k: int, run: Run) -> int:
    """How many users to rank at a time within the memory budget."""
    room = min(_BLOCK_BYTES, run.memory_budget // 4)
    return max(1, room // model.bytes_per_history(k))


def rank_blocks(
    model: Recommender,
    rows: CSR,
    k: int,
    *,
    exclude_seen: bool = True,
    allowed: Bool | None = None,
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
    allowed : (n_items,) bool, optional
        The items that may be recommended; all of them, unless given.
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
    """
    run = run or Run()
    m, n = rows.shape
    allowed = np.ones(n, np.bool_) if allowed is None else allowed
    size = block_rows(model, k, run)
    no_extents, no_items = np.zeros(size + 1, np.int64), np.empty(0, np.int32)
    threads = 1 if m == 1 else run.threads  # for one history, threads would wait for each other
    with run.progress.step(label, m) as step, use_threads(threads):
        for begin in range(0, m, size):
            where = slice(begin, min(m, begin + size))
            block = rows[where]
            seen = no_extents[: block.shape[0] + 1], no_items
            if exclude_seen:
                seen = block.indptr.astype(np.int64), block.indices.astype(np.int32)
            yield where, *model.rank(block, k, seen, allowed, run.torch_device)
            step.advance(where.stop - begin)
