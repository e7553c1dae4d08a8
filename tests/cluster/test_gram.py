"""XᵀX over shards against numpy, and its bits on one machine and on several."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shoal.cluster import gram
from shoal.cluster.gram import Plan, even_edges, gram_bands, gram_tiles
from shoal.cluster.local import LocalExecutor
from shoal.cluster.sharded import ShardedLog
from shoal.data.interactions import Interactions
from shoal.errors import MemoryBudgetError
from shoal.executor import Executor
from shoal.testing import toys

EDGES = (0, 7, 20, 33)


def log_of(*, valued: bool, m: int = 200, n: int = 33) -> Interactions:
    rng = np.random.default_rng(4)
    dense = (rng.random((m, n)) < rng.beta(0.5, 2, (m, 1))).astype(np.float32)
    dense[0] = 1
    dense[5::9] = 0
    return toys.from_dense(dense * rng.uniform(0.5, 4, dense.shape) if valued else dense)


def expected(log: Interactions, beta: float) -> Any:
    X = log.matrix.toarray().astype(np.float64)
    lengths = np.maximum((X != 0).sum(axis=1), 1)
    return X.T @ (X * (lengths**-beta)[:, None])


def assembled(executor: Executor, tiles: dict[tuple[int, int], Any]) -> Any:
    G = np.zeros((EDGES[-1], EDGES[-1]), np.float32)
    for (i, j), handle in tiles.items():
        tile = executor.get(handle)
        assert tile.dtype == np.float32
        assert tile.flags.c_contiguous
        G[EDGES[i] : EDGES[i + 1], EDGES[j] : EDGES[j + 1]] = tile
        G[EDGES[j] : EDGES[j + 1], EDGES[i] : EDGES[i + 1]] = tile.T
    return G


@pytest.fixture
def many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each shard is a chunk, and three are added up at a time."""
    monkeypatch.setattr(gram, "LARGEST_CHUNK", 1)
    monkeypatch.setattr(gram, "FAN_IN", 3)


@pytest.mark.usefixtures("many_chunks")
@pytest.mark.parametrize("n_shards", [1, 2, 9, 11])
def test_tiles_of_a_binary_log_are_its_counts(executor: Executor, n_shards: int) -> None:
    log = log_of(valued=False)
    sharded = ShardedLog.of(log, executor, n_shards)
    assert len(Plan.of(sharded, EDGES).chunks) == len(sharded.shards)
    tiles = gram_tiles(executor, sharded, EDGES)
    assert sorted(tiles) == [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    np.testing.assert_array_equal(assembled(executor, tiles), expected(log, 0))


@pytest.mark.usefixtures("many_chunks")
@pytest.mark.parametrize(("valued", "beta"), [(True, 0.0), (False, 0.5), (True, 0.5)])
def test_sums_are_those_of_numpy_and_have_the_same_bits_everywhere(
    executor: Executor, valued: bool, beta: float
) -> None:
    log = log_of(valued=valued)
    found = assembled(executor, gram_tiles(executor, ShardedLog.of(log, executor, 5), EDGES, beta))
    np.testing.assert_allclose(found, expected(log, beta), rtol=2e-6)
    here = LocalExecutor(threads=1)
    again = assembled(here, gram_tiles(here, ShardedLog.of(log, here, 5), EDGES, beta))
    np.testing.assert_array_equal(found, again)


def test_bands_are_rows_of_the_upper_triangle(executor: Executor) -> None:
    log = log_of(valued=True)
    bands = gram_bands(executor, ShardedLog.of(log, executor, 3), EDGES, precision=np.float64)
    G = expected(log, 0)
    for begin, end, handle in zip(EDGES, EDGES[1:], bands, strict=False):
        np.testing.assert_allclose(executor.get(handle), G[begin:end, begin:], rtol=1e-12)


def test_groups_of_shards_do_not_change_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    log, here = log_of(valued=False), LocalExecutor(threads=1)
    monkeypatch.setattr(gram, "GROUP", 900)
    sharded = ShardedLog.of(log, here, 8)
    assert 1 < len(gram._groups([here.get(shard) for shard in sharded.shards])) < 8
    tiles = gram_tiles(here, sharded, EDGES)
    np.testing.assert_array_equal(assembled(here, tiles), expected(log, 0))


def test_chunks_follow_the_work_and_hold_every_shard_once() -> None:
    here = LocalExecutor(threads=1)
    sharded = ShardedLog.of(log_of(valued=False, m=3_000), here, 40)
    chunks = Plan.of(sharded, EDGES).chunks
    # 64 additions to each of 33² numbers by a chunk
    assert len(chunks) == pytest.approx(sharded.squares / (64 * 33**2), abs=1)
    assert [s for chunk in chunks for s in range(40)[chunk]] == list(range(40))


def test_bands_have_the_same_height() -> None:
    assert even_edges(100) == (0, 100)
    edges = even_edges(10_000)
    assert edges == tuple(range(0, 10_001, 625))
    assert len(even_edges(1_000)) == 8
    assert 4 * np.diff(even_edges(250_000)).max() * 250_000 <= 1.01 * 2**30


def test_threads_share_a_band_that_is_too_large_for_one() -> None:
    here = LocalExecutor(threads=1)
    plan = Plan.of(ShardedLog.of(log_of(valued=False), here), (0, 5_000, 100_000))
    # 4 bytes × 5,000 rows × 100,000 columns are 7.5 times 2²⁸ bytes
    assert plan.threads(0) == 8
    assert plan.bytes_of_task() >= 2 * 4 * 95_000**2


def test_machines_that_are_too_small_are_refused_before_the_work() -> None:
    class Small(LocalExecutor):
        memory_of_the_largest = 10_000

    here = Small(threads=1)
    sharded = ShardedLog.of(log_of(valued=False), here, 4)
    with pytest.raises(MemoryBudgetError, match=r"takes .* in a task.*10\.0 kB.*--min-item-users"):
        gram_bands(here, sharded, EDGES)
