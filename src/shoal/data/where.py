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

import polars as pl

from shoal.data.conditions import (
    Comparison,
    Condition,
    Constant,
    Either,
    Every,
    HasLabel,
    IsNull,
    Not,
)
from shoal.errors import DataError

_LONGEST, _DEEPEST = 20_000, 50  # characters of a condition, and parentheses within each other
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
