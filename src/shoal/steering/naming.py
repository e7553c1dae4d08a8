"""Names of groups of items: what sets them apart from the catalogue.

A group is a membership m_i ≥ 0 for each item. For a value v of an attribute, y_v = Σ m_i over the
items with this value, Y = Σ m_i, and p_v is the share of the catalogue that has it. The log-odds of
the group against the catalogue, smoothed by α = 2 items that are like the catalogue, are

    δ_v = log (y_v + α·p_v)/(Y − y_v + α·(1 − p_v)) − log p_v/(1 − p_v)

less one standard error, 1/√(y_v + α·p_v) (Monroe, Colaresi and Quinn, *Fightin' Words*, Political
Analysis 2008, with an informative prior). The name is the value of highest log-odds among those
that tell of the group: a quarter of its membership or more has it, and 1.5 times as much as of the
catalogue. Where no attribute is telling, words of titles are tried in the same way, and then the
group is named by the two most popular of its strong members.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from shoal.base.recommender import Recommender
from shoal.data.columns import folded
from shoal.data.interactions import CSR
from shoal.data.items import with_type
from shoal.data.labels import labels
from shoal.data.titles import TITLES
from shoal.forks import uses_polars
from shoal.kernels.arrays import Bool, Double, Long

_SMOOTHING = 2.0
_SHARE, _LIFT = 0.25, 1.5  # from which a value tells of a group
_WORD_SHARE = 0.15  # for words of titles, of which each title has few
_ALIKE = 0.7  # share of groups with a value, from which those of the same value are one
_CLEAR, _ENOUGH = 0.4, 8  # share from which a name is clear; so many of these make others needless
_STRONG = 0.5  # membership of items that may name a group
_LEAST = 3  # items of the catalogue with a value
_MOST_VALUES = 3_000  # the most common ones are looked at
_LONGEST = 40  # characters of a name's part
_WORD = re.compile(r"[^\W\d_]{4,}")
_COMMON = frozenset(
    {
        *("about", "after", "against", "among", "because", "before", "behind", "beneath"),
        *("between", "beyond", "from", "have", "into", "only", "over", "that", "their", "them"),
        *("then", "there", "they", "this", "under", "until", "upon", "what", "when", "where"),
        *("which", "while", "with", "without", "your", "part", "volume", "according"),
    }
)


@dataclass(frozen=True)
class Named:
    """The name of one group: its row, its name, and how far the first value of it tells of it.

    `items` are the positions of the items that it is named by, if any.
    """

    row: int
    text: str
    share: float | None = None
    base: float | None = None
    items: tuple[int, ...] = ()


@dataclass(frozen=True)
class _Telling:
    """A value that tells of a group, the strongest first."""

    text: str
    share: float
    base: float
    odds: float


@dataclass(frozen=True)
class _Values:
    """Values that items share: their texts, and which items have them, (n_values, n_items)."""

    texts: tuple[str, ...]
    having: CSR

    def telling(self, memberships: CSR, known: Bool, least: float) -> list[list[_Telling]]:
        """The values that tell of each group, the one of highest log-odds first."""
        if not self.texts:
            return [[] for _ in range(memberships.shape[0])]
        n = max(int(known.sum()), 1)
        base: Double = (np.diff(self.having.indptr) + 0.5) / (n + 1)
        total: Double = np.asarray(memberships.sum(axis=1), np.float64).ravel()
        joint: Double = (memberships @ self.having.T).toarray().astype(np.float64)
        having = joint + _SMOOTHING * base
        others = np.maximum(total[:, None] - joint, 0) + _SMOOTHING * (1 - base)
        odds = np.log(having / others) - np.log(base / (1 - base)) - 1 / np.sqrt(having)
        share = joint / np.maximum(total, 1e-12)[:, None]
        tells = (share >= least) & (share >= _LIFT * base) & (odds > 0)
        answer = []
        for row in range(len(total)):
            places = np.flatnonzero(tells[row])
            places = places[np.argsort(-odds[row, places], kind="stable")]
            answer.append(
                [
                    _Telling(
                        self.texts[v], float(share[row, v]), float(base[v]), float(odds[row, v])
                    )
                    for v in places.tolist()
                ]
            )
        return answer


def named(
    model: Recommender, memberships: CSR, most: int, *, merge: bool
) -> tuple[CSR, list[Named]]:
    """Choose at most so many groups, those that are told by their names best, and name them.

    Parameters
    ----------
    model : Recommender
        Its item table has the attributes.
    memberships : CSR array (m, n_items)
        The groups, the largest first.
    most : int
    merge : bool
        Make one of groups that the same value of an attribute tells of; they have no common items.

    Returns
    -------
    memberships : CSR array
        The groups, after those of the same name were merged.
    names : list of Named
        All names are different.
    """
    uses_polars("naming the knobs of a model")
    known = model.known_items
    values, words = _values_of_attributes(model.item_table, known), _words(model.item_table, known)
    memberships = memberships[: 8 * most]
    if merge:
        memberships = _merged(memberships, values, known)
    by_value = values.telling(memberships, known, _SHARE)
    by_word = words.telling(memberships, known, _WORD_SHARE)
    telling = [[*first, *others] for first, others in zip(by_value, by_word, strict=True)]

    def strength(row: int) -> tuple[bool, bool, float]:
        first = telling[row][0] if telling[row] else None
        return bool(by_value[row]), first is not None, first.share * first.odds if first else 0.0

    order = sorted(range(memberships.shape[0]), key=strength, reverse=True)
    names = _Names(model, memberships)
    for rule in (names.by_first, names.by_two, names.by_items):
        for row in order:
            if len(names.chosen) < most and row not in names.chosen:
                rule(row, telling[row])
    chosen = sorted(names.chosen.values(), key=lambda name: order.index(name.row))
    clear = [name for name in chosen if name.share is not None and name.share >= _CLEAR]
    return memberships, clear if len(clear) >= _ENOUGH else chosen


def _merged(memberships: CSR, values: _Values, known: Bool) -> CSR:
    """Make one group of all those that the same attribute tells of, if it is true of most of each.

    The groups have no common items.
    """
    group: dict[str, int] = {}
    target = []
    for row, telling in enumerate(values.telling(memberships, known, _SHARE)):
        name = telling[0].text if telling and telling[0].share >= _ALIKE else f"\0{row}"
        target.append(group.setdefault(name, len(group)))
    m = memberships.shape[0]
    joining = CSR((np.ones(m, np.float32), (target, np.arange(m))), shape=(len(group), m))
    joint = CSR(joining @ memberships)
    joint.sort_indices()
    return joint[np.argsort(-np.diff(joint.indptr), kind="stable")]


class _Names:
    """Names that are taken, by the row of their group."""

    def __init__(self, model: Recommender, memberships: CSR) -> None:
        self._model, self._memberships = model, memberships
        self.chosen: dict[int, Named] = {}
        self._taken: set[str] = set()

    def _take(
        self, row: int, text: str, first: _Telling | None, items: tuple[int, ...] = ()
    ) -> bool:
        if text.casefold() in self._taken:
            return False
        self._taken.add(text.casefold())
        share, base = (None, None) if first is None else (first.share, first.base)
        self.chosen[row] = Named(row, text, share, base, items)
        return True

    def by_first(self, row: int, telling: Sequence[_Telling]) -> None:
        """The most telling value alone."""
        if telling:
            self._take(row, telling[0].text, telling[0])

    def by_two(self, row: int, telling: Sequence[_Telling]) -> None:
        """The most telling value with the next one that makes the name another."""
        for other in telling[1:]:
            if other.text.casefold() != telling[0].text.casefold() and self._take(
                row, f"{telling[0].text} · {other.text}", telling[0]
            ):
                return

    def by_items(self, row: int, telling: Sequence[_Telling]) -> None:
        """The two most popular of the strong members, after the most telling value if any."""
        if telling and len(self.chosen) >= _ENOUGH:  # there are better ones of this value
            return
        extent = slice(self._memberships.indptr[row], self._memberships.indptr[row + 1])
        codes, weights = self._memberships.indices[extent], self._memberships.data[extent]
        if (weights >= _STRONG).sum() > 1:
            codes = codes[weights >= _STRONG]
        two = _most_popular(self._model, codes)[:2]
        text = ", ".join(_titles(self._model, two))
        first = telling[0] if telling else None
        text = text if first is None else f"{first.text} · {text}"
        number = 1
        items = tuple(two.tolist())
        while not self._take(row, text if number == 1 else f"{text} ({number})", first, items):
            number += 1


def _most_popular(model: Recommender, codes: Long) -> Long:
    if model.item_counts is None:
        return codes
    return codes[np.argsort(-model.item_counts[codes], kind="stable")]


def _titles(model: Recommender, codes: Long) -> list[str]:
    """Titles of items, shortened; their ids where there are none."""
    table = model.item_table
    column = _title_column(table)
    ids = model.items.take(codes.astype(np.int32))
    if column is None:
        return [_short(str(item)) for item in ids]
    titles = [table[column][int(code)] for code in codes]
    return [_short(str(t or item)) for t, item in zip(titles, ids, strict=True)]


def _title_column(table: pl.DataFrame) -> str | None:
    return next((c for c in table.columns if folded(c) in TITLES), None)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1].rstrip() + "…"


def _values_of_attributes(table: pl.DataFrame, known: Bool) -> _Values:
    """The values of all attributes that items share."""
    columns = [c for c in table.columns if c != "item" and folded(c) not in TITLES]
    rows: list[set[str]] = [set() for _ in range(len(table))]
    for column in columns:
        for row, values in zip(rows, _entries(with_type(table[column])), strict=True):
            row.update(values)
    return _shared(rows, known)


def _entries(column: pl.Series) -> Iterable[Iterable[str]]:
    """The values of each item: labels of texts and lists, decades of years and dates."""
    kind = column.dtype
    if isinstance(kind, pl.List | pl.Array):
        return [[_short(str(v)) for v in entry or () if v is not None] for entry in column]
    if isinstance(kind, pl.Date | pl.Datetime):
        column, kind = column.dt.year(), pl.Int32()
        return _decades(column.to_list())
    if kind == pl.Boolean:
        name = _short(column.name)
        return [[name] if entry else [] for entry in column]
    if kind.is_integer() and folded(column.name).endswith("year"):
        return _decades(column.to_list())
    if isinstance(kind, pl.String | pl.Categorical | pl.Enum):
        texts = column.cast(pl.String).to_list()
        return [[_short(label) for label in entry] for entry in labels(texts)]
    return [()] * len(column)  # other numbers are no groups


def _decades(years: Sequence[Any]) -> list[list[str]]:
    return [[] if year is None else [f"{year // 10 * 10}s"] for year in years]


def _words(table: pl.DataFrame, known: Bool) -> _Values:
    """Words of titles that several items share."""
    column = _title_column(table)
    if column is None:
        return _shared([set() for _ in range(len(table))], known)
    titles = table[column].cast(pl.String).to_list()
    return _shared([set(_words_of(title)) for title in titles], known)


def _words_of(title: str | None) -> Iterator[str]:
    for word in _WORD.findall((title or "")[:1_000]):
        if word.casefold() not in _COMMON:
            yield _short(word[:1].upper() + word[1:].lower())


def _shared(rows: Sequence[set[str]], known: Bool) -> _Values:
    """The values that several known items have, the most common ones, and which items have them."""
    counts = Counter(v for code in np.flatnonzero(known).tolist() for v in rows[code] if v)
    common = sorted((v for v, n in counts.items() if n >= _LEAST), key=lambda v: (-counts[v], v))
    position = {value: place for place, value in enumerate(common[:_MOST_VALUES])}
    pairs = [
        (position[value], code)
        for code in np.flatnonzero(known).tolist()
        for value in rows[code]
        if value in position
    ]
    places, codes = np.array(pairs, np.int64).reshape(-1, 2).T
    ones = np.ones(len(places), np.float32)
    having = CSR((ones, (places, codes)), shape=(len(position), len(rows)))
    return _Values(tuple(position), having)
