"""G = Xᵀ diag(w) X from a sparse X, written into a dense matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shoal.kernels.arrays import Double, Float, Int, Long, Sparse
from shoal.kernels.compiling import chunks, jit, parallel, prange
from shoal.kernels.linear import mirror_upper

Index = tuple[Long, Int, Long]  # of `column_index`: starts, rows, places
BLOCK = 2**14  # rows of X that `gram_of_columns` works on at once


@jit()
def index_of_columns(indptr: Long, indices: Int, begin: int, end: int) -> Index:
    """Find the entries of some consecutive columns of a CSR matrix.

    Parameters
    ----------
    indptr, indices : of the CSR arrays of a matrix, indices ascending in each row
    begin, end : int
        The columns begin … end − 1.

    Returns
    -------
    starts : (end − begin + 1,) int64
        Column j has the elements starts[j − begin] … starts[j − begin + 1] − 1 of `rows` and
        `places`.
    rows : int32
        The row of each entry, ascending within a column.
    places : int64, as many
        The position of each entry in `indices`.
    """
    starts = np.zeros(end - begin + 1, np.int64)
    n_rows = indptr.size - 1
    first = np.empty(n_rows, np.int64)
    for u in range(n_rows):
        low, high = indptr[u], indptr[u + 1]
        if begin > 0:
            while low < high:
                middle = (low + high) >> 1
                if indices[middle] < begin:
                    low = middle + 1
                else:
                    high = middle
        first[u] = low
        for q in range(low, indptr[u + 1]):
            if indices[q] >= end:
                break
            starts[indices[q] - begin + 1] += 1
    for j in range(end - begin):
        starts[j + 1] += starts[j]
    fill = starts[:-1].copy()
    rows = np.empty(starts[-1], np.int32)
    places = np.empty(starts[-1], np.int64)
    for u in range(n_rows):
        for q in range(first[u], indptr[u + 1]):
            if indices[q] >= end:
                break
            p = fill[indices[q] - begin]
            rows[p] = u
            places[p] = q
            fill[indices[q] - begin] = p + 1
    return starts, rows, places


@jit()
def column_index(indptr: Long, indices: Int, n_columns: int) -> Index:
    """Find the entries of each column of a CSR matrix.

    Parameters
    ----------
    indptr, indices : of the CSR arrays of a matrix with n_columns columns

    Returns
    -------
    starts : (n_columns + 1,) int64
        Column j has the elements starts[j] … starts[j + 1] − 1 of `rows` and `places`.
    rows : (nnz,) int32
        The row of each entry, ascending within a column.
    places : (nnz,) int64
        The position of each entry in `indices`.
    """
    return index_of_columns(indptr, indices, 0, n_columns)


@parallel
def _add_products(
    indptr: Long,
    indices: Int,
    data: Float,
    weights: NDArray[Any],
    starts: Long,
    rows: Int,
    places: Long,
    begin: int,
    out: NDArray[Any],
) -> None:
    for i in prange(out.shape[0]):
        row = out[i]
        for p in range(starts[i], starts[i + 1]):
            u = rows[p]
            x = data[places[p]] * weights[u]
            for q in range(places[p], indptr[u + 1]):
                # an unsigned index cannot count from the end, which saves a comparison
                row[np.uint32(indices[q] - begin)] += x * data[q]


@parallel
def _add_counts(
    indptr: Long, indices: Int, starts: Long, rows: Int, places: Long, begin: int, out: Int
) -> None:
    for i in prange(out.shape[0]):
        row = out[i]
        for p in range(starts[i], starts[i + 1]):
            for q in range(places[p], indptr[rows[p] + 1]):
                row[np.uint32(indices[q] - begin)] += np.int32(1)


def add_to_rows(
    indptr: Long,
    indices: Int,
    data: Float | None,
    weights: NDArray[Any] | None,
    begin: int,
    out: NDArray[Any],
) -> None:
    """Add some rows of the upper triangle of Xᵀ diag(w) X to `out`.

    Parameters
    ----------
    indptr, indices : of the CSR arrays of X, shape (m, n), indices ascending within each row
    data, weights : (nnz,) and (m,), or both None
        The values of X and w. If they are None, all are 1, and `out` counts.
    begin : int
        The first of the rows of Xᵀ diag(w) X.
    out : (r, n − begin), C-ordered
        Rows begin … begin + r − 1 from column `begin` on: int32 for counts, float32 or float64 for
        sums. What is left of the diagonal is unchanged.

    Notes
    -----
    Each row is summed by one thread in one order: that of `gram_upper`, if several X are added one
    after the other that are parts of one. Beyond the output this takes 12 bytes for each entry of
    these columns and 8 per row of X.
    """
    index = index_of_columns(indptr, indices, begin, begin + len(out))
    with chunks(32):  # early rows of the triangle are longer
        if data is None or weights is None:
            _add_counts(indptr, indices, *index, begin, out)
        else:
            _add_products(indptr, indices, data, weights, *index, begin, out)


@parallel
def _clear_upper(out: NDArray[Any]) -> None:
    for i in prange(out.shape[0]):
        out[i, i:] = 0


@parallel
def _counts_to_floats(counts: Int, out: Float) -> None:
    for i in prange(out.shape[0]):
        for j in range(i, out.shape[0]):
            out[i, j] = counts[i, j]


def gram_upper(indptr: Long, indices: Int, data: Float, weights: Float | None, out: Float) -> None:
    """Write the upper triangle of G = Xᵀ diag(w) X into `out`.

    Parameters
    ----------
    indptr, indices, data : CSR arrays of X, shape (m, n), indices sorted within each row
    weights : (m,) float32 or None
        One weight per row of X; None means 1.
    out : (n, n) float32, C-ordered
        Its upper triangle is overwritten, all else is unchanged.

    Notes
    -----
    Each row of G is summed by one thread in one order, so the result does not depend on the
    number of threads. Where all of X and w is 1 and `out` is of 4-byte numbers, whole numbers are
    added up in the place of the output and rounded once: up to 2²⁴ they are exact. Beyond the
    output this takes 12 bytes per interaction.
    """
    with chunks(32):  # early rows of the triangle are longer
        _clear_upper(out)
    only_ones = (weights is None or (weights == 1).all()) and (data == 1).all()
    if only_ones and out.dtype == np.float32:
        counts = out.view(np.int32)
        add_to_rows(indptr, indices, None, None, 0, counts)
        with chunks(32):
            _counts_to_floats(counts, out)
        return
    if weights is None:
        weights = np.ones(indptr.size - 1, np.float32)
    add_to_rows(indptr, indices, data, weights, 0, out)


def gram(indptr: Long, indices: Int, data: Float, n_columns: int) -> Float:
    """Return XᵀX, (n_columns, n_columns) float32 with both triangles, for CSR arrays of X."""
    G = np.empty((n_columns, n_columns), np.float32)
    gram_upper(indptr, indices, data, None, G)
    mirror_upper(G)
    return G


@jit()
def meetings(indptr: Long, starts: Long, rows: Int) -> Double:
    """Return for each column of X the entries in all rows that it is in, (n,) float64.

    They are the steps that a row of XᵀX takes; X has the extents `indptr`, and `starts` and `rows`
    are of `column_index`.
    """
    steps = np.zeros(starts.size - 1)
    for i in range(steps.size):
        for p in range(starts[i], starts[i + 1]):
            steps[i] += indptr[rows[p] + 1] - indptr[rows[p]]
    return steps


def by_column(indptr: Long, indices: Int, data: Float, n_columns: int) -> Sparse:
    """Return the CSR arrays of Xᵀ, that is X by column, from the CSR arrays of X."""
    starts, rows, places = column_index(indptr, indices, n_columns)
    return starts, rows, data[places]


@jit()
def gram_of_columns(
    starts: Long,
    rows: Int,
    values: Float,
    columns: Int,
    slots: Int,
    used: Int,
    counts: Int,
    members: Int,
    weights: Float,
    cursors: Long,
    G: Float,
) -> None:
    """Write G = XᵀX of some columns of X, from their own entries alone; other kernels call it.

    In each block of rows, entries are first grouped by row; then each row adds its pairs to G.

    Parameters
    ----------
    starts, rows, values : X by column, rows ascending
    columns : (p,) int32
        The numbers of the columns.
    slots : (BLOCK,) int32
        Work space, −1 before and after the call.
    used, counts : (BLOCK,) int32
        Work space.
    members, weights : arrays of as many int32 and float32 as a block has entries in these columns
        Work space.
    cursors : (p,) int64
        Work space.
    G : (p, p) float32
        Output, both triangles.
    """
    p = columns.size
    G[:, :] = 0
    most = 0
    for a in range(p):
        cursors[a] = starts[columns[a]]
        if starts[columns[a] + 1] > starts[columns[a]]:
            most = max(most, rows[starts[columns[a] + 1] - 1] + 1)
    for block in range(0, most, BLOCK):
        end, n_slots = block + BLOCK, 0
        for a in range(p):
            q, stop = cursors[a], starts[columns[a] + 1]
            while q < stop and rows[q] < end:
                u = rows[q] - block
                if slots[u] < 0:
                    slots[u], used[n_slots] = n_slots, u
                    counts[n_slots] = 0
                    n_slots += 1
                counts[slots[u]] += 1
                q += 1
        total = 0
        for s in range(n_slots):
            total += counts[s]
            counts[s] = total - counts[s]  # first the beginning of each row …
        for a in range(p):
            q, stop = cursors[a], starts[columns[a] + 1]
            while q < stop and rows[q] < end:
                s = slots[rows[q] - block]
                at = counts[s]
                members[at], weights[at] = a, values[q]
                counts[s] = at + 1  # … and after all entries its end
                q += 1
            cursors[a] = q
        begin = 0
        for s in range(n_slots):
            for x in range(begin, counts[s]):
                row, v = G[members[x]], weights[x]
                for y in range(x, counts[s]):
                    row[members[y]] += v * weights[y]
            begin = counts[s]
            slots[used[s]] = -1
    for a in range(p):
        for b in range(a):
            G[a, b] = G[b, a]
