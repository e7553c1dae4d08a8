"""Conditions on the columns of a table, such as ``event = 'purchase' and price < 20``.

The language has comparisons of a column with a constant, and ``and``, ``or``, ``not`` and
parentheses around them. Nothing of it is ever executed as code: a small parser of its own turns
the text into objects, and these into polars expressions.

    condition  = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation   = "not" negation | "(" condition ")" | test
    test       = column ( "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=" ) constant
               | column [ "not" ] "in" "(" constant { "," constant } ")"
               | column [ "not" ] "has" constant
               | column "is" [ "not" ] "null"
    constant   = 'text' | "text" | number | true | false

As in SQL, an empty entry fulfils no comparison, nor the negation of one, but ``is null``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import polars as pl

from shoal.data.labels import has_label
from shoal.errors import DataError

Constant = str | int | float | bool
Schema = Mapping[str, pl.DataType]

_LONGEST, _DEEPEST = 20_000, 50  # characters of a condition, and parentheses within each other
_EXACT_FLOAT = 2**53
_COMPARISONS = {"=": "eq", "==": "eq", "!=": "ne", "<>": "ne"}
_COMPARISONS |= {"<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_KEYWORDS = {"and", "or", "not", "in", "is", "null", "has", "true", "false"}
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')*')
          |(?P<quoted>"(?:[^"]|"")*"|`[^`]*`)
          |(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?![\w]))
          |(?P<word>[^\W\d][\w.]*)
          |(?P<sign><=|>=|<>|!=|==|[=<>(),]))""",
    re.VERBOSE,
)


class Condition(Protocol):
    """What a row of a table must fulfil."""

    def columns(self) -> set[str]:
        """Names of the columns that the condition reads."""

    def expression(self, schema: Schema) -> pl.Expr:
        """The condition over a table with these columns; null counts as not fulfilled."""


@dataclass(frozen=True)
class Comparison:
    """A column compared with a constant by ``eq``, ``ne``, ``lt``, ``le``, ``gt`` or ``ge``."""

    column: str
    operator: str
    constant: Constant

    def columns(self) -> set[str]:
        """The one column."""
        return {self.column}

    def expression(self, schema: Schema) -> pl.Expr:
        """The comparison in the type of the column, or of the number that it is compared with."""
        name = column_name(self.column, schema)
        if isinstance(schema[name], pl.List | pl.Array):
            if self.operator not in ("eq", "ne"):
                raise DataError(f"column {name!r} holds lists: ask with {name} has 'label'")
            fulfilled = has_label(pl.col(name), schema[name], str(self.constant))
            return fulfilled if self.operator == "eq" else ~fulfilled
        column, constant = _comparable(name, schema[name], self.constant, self.operator)
        result: pl.Expr = getattr(column, self.operator)(constant)
        return result


@dataclass(frozen=True)
class HasLabel:
    """Whether one of several labels of an entry (``Action|Comedy``, a list) is a text."""

    column: str
    label: str

    def columns(self) -> set[str]:
        """The one column."""
        return {self.column}

    def expression(self, schema: Schema) -> pl.Expr:
        """Whether the label is among those of the column."""
        name = column_name(self.column, schema)
        return has_label(pl.col(name), schema[name], self.label)


@dataclass(frozen=True)
class IsNull:
    """Whether an entry is empty."""

    column: str

    def columns(self) -> set[str]:
        """The one column."""
        return {self.column}

    def expression(self, schema: Schema) -> pl.Expr:
        """Whether the column holds null, or text without a character."""
        name = column_name(self.column, schema)
        column = pl.col(name)
        if schema[name] == pl.String:
            return column.is_null() | (column.str.strip_chars() == "")
        return column.is_null() | column.is_nan() if schema[name].is_float() else column.is_null()


@dataclass(frozen=True)
class Not:
    """The opposite of a condition."""

    of: Condition

    def columns(self) -> set[str]:
        """The columns of the condition within."""
        return self.of.columns()

    def expression(self, schema: Schema) -> pl.Expr:
        """The opposite; null stays null."""
        return ~self.of.expression(schema)


@dataclass(frozen=True)
class Every:
    """Several conditions at once (``and``)."""

    parts: tuple[Condition, ...]

    def columns(self) -> set[str]:
        """The columns of all parts."""
        return set().union(*(part.columns() for part in self.parts))

    def expression(self, schema: Schema) -> pl.Expr:
        """Whether all parts hold."""
        return pl.all_horizontal(*(part.expression(schema) for part in self.parts))


@dataclass(frozen=True)
class Either:
    """At least one of several conditions (``or``, ``in``)."""

    parts: tuple[Condition, ...]

    def columns(self) -> set[str]:
        """The columns of all parts."""
        return set().union(*(part.columns() for part in self.parts))

    def expression(self, schema: Schema) -> pl.Expr:
        """Whether one of the parts holds."""
        return pl.any_horizontal(*(part.expression(schema) for part in self.parts))


def column_name(asked: str, names: Any) -> str:
    """The column of that name; outer spaces of names do not count.

    Raises
    ------
    DataError
        There is no such column.
    """
    if asked in names:
        return asked
    same = [name for name in names if name.strip() == asked.strip()]
    if len(same) == 1:
        return str(same[0])
    raise DataError(f"there is no column {asked!r}; the columns are {', '.join(names)}")


def parse_where(text: str) -> Condition:
    """Parse a condition.

    Raises
    ------
    DataError
        The text is no condition; the message shows the place.
    """
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"where={text!r}: write a condition such as event = 'purchase'")
    if len(text) > _LONGEST:
        raise DataError(
            f"the condition has {len(text):,} characters: at most {_LONGEST:,} are read"
        )
    return _Parser(text).parse()


def rows_where(frame: pl.DataFrame, text: str) -> pl.Series:
    """Which rows of a table fulfil a condition.

    Returns
    -------
    (n_rows,) Boolean
        Without nulls.

    Raises
    ------
    DataError
        The text is no condition, or names a column that is not there or has another type.
    """
    fulfilled = parse_where(text).expression(frame.schema).fill_null(value=False)
    return frame.select(fulfilled.alias("fulfilled"))["fulfilled"]


def _comparable(
    name: str, dtype: pl.DataType, constant: Constant, operator: str
) -> tuple[pl.Expr, Any]:
    """A column and a constant in one type."""
    column = pl.col(name)
    if isinstance(dtype, pl.Date | pl.Datetime):
        return column.cast(pl.Datetime("us")), _moment(name, constant)
    if dtype == pl.Boolean or isinstance(constant, bool):
        return _as_truth(name, dtype), _truth(name, constant, operator)
    if isinstance(dtype, pl.Categorical | pl.Enum):
        column, dtype = column.cast(pl.String), pl.String()
    if dtype == pl.String:
        column = column.str.strip_chars()
        if isinstance(constant, str):
            return column, constant
        # numbers of more than 53 bits, such as ids, are compared as whole numbers
        exact = isinstance(constant, int) and abs(constant) > _EXACT_FLOAT
        return column.cast(pl.Int64 if exact else pl.Float64, strict=False), constant
    if not dtype.is_numeric():
        raise DataError(f"column {name!r} has type {dtype}, which cannot be compared")
    if isinstance(constant, str):
        whole = re.fullmatch(r"[+-]?\d{1,18}", constant.strip())
        try:
            return column, int(constant) if whole else float(constant)
        except ValueError:
            raise DataError(
                f"column {name!r} holds numbers and is compared with {constant!r}: give a number"
            ) from None
    return column, constant


def _moment(name: str, constant: Constant) -> datetime:
    try:
        moment = datetime.fromisoformat(str(constant))
    except ValueError:
        raise DataError(
            f"column {name!r} holds dates and is compared with {constant!r}: write one such as "
            "'2024-01-31'"
        ) from None
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _as_truth(name: str, dtype: pl.DataType) -> pl.Expr:
    column = pl.col(name)
    if dtype == pl.String:
        words = {"true": True, "false": False, "1": True, "0": False}
        words |= {"yes": True, "no": False, "t": True, "f": False}
        text = column.str.strip_chars().str.to_lowercase()
        return text.replace_strict(words, default=None, return_dtype=pl.Boolean)
    if dtype == pl.Boolean:
        return column
    if dtype.is_numeric():
        return pl.when(column.is_in([0, 1])).then(column == 1)
    raise DataError(f"column {name!r} has type {dtype}, which is neither true nor false")


def _truth(name: str, constant: Constant, operator: str) -> bool:
    words = {"true": True, "false": False, "1": True, "0": False}
    truth = words.get(str(constant).strip().lower())
    if truth is None or operator not in ("eq", "ne"):
        raise DataError(f"column {name!r} is true or false: compare it by = true or = false")
    return truth


class _Parser:
    """A parser by recursive descent; each method reads one rule of the grammar."""

    def __init__(self, text: str) -> None:
        self._text, self._depth = text, 0
        self._tokens: list[tuple[str, str, int]] = []  # kind, text, place
        place = 0
        while text[place:].strip():
            token = _TOKEN.match(text, place)
            if token is None:
                place += len(text[place:]) - len(text[place:].lstrip())
                hint = " (a quote is not closed)" if text[place] in "'\"`" else ""
                raise self._wrong(f"cannot be read{hint}", place)
            kind = str(token.lastgroup)
            word = token.group(kind)
            if kind == "word" and word.lower() in _KEYWORDS:
                kind, word = "keyword", word.lower()
            self._tokens.append((kind, word, token.start(str(token.lastgroup))))
            place = token.end()
        self._tokens.append(("end", "", len(text)))
        self._next = 0

    def parse(self) -> Condition:
        condition = self._condition()
        if self._kind != "end":
            raise self._wrong("is too much (and, or missing?)")
        return condition

    @property
    def _kind(self) -> str:
        return self._tokens[self._next][0]

    def _take(self, *words: str) -> str:
        """The next keyword or sign if it is one of these, else nothing."""
        kind, word, _ = self._tokens[self._next]
        if kind in ("keyword", "sign") and word in words:
            self._next += 1
            return word
        return ""

    def _need(self, word: str) -> None:
        if not self._take(word):
            raise self._wrong(f"stands where {word!r} is expected")

    def _wrong(self, what: str, place: int | None = None) -> DataError:
        place = self._tokens[self._next][2] if place is None else place
        rest = self._text[place : place + 30]
        here = f"{rest!r} (character {place + 1})" if rest else "the end"
        return DataError(
            f"where: {here} {what}, in {self._text[:200]!r}; write conditions such as "
            "event = 'purchase' and price >= 10"
        )

    def _condition(self) -> Condition:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise DataError(f"the condition nests more than {_DEEPEST} parentheses")
        parts = [self._conjunction()]
        while self._take("or"):
            parts.append(self._conjunction())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _conjunction(self) -> Condition:
        parts = [self._negation()]
        while self._take("and"):
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _negation(self) -> Condition:
        negative = False
        while self._take("not"):
            negative = not negative
        if self._take("("):
            inner = self._condition()
            self._need(")")
        else:
            inner = self._test()
        return Not(inner) if negative else inner

    def _test(self) -> Condition:
        kind, word, _ = self._tokens[self._next]
        if kind not in ("word", "quoted"):
            raise self._wrong("stands where the name of a column is expected")
        self._next += 1
        column = word if kind == "word" else word[1:-1].replace('""', '"')
        if self._take("is"):
            negative = bool(self._take("not"))
            self._need("null")
            return Not(IsNull(column)) if negative else IsNull(column)
        negative = bool(self._take("not"))
        test: Condition
        if self._take("in"):
            test = self._among(column)
        elif self._take("has"):
            test = HasLabel(column, str(self._constant()))
        else:
            sign = "" if negative else self._take(*_COMPARISONS)
            if not sign:
                raise self._wrong("stands where =, !=, <, <=, >, >=, in, has or is is expected")
            return Comparison(column, _COMPARISONS[sign], self._constant())
        return Not(test) if negative else test

    def _among(self, column: str) -> Condition:
        self._need("(")
        tests: list[Condition] = [Comparison(column, "eq", self._constant())]
        while self._take(","):
            tests.append(Comparison(column, "eq", self._constant()))
        self._need(")")
        return Either(tuple(tests))

    def _constant(self) -> Constant:
        kind, word, _ = self._tokens[self._next]
        if kind in ("text", "quoted"):
            self._next += 1
            return word[1:-1].replace(word[0] * 2, word[0])
        if kind == "number":
            self._next += 1
            whole = re.fullmatch(r"[+-]?\d+", word) and abs(int(word)) < 2**63
            return int(word) if whole else float(word)
        if truth := self._take("true", "false"):
            return truth == "true"
        if kind == "keyword" and word == "null":
            raise self._wrong("cannot be compared with: write `is null`")
        if kind == "word":
            raise self._wrong("stands where a constant is expected: put text in quotes")
        raise self._wrong("stands where a constant is expected (text in quotes, or a number)")
