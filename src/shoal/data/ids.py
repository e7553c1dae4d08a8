"""Ids of users and items: any type in, the same type out, row numbers inside."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shoal.errors import DataError
from shoal.forks import uses_polars
from shoal.kernels import order
from shoal.kernels.arrays import Int

Kind = Literal["int", "str", "uuid"]

# Written without leading zeros or plus sign, so that the number prints as the text it came from.
CANONICAL_INT = r"^(0|-?[1-9]\d{0,18})$"
CANONICAL_UUID = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
_FEW = 1000  # ids that are taken one by one
_DECIMAL_INT = r"^(0|-?[1-9]\d{0,18})\.0$"
_EXACT_FLOAT = 2**53  # above it, neighbouring whole numbers share one float


class Ids:
    """Distinct ids in ascending order; the position of an id is its row or column number.

    Parameters
    ----------
    values : polars Series
        Distinct values in ascending order, of type Int64 or String, without nulls.
    kind : {"int", "str", "uuid"}
        Type of the ids in the log. UUIDs are kept as text and handed out as `uuid.UUID`.
    """

    def __init__(self, values: pl.Series, kind: Kind) -> None:
        self._values, self.kind = values, kind
        self._positions: dict[Any, int] | None = None  # made when they are first needed

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Ids)
            and self.kind == other.kind
            and self._values.equals(other._values)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        head = ", ".join(repr(v) for v in self.take(np.arange(min(3, len(self)))))
        return f"{len(self):,} ids ({self.kind}): {head}{', …' if len(self) > 3 else ''}"

    @property
    def series(self) -> pl.Series:
        """The ids as a polars Series (UUIDs as text)."""
        return self._values

    def take(self, codes: Sequence[int] | NDArray[Any]) -> list[Any]:
        """Give the ids at these positions, in their original type."""
        positions = np.asarray(codes, dtype=np.int64)
        if positions.size <= _FEW:  # one by one, which needs no thread pool
            values = [self._values[position] for position in positions.tolist()]
        else:
            values = self._values.gather(positions).to_list()
        return [uuid.UUID(v) for v in values] if self.kind == "uuid" else values

    def subset(self, codes: NDArray[Any]) -> Ids:
        """Keep the ids at ascending positions `codes`."""
        return Ids(self._values.gather(codes), self.kind)

    def between(self, begin: int, end: int) -> Ids:
        """Keep the ids at positions `begin` to `end`."""
        return Ids(self._values.slice(begin, end - begin), self.kind)

    def extended(self, others: Iterable[Any]) -> Ids:
        """These ids and others, in ascending order and in the type of these.

        Raises
        ------
        DataError
            One of the others cannot be of that type.
        """
        added = list(others)
        plain = [self._plain(value) for value in added]
        if None in plain:
            odd = added[plain.index(None)]
            raise DataError(f"{odd!r} is no id like those that are there: {self!r}")
        values = pl.concat([self._values, pl.Series(plain, dtype=self._values.dtype)])
        return Ids(values.unique().sort(), self.kind)

    def _plain(self, value: Any) -> Any:
        """`value` in the type that the ids are kept in, or None if it cannot be one of them."""
        if isinstance(value, bool | np.bool_):
            return None
        if self.kind == "int":
            if isinstance(value, int | np.integer):
                return int(value)
            if isinstance(value, float) and value.is_integer():
                return int(value)
            text = value.strip() if isinstance(value, str) else ""
            return int(text) if re.fullmatch(CANONICAL_INT, text) else None
        if isinstance(value, str | int | np.integer | uuid.UUID):
            text = str(value)
            return text.lower() if self.kind == "uuid" else text
        return None

    def lookup(self, ids: Iterable[Any]) -> Int:
        """Positions of `ids`; −1 for those that are not there.

        The text "1193" finds the number 1193 and the number 1193 finds the text "1193".
        """
        positions = self._positions
        if positions is None:  # whole before other threads can see it
            positions = {v: position for position, v in enumerate(self._values.to_list())}
            self._positions = positions
        exact = int if self.kind == "int" else str if self.kind == "str" else None
        found = [positions.get(i if type(i) is exact else self._plain(i), -1) for i in ids]
        return np.array(found, dtype=np.int32)

    def unknown(self, ids: Iterable[Any]) -> list[Any]:
        """Those of `ids` that are not here, in their order."""
        asked = list(ids)
        return [i for i, code in zip(asked, self.lookup(asked), strict=True) if code < 0]

    def match(self, other: Ids) -> Int:
        """Positions here of all ids of `other`; −1 for those that are not here."""
        if self == other:
            return np.arange(len(self), dtype=np.int32)
        uses_polars("matching the ids of two catalogues")
        mine, theirs = self._values, other._values
        if mine.dtype != theirs.dtype:
            mine, theirs = mine.cast(pl.String), theirs.cast(pl.String)
        left = pl.DataFrame({"id": theirs})
        right = pl.DataFrame({"id": mine, "position": np.arange(len(mine), dtype=np.int32)})
        joined = left.join(right, on="id", how="left", maintain_order="left")
        return joined["position"].fill_null(-1).to_numpy()

    @staticmethod
    def union(*parts: Ids) -> Ids:
        """All ids of some lists in ascending order, as text where they are of two types.

        A text file with numbers only has number ids, its other half with one word has text ids.
        """
        kinds = {part.kind for part in parts}
        if len(kinds) == 1:
            return Ids(pl.concat([part._values for part in parts]).unique().sort(), kinds.pop())
        texts = pl.concat([part._values.cast(pl.String) for part in parts])
        return Ids(texts.unique().sort(), "str")


def encode(column: pl.Series, where: str) -> tuple[Int, Ids]:
    """Replace the ids of a column by their numbers.

    Parameters
    ----------
    column : polars Series without nulls
    where : str
        Name of the column, for error messages ("column 'movieId' of ratings.csv").

    Returns
    -------
    codes : (len(column),) int32
        Position of each id in `ids`.
    ids : Ids

    Raises
    ------
    DataError
        The column's type cannot serve as ids.
    """
    dtype = column.dtype
    if isinstance(dtype, pl.Decimal):
        column = _whole_decimals(column, where)
        dtype = column.dtype
    if dtype == pl.Object:
        return _encode_objects(column, where)
    if dtype.is_float():
        if not (column == column.round()).all():
            raise DataError(f"{where} holds fractions ({dtype}); ids must be whole or text")
        if (column.abs() > _EXACT_FLOAT).any():
            raise DataError(
                f"{where} holds floats beyond 2**53, which have lost digits or are infinite; "
                "store the ids as whole numbers or as text"
            )
        column, dtype = column.cast(pl.Int64), pl.Int64()
    if dtype in (pl.Int32, pl.Int64):  # as they are, without a copy
        return _encode_ints(column)
    if dtype.is_integer():
        whole = column.cast(pl.Int64, strict=False)
        if whole.null_count():
            raise DataError(f"{where} holds numbers beyond 64 bits with sign; store them as text")
        return _encode_ints(whole)
    if isinstance(dtype, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    elif dtype != pl.String:
        raise DataError(f"{where} has type {dtype}; ids must be whole numbers or text")
    return _encode_text(column)


def _whole_decimals(column: pl.Series, where: str) -> pl.Series:
    """Decimal numbers without fractions, as databases export whole numbers, as 64-bit ones."""
    whole = column.cast(pl.Int64, strict=False)
    if whole.null_count():
        raise DataError(f"{where} holds numbers beyond 64 bits with sign; store them as text")
    if not (whole.cast(column.dtype, strict=False) == column).all():
        raise DataError(f"{where} holds fractions ({column.dtype}); ids must be whole or text")
    return whole


def _encode_ints(column: pl.Series) -> tuple[Int, Ids]:
    values = column.to_numpy()
    if values.size == 0:
        return np.empty(0, np.int32), Ids(pl.Series([], dtype=pl.Int64), "int")
    low, high = int(values.min()), int(values.max())
    if high - low < max(1_000_000, 4 * values.size):
        codes, numbers = order.dense_codes(values, low, high)
        return codes, Ids(pl.Series(numbers), "int")
    distinct = column.unique().sort()
    codes = np.searchsorted(distinct.to_numpy(), values).astype(np.int32)
    return codes, Ids(distinct.cast(pl.Int64), "int")


def _encode_text(column: pl.Series, kind: Kind = "str") -> tuple[Int, Ids]:
    distinct = column.unique().sort()
    codes = column.cast(pl.Enum(distinct)).to_physical().to_numpy().astype(np.int32)
    return codes, Ids(distinct, kind)


def _encode_objects(column: pl.Series, where: str) -> tuple[Int, Ids]:
    """Python objects, as pandas hands them out: one type throughout, or a clear error."""
    values = column.to_list()
    types = {type(v) for v in values}
    if types <= {uuid.UUID}:
        return _encode_text(pl.Series([str(v) for v in values], dtype=pl.String), "uuid")
    if all(issubclass(t, int | np.integer) and t is not bool for t in types):
        numbers = [int(v) for v in values]
        if max(map(abs, numbers)) >= 2**63:
            raise DataError(f"{where} holds numbers beyond 64 bits with sign; store them as text")
        return _encode_ints(pl.Series(numbers, dtype=pl.Int64))
    if types <= {str}:
        return _encode_text(pl.Series(values, dtype=pl.String))
    names = ", ".join(sorted(t.__name__ for t in types))
    odd = next((i for i, v in enumerate(values) if type(v) is not type(values[0])), None)
    if odd is None:
        raise DataError(f"{where} holds {names} objects; ids must be whole numbers, text or UUIDs")
    raise DataError(
        f"{where} mixes types ({names}): row 1 holds {values[0]!r}, row {odd + 1} holds "
        f"{values[odd]!r}. Convert the column to text or to whole numbers"
    )


def number_forms(texts: pl.Series) -> frozenset[str]:
    """How all of some texts are written if they are whole numbers of 64 bits, as ids may be.

    "plain" stands for 12 and "decimal" for 12.0; texts of both forms, or of neither, have none of
    them, and no texts have both. Of several parts of a column, the forms are those of every part.
    """
    forms = set()
    for form, pattern in (("plain", CANONICAL_INT), ("decimal", _DECIMAL_INT)):
        if texts.str.contains(pattern).all():
            numbers = texts.str.strip_suffix(".0").cast(pl.Int64, strict=False)
            if not numbers.null_count():
                forms.add(form)
    return frozenset(forms)


def without_decimals(texts: pl.Series) -> pl.Series:
    """Whole numbers that are all written like 12.0, as pandas does beside gaps, without the .0."""
    if len(texts) and texts.str.contains(_DECIMAL_INT).all():
        return texts.str.strip_suffix(".0")
    return texts


def text_to_numbers(ids: Ids) -> tuple[Int, Ids] | None:
    """Renumber text ids as integers where every one of them is written like one.

    CSV and similar formats carry no types. Ids such as "007" stay text, since the number
    would not print as the id it came from. None is returned if some id is not a number or has
    more than 64 bits.

    Returns
    -------
    positions : (n,) int32
        The new position of the id at each old position.
    ids : Ids
        The numbers.
    """
    if len(ids) == 0 or not number_forms(ids.series):
        return None
    numbers = ids.series.str.strip_suffix(".0").cast(pl.Int64)
    rank = np.empty(len(ids), np.int32)
    rank[numbers.arg_sort().to_numpy()] = np.arange(len(ids), dtype=np.int32)
    return rank, Ids(numbers.sort(), "int")


def encode_written(column: pl.Series, where: str, *, typed: bool) -> tuple[Int, Ids]:
    """`encode`, for a column that may be of a text file, where whole numbers are numbers.

    Parameters
    ----------
    column, where
        As for `encode`.
    typed : bool
        False for text formats, whose columns are all text.
    """
    codes, ids = encode(column, where)
    numbers = None if typed else text_to_numbers(ids)
    if numbers is None:
        return codes, ids
    new_positions, ids = numbers
    return new_positions[codes], ids
