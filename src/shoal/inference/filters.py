"""Filters and boosts: expressions over the item table of a model, as arrays over its items.

An expression is evaluated once for each model. Its result is kept with the model, as long as the
model lives and there is room, so that a service pays for it with the first request only. All of
this may be called from several threads.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from sys import getsizeof
from threading import Lock
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import polars as pl

from shoal.base.recommender import Recommender
from shoal.data.arithmetic import IsTrue, OfColumn
from shoal.data.conditions import Condition, as_text, column_name
from shoal.data.evaluate import DistinctEntries, Evaluation
from shoal.data.where import parse_condition, parse_number
from shoal.errors import DataError, HistoryError
from shoal.forks import uses_polars
from shoal.kernels.arrays import Bool, Float

# an expression that gives a factor for each item, or a factor for each of several conditions
Boost: TypeAlias = str | Mapping[str, float]

LONGEST = 2_000  # characters of an expression
MOST_CONDITIONS = 50  # of a boost that is a mapping
_MOST_PARTS = 200  # comparisons and such
_SECONDS = 5.0  # that an expression may take
_ROOM = 64_000_000  # bytes of expressions and results that are kept for each model
SMALLEST, LARGEST = 1e-6, 1e6  # factors of a boost


@dataclass
class _Kept:
    """Results of expressions over one item table, of which the least recently used are dropped."""

    distinct: DistinctEntries
    lock: Lock = field(default_factory=Lock)
    results: OrderedDict[Hashable, Any] = field(default_factory=OrderedDict)
    n_bytes: int = 0

    def get(self, key: Hashable) -> Any:
        """The result of an expression, or None."""
        with self.lock:
            result = self.results.get(key)
            if result is not None:
                self.results.move_to_end(key)
            return result

    def put(self, key: Hashable, result: Any) -> None:
        """Keep the result of an expression."""
        with self.lock:
            if key not in self.results:
                self.n_bytes += _size(key, result)
            self.results[key] = result
            while self.n_bytes > _ROOM and len(self.results) > 1:
                self.n_bytes -= _size(*self.results.popitem(last=False))


def _size(key: Any, result: Any) -> int:
    """The bytes of a result and of its expression, which is the longer one in a small catalogue."""
    stack, size = [key], int(result.nbytes) + getsizeof(result)
    while stack:
        part = stack.pop()
        size += getsizeof(part)
        stack += part if isinstance(part, tuple) else ()
    return size


_kept: WeakKeyDictionary[Recommender, _Kept] = WeakKeyDictionary()
_lock = Lock()


def item_mask(model: Recommender, filter: str) -> Bool:
    """Which items fulfil a condition on their attributes.

    Parameters
    ----------
    model : Recommender
        Fitted or loaded.
    filter : str
        A condition on the columns of the item table, in the language of `shoal.data.where`.

    Returns
    -------
    (n_items,) bool
        Read-only; the same array for the same filter.

    Raises
    ------
    HistoryError
        The text is no condition, names a column that the item table does not have, or takes too
        long.
    """

    def evaluate(evaluation: Evaluation) -> Bool:
        condition = parse_condition(filter, "filter", LONGEST, _MOST_PARTS)
        _refuse_texts(evaluation.table, condition)
        return evaluation.mask(condition).copy()

    mask: Bool = _once(model, ("filter", filter), "filter", evaluate)
    return mask


def item_factors(model: Recommender, boost: Boost) -> Float:
    """By how much each item is favoured.

    Parameters
    ----------
    model : Recommender
        Fitted or loaded.
    boost : str or mapping
        An expression that gives the factor of each item, such as ``1 + 0.5 * (year >= 2000)``, or
        a mapping of conditions to factors: an item gets the product of those whose conditions it
        fulfils. The name of a column alone stands for its being true, or other than 0.

    Returns
    -------
    (n_items,) float32
        Read-only; from `SMALLEST` to `LARGEST`, and 1 where an expression has no result.

    Raises
    ------
    HistoryError
        The boost cannot be read, names a column that the item table does not have, takes too long,
        or gives an item a factor out of bounds.
    """
    conditions = None if isinstance(boost, str) else _checked_mapping(boost)

    def evaluate(evaluation: Evaluation) -> Float:
        table = evaluation.table
        factors = np.ones(len(table))
        if conditions is None:
            number = parse_number(str(boost), "boost", LONGEST, _MOST_PARTS)
            _refuse_texts(table, number)
            factors = np.nan_to_num(evaluation.number(number), nan=1.0)
        for text, factor in conditions or ():
            condition = _condition_of_boost(table, text)
            _refuse_texts(table, condition)
            factors[evaluation.mask(condition)] *= factor
        return _within_bounds(factors, table)

    key = "boost", boost if conditions is None else conditions
    factors: Float = _once(model, key, "boost", evaluate)
    return factors


def _once(
    model: Recommender,
    key: tuple[Any, ...],
    option: str,
    evaluate: Callable[[Evaluation], Any],
) -> Any:
    """The result of an expression over the items of a model, computed when first asked for."""
    table = model.item_table
    with _lock:
        kept = _kept.get(model)
        if kept is None or kept.distinct.table is not table:  # another one after another fit
            kept = _kept[model] = _Kept(DistinctEntries(table))
    try:
        result = kept.get(key)
    except TypeError:  # no text, so that it cannot be a key
        raise HistoryError(f"{option}={key[1]!r:.100}: give a text") from None
    if result is None:
        uses_polars(f"a {option} that has not been asked for before")
        try:
            result = evaluate(Evaluation(kept.distinct, _SECONDS))
        except DataError as error:
            text = str(error)
            raise HistoryError(text if text.startswith(option) else f"{option}: {text}") from None
        except pl.exceptions.PolarsError as error:
            reason = str(error).partition("\n")[0]
            raise HistoryError(f"{option}: {key[1]!r:.200} cannot be computed: {reason}") from None
        result.flags.writeable = False
        kept.put(key, result)
    return result


def _condition_of_boost(table: pl.DataFrame, text: str) -> Condition:
    """A key of a mapping: the name of a column, or a condition."""
    try:
        return IsTrue(column_name(text, table.columns))
    except DataError:
        return parse_condition(text, "boost", LONGEST, _MOST_PARTS)


def _checked_mapping(boost: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """The conditions and factors of a mapping, if all are such."""
    if not isinstance(boost, Mapping):
        raise HistoryError(
            f"boost={boost!r:.100}: give an expression, or a mapping of conditions to factors"
        )
    conditions = []
    for text, factor in boost.items():
        if not isinstance(text, str):
            raise HistoryError(f"boost: {text!r:.100} is no condition: give texts")
        is_number = isinstance(factor, int | float | np.number) and not isinstance(factor, bool)
        if not is_number or not SMALLEST <= factor <= LARGEST:
            raise HistoryError(
                f"boost: {text[:100]!r} has the factor {factor!r:.50}: give a number from "
                f"{SMALLEST:g} to {LARGEST:,.0f}; above 1 favours, below 1 the opposite"
            )
        conditions.append((text, float(factor)))
    length = sum(len(text) for text, _ in conditions)
    if len(conditions) > MOST_CONDITIONS or length > LONGEST:
        raise HistoryError(
            f"boost: {len(conditions):,} conditions of {length:,} characters: at most "
            f"{MOST_CONDITIONS} and {LONGEST:,} are read"
        )
    return tuple(conditions)


def _within_bounds(factors: Any, table: pl.DataFrame) -> Float:
    """Factors as float32, if none is out of bounds."""
    outside = np.flatnonzero(~((factors >= SMALLEST) & (factors <= LARGEST)))
    if outside.size:
        item, factor = table["item"][int(outside[0])], factors[outside[0]]
        raise HistoryError(
            f"boost: the factor of {outside.size:,} items is not from {SMALLEST:g} to "
            f"{LARGEST:,.0f} (item {item!r} gets {factor:g}): write max(0.1, …) or min(10, …) "
            "around the expression"
        )
    return np.array(factors, np.float32)


def _refuse_texts(table: pl.DataFrame, expression: Any) -> None:
    """Refuse to calculate with texts of which none is a number, or none is true or false."""
    schema = table.schema
    for part in _parts(expression):
        if not isinstance(part, OfColumn | IsTrue):
            continue
        name = column_name(part.column, schema)
        if as_text(pl.col(name), schema[name]) is None:
            continue
        entries = table[name].drop_nulls().len()
        if entries and table.select(part.expression(schema).is_null().all()).item():
            what = "numbers" if isinstance(part, OfColumn) else "true or false"
            raise DataError(
                f"column {name!r} holds texts that are not {what}: compare it with a text in "
                f"quotes, such as {name} = {str(table[name].drop_nulls()[0])[:30]!r}"
            )


def _parts(expression: Any) -> Iterator[Any]:
    """All conditions and numbers that an expression is made of."""
    stack = [expression]
    while stack:
        part = stack.pop()
        if isinstance(part, tuple):
            stack += part
        elif is_dataclass(part):
            yield part
            stack += [getattr(part, f.name) for f in fields(part)]
