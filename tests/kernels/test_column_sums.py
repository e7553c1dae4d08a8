"""Counts and sums of columns, made in pieces, beside numpy's in one."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

from shoal.datasets.synthetic import SyntheticLog
from shoal.kernels import column_sums


@pytest.mark.parametrize("size", [0, 1, column_sums.PIECE, 2 * column_sums.PIECE + 7])
@pytest.mark.parametrize("n", [3, column_sums.PIECE + 5])
def test_pieces_add_up(size: int, n: int) -> None:
    rng = np.random.default_rng(size)
    indices = rng.integers(0, n, size).astype(np.int32)
    data = rng.integers(0, 9, size).astype(np.float32)
    wide = data.astype(np.float64)
    expected = np.bincount(indices, minlength=n)
    np.testing.assert_array_equal(column_sums.counts(indices, n), expected)
    expected = np.bincount(indices, weights=wide, minlength=n)
    np.testing.assert_array_equal(column_sums.sums(indices, data, n), expected)
    expected = np.bincount(indices, weights=wide**2, minlength=n)
    np.testing.assert_array_equal(column_sums.sums(indices, data, n, squared=True), expected)


def test_the_fingerprint_is_that_of_lists_of_100_000_ids() -> None:
    """It is made of pieces now, and models in folders have that of whole lists."""
    log = SyntheticLog(103_000, 200, 150_000).interactions()
    digest = hashlib.sha256()
    for ids in (log.users, log.items):
        digest.update(ids.kind.encode())
        for begin in range(0, len(ids), 100_000):
            digest.update(json.dumps(ids.series.slice(begin, 100_000).to_list()).encode())
    digest.update(log.indptr.tobytes())
    digest.update(log.indices.tobytes())
    assert log.fingerprint() == digest.hexdigest()
