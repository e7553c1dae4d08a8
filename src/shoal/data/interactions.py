"""`Interactions`: who touched what, as a sparse matrix with the ids of its rows and columns."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import polars as pl
import scipy.sparse as sp
from numpy.typing import NDArray

from shoal.data.align import aligned, checked, placed, table_of_items
from shoal.data.ids import Ids
from shoal.data.report import PreparationStep
from shoal.data.size import Size
from shoal.errors import DataError
from shoal.kernels import column_sums, order
from shoal.kernels.arrays import Bool, Float, Int, Long, Sparse

CSR: TypeAlias = sp.csr_array

NAME_THE_TIMES = "Name the column with columns={'time': …} (--columns time=…)"


@dataclass(frozen=True)
class Interactions:
    """A users × items matrix in CSR form, sorted by user and item, without duplicates.

    Parameters
    ----------
    users, items : Ids
        Ids of the rows and of the columns, in ascending order.
    indptr : (n_users + 1,) int64
        The interactions of user u are those from ``indptr[u]`` to ``indptr[u + 1]``.
    indices : (nnz,) int32
        Item numbers, ascending within each user.
    values : (nnz,) float32 or None
        Ratings or counts; None for binary data.
    times : (nnz,) int64 or float64, or None
        Seconds since 1970, or any numbers that grow with time.
    rows : (nnz,) int64 or None
        The row of the log that each interaction came from (`read(file_order=True)`).
    item_table : polars DataFrame or None
        One row per item in the order of `items`: column ``item`` and the attributes.
    report : tuple of PreparationStep
        What each step of the preparation dropped.
    notes : tuple of str
        What a person should know about how the log was read.
    preparation : dict
        The options of `read` that other logs for the same model should be read with.
    times_are_ranks : bool
        Whether `times` only order the interactions of one user (a column such as ``pos``).
    times_are_dates : bool
        Whether the log has dates, which are kept as seconds since 1970.
    item_vectors : (n_items, d) float32 or None
        What is known of the items beside the log (their texts, embedded). An item of which
        nothing is known has a row of zeros.
    seen : Interactions or None
        Pairs that the log holds whatever their value, over ids of their own
        (`read(keep_seen=True)`); they are not recommended, and nothing is learned from them.
    """

    users: Ids
    items: Ids
    indptr: Long
    indices: Int
    values: Float | None = None
    times: NDArray[Any] | None = None
    rows: Long | None = None
    item_table: pl.DataFrame | None = None
    report: tuple[PreparationStep, ...] = ()
    notes: tuple[str, ...] = ()
    preparation: dict[str, Any] = field(default_factory=dict)
    times_are_ranks: bool = False
    times_are_dates: bool = False
    item_vectors: Float | None = None
    seen: Interactions | None = None

    @staticmethod
    def from_codes(
        users: Ids,
        items: Ids,
        user_codes: Int,
        item_codes: Int,
        **columns: NDArray[Any] | None,
    ) -> Interactions:
        """Sort distinct (user, item) pairs into CSR; `columns` are values, times and rows."""
        by_pair = order.order_by_pair(user_codes, item_codes, len(users), len(items))
        counts = np.bincount(user_codes, minlength=len(users))
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        ordered: dict[str, Any] = {n: c for n, c in columns.items() if c is not None}
        if by_pair is not None:
            item_codes = item_codes[by_pair]
            ordered = {name: column[by_pair] for name, column in ordered.items()}
        return Interactions(users, items, indptr, item_codes, **ordered)

    @property
    def n_users(self) -> int:
        """Number of users (rows)."""
        return len(self.users)

    @property
    def n_items(self) -> int:
        """Number of items (columns)."""
        return len(self.items)

    @property
    def size(self) -> Size:
        """How many users, items and interactions there are."""
        return Size(self.n_users, self.n_items, len(self))

    def __len__(self) -> int:
        return len(self.indices)

    def __repr__(self) -> str:
        return f"Interactions({self.n_users:,} users × {self.n_items:,} items, {len(self):,})"

    @property
    def arrays(self) -> Sparse:
        """X as the three CSR arrays that kernels take: extents, item numbers, values or ones."""
        data = self.values if self.values is not None else np.ones(len(self), np.float32)
        return self.indptr, self.indices, data

    @property
    def matrix(self) -> CSR:
        """X, (n_users, n_items) float32 CSR: the values, or ones."""
        indptr, indices, data = self.arrays
        matrix = csr(data, indices, indptr, self.n_items)
        matrix.has_sorted_indices = True
        return matrix

    @property
    def places(self) -> Float:
        """The place of each interaction among those of its user in order of time: 1 for the first.

        (nnz,) float32. Equal times keep the order of the items.

        Raises
        ------
        DataError
            The log has no times.
        """
        if self.times is None:
            raise DataError(f"the log has no times. {NAME_THE_TIMES}")
        order = np.lexsort((self.times, self.user_codes))
        places = np.empty(len(self), np.float32)
        begin = np.repeat(self.indptr[:-1], np.diff(self.indptr))
        places[order] = np.arange(1, len(self) + 1) - begin
        return places

    @property
    def in_order(self) -> CSR:
        """(n_users, n_items) float32 CSR of `places`, in place of the values."""
        return replace(self, values=self.places).matrix

    @property
    def latest_time(self) -> float | None:
        """The time of the newest interaction, if the log has times."""
        return None if self.times is None or not len(self) else float(self.times.max())

    @property
    def user_codes(self) -> Int:
        """(nnz,) the row of each interaction."""
        return np.repeat(np.arange(self.n_users, dtype=np.int32), np.diff(self.indptr))

    @property
    def item_counts(self) -> Long:
        """(n_items,) users per item."""
        return column_sums.counts(self.indices, self.n_items)

    def keep(self, mask: Bool) -> Interactions:
        """Keep the interactions where `mask` (nnz,) holds; all users and items stay in place."""
        counts = np.bincount(self.user_codes[mask], minlength=self.n_users)
        return replace(
            self,
            indptr=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            indices=self.indices[mask],
            values=None if self.values is None else self.values[mask],
            times=None if self.times is None else self.times[mask],
            rows=None if self.rows is None else self.rows[mask],
        )

    def only_user(self, code: int) -> Interactions:
        """The interactions of the user at row `code` alone, over all items, in time of that row."""
        return self.user_range(code, code + 1)

    def user_range(self, begin: int, end: int) -> Interactions:
        """The interactions of the users in rows `begin` to `end`, as views, over all items."""
        own = slice(int(self.indptr[begin]), int(self.indptr[end]))
        return replace(
            self,
            users=self.users.between(begin, end),
            indptr=self.indptr[begin : end + 1] - own.start,
            indices=self.indices[own],
            values=None if self.values is None else self.values[own],
            times=None if self.times is None else self.times[own],
            rows=None if self.rows is None else self.rows[own],
        )

    def take_users(self, codes: NDArray[Any]) -> Interactions:
        """Keep the users at row numbers `codes`, in ascending order, with all items."""
        chosen = np.zeros(self.n_users, np.bool_)
        chosen[codes] = True
        rows = np.flatnonzero(chosen)
        remaining = self.keep(chosen[self.user_codes])
        extents = remaining.indptr[np.concatenate([rows, [self.n_users]])]
        return replace(remaining, users=self.users.subset(rows), indptr=extents)

    def onto_items(self, items: Ids, item_table: pl.DataFrame | None = None) -> Interactions:
        """Move to another list of items; interactions with other items are dropped."""
        positions = items.match(self.items)
        remaining = self.keep(positions[self.indices] >= 0)
        vectors = self.item_vectors
        moved = replace(
            remaining,
            items=items,
            indices=positions[remaining.indices],
            item_table=item_table,
            item_vectors=None if vectors is None else placed(vectors, positions, len(items)),
        )
        if items.series.dtype == self.items.series.dtype:
            return moved  # both lists are ascending, so the order within a user is kept
        # text "9", "10" and numbers 9, 10 are ascending in different ways
        columns = {n: getattr(moved, n) for n in ("values", "times", "rows")}
        resorted = Interactions.from_codes(
            moved.users, items, moved.user_codes, moved.indices, **columns
        )
        unchanged = ("item_table", "item_vectors", "report", "notes", "seen")
        return replace(resorted, **{name: getattr(moved, name) for name in unchanged})

    def without_unused(self) -> Interactions:
        """Leave out users and items that have no interaction."""
        used = np.flatnonzero(self.item_counts)
        if used.size == self.n_items and np.diff(self.indptr).all():
            return self
        table = None if self.item_table is None else self.item_table[used]
        active = np.flatnonzero(np.diff(self.indptr))
        return self.onto_items(self.items.subset(used), table).take_users(active)

    def history_of(self, user: Any) -> list[Any]:
        """Item ids of one user, the earliest first if the log has times.

        Raises
        ------
        DataError
            The user is not in the log.
        """
        code = int(self.users.lookup([user])[0])
        if code < 0:
            raise DataError(f"user {user!r} is not in the log of {self.n_users:,} users")
        own = self.only_user(code)
        order = slice(None) if own.times is None else np.argsort(own.times, kind="stable")
        return self.items.take(own.indices[order])

    def with_item_table(self, table: pl.DataFrame) -> Interactions:
        """Attach attributes: a frame with one row per item, its id in column ``item``.

        Items without a row get nulls, rows of other items are left out, and of several rows of an
        item the first counts; `notes` says how many items have none or several. Ids are compared
        as they are written: "007" is not 7.

        Raises
        ------
        DataError
            No row belongs to an item of the log.
        """
        aligned_table, notes = table_of_items(self.items, table)
        return replace(self, item_table=aligned_table, notes=(*self.notes, *notes))

    def with_vectors(
        self, ids: Ids | Iterable[Any], matrix: Any, *, add_items: bool = False, space: str = ""
    ) -> Interactions:
        """Attach item vectors, which models such as L3AE read.

        Parameters
        ----------
        ids : (m,) item ids
            Vectors of other items are left out; items of the log without a vector get zeros.
        matrix : (m, d) of numbers
            A row of zeros counts as no vector.
        add_items : bool
            Take items that have a vector and no interaction (cold items) into the catalogue.
        space : str
            `Vectors.space`, by which a model refuses new items whose vectors are of another space.

        Raises
        ------
        DataError
            NaN or infinite numbers, two vectors of one item, another number of ids than of
            vectors, or no vector that belongs to an item of the log.
        """
        listed, rows = checked(ids, matrix)
        log, vectors = self, aligned(self.items, listed, rows)
        if add_items:
            with_vector = [listed[row] for row in np.flatnonzero(rows.any(axis=1))]
            items = self.items.extended(with_vector)
            log, vectors = self.onto_items(items), aligned(items, listed, rows)
            if self.item_table is not None:
                log = replace(log, item_table=table_of_items(items, self.item_table)[0])
        n_vectors = int(vectors.any(axis=1).sum())
        note = f"{n_vectors:,} of {log.n_items:,} items have a vector of {rows.shape[1]:,} numbers"
        if log.n_items > self.n_items:
            note += f"; {log.n_items - self.n_items:,} of them have no interaction"
        preparation = log.preparation | ({"vector_space": space} if space else {})
        notes = (*self.notes, note)
        return replace(log, item_vectors=vectors, notes=notes, preparation=preparation)

    def fingerprint(self) -> str:
        """sha256 of what a model is fitted on: ids, pairs, values and vectors, but not times."""
        digest = hashlib.sha256()
        for ids in (self.users, self.items):
            digest.update(ids.kind.encode())
            for batch in range(0, len(ids), 100_000):
                # the bytes of a JSON list of 100,000 ids, of which 5,000 are made at a time
                for begin in range(batch, min(batch + 100_000, len(ids)), 5_000):
                    digest.update(b"[" if begin == batch else b", ")
                    part = ids.series.slice(begin, min(5_000, batch + 100_000 - begin)).to_list()
                    digest.update(json.dumps(part)[1:-1].encode())
                digest.update(b"]")
        digest.update(np.ascontiguousarray(self.indptr).data)
        digest.update(np.ascontiguousarray(self.indices).data)
        if self.values is not None:
            digest.update(np.ascontiguousarray(self.values).data)
        if self.item_vectors is not None:
            digest.update(np.ascontiguousarray(self.item_vectors).data)
        return digest.hexdigest()


def csr(data: NDArray[Any], indices: Int, indptr: NDArray[Any], n_columns: int) -> CSR:
    """A sparse matrix over its three arrays, which are not copied.

    scipy by itself would copy `indices` to the type of `indptr`, which is twice as wide.
    """
    extents = indptr.astype(np.int32) if indptr[-1] < 2**31 else indptr
    return CSR((data, indices, extents), shape=(len(indptr) - 1, n_columns), copy=False)


def histories(
    items: Ids, baskets: Iterable[Iterable[Any] | dict[Any, float]], *, ordered: bool = False
) -> CSR:
    """Turn lists of item ids into CSR rows over `items`; unknown ids are left out.

    Parameters
    ----------
    items : Ids
        The ids of the columns.
    baskets : iterable of lists of ids, or of mappings id → weight
        An id that stands twice in a list counts once.
    ordered : bool
        Give the items of a list their places 1, 2, 3, … as values, in place of ones. An id that
        stands there twice has its last place.

    Returns
    -------
    CSR array (number of baskets, len(items)) of float32
    """
    rows = []
    for basket in baskets:
        ids, weights = weights_of(basket, ordered=ordered)
        rows.append((items.lookup(ids), weights))
    return rows_of(rows, len(items))


def weights_of(
    basket: Iterable[Any] | Mapping[Any, float], *, ordered: bool = False
) -> tuple[list[Any], list[float]]:
    """The ids of a list or a mapping, and the value of each, as `histories` describes them."""
    ids = list(basket)
    if isinstance(basket, Mapping):
        return ids, [float(basket[i]) for i in ids]
    if ordered:
        return ids, [float(place) for place in range(1, len(ids) + 1)]
    return ids, [1.0] * len(ids)


def rows_of(rows: Iterable[tuple[Int, list[float]]], n_items: int) -> CSR:
    """CSR rows of positions and their values; of a position that comes twice, the last counts.

    Positions of −1, for ids that are unknown, are left out.
    """
    indptr, indices, data = [0], [], []
    for codes, weights in rows:
        row = {code: w for code, w in zip(codes.tolist(), weights, strict=True) if code >= 0}
        order = sorted(row)
        indices += order
        data += [row[code] for code in order]
        indptr.append(len(indices))
    parts = np.array(data, np.float32), np.array(indices, np.int32), np.array(indptr, np.int64)
    matrix = csr(*parts, n_items)
    matrix.has_canonical_format = True
    return matrix
