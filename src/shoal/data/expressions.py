"""The parser of expressions: from a text to a `Condition` or a `Number`. See `shoal.data.where`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from shoal.data.arithmetic import (
    Calculated,
    Chosen,
    ColumnsCompared,
    Counted,
    Fixed,
    IsTrue,
    Number,
    NumbersCompared,
    OfColumn,
)
from shoal.data.conditions import (
    Among,
    Comparison,
    Condition,
    Constant,
    Either,
    Every,
    HasLabel,
    IsNull,
    Not,
)
from shoal.data.tokens import Token, Written
from shoal.errors import DataError

_DEEPEST = 50  # parentheses within each other
_MOST_OPERATIONS = 100  # each may be a level of the tree that polars computes
_COMPARISONS = {"=": "eq", "==": "eq", "!=": "ne", "<>": "ne"}
_COMPARISONS |= {"<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_FUNCTIONS = {"min": (2, 20), "max": (2, 20), "abs": (1, 1), "log": (1, 1), "if": (3, 3)}
_NAMES = ("word", "quoted", "ticked")  # kinds of tokens that can name a column
_COMPARE = "stands where =, !=, <, <=, >, >=, in, has or is is expected"


@dataclass(frozen=True)
class _Is:
    """A condition, as a part of an expression."""

    condition: Condition
    begin: Token


@dataclass(frozen=True)
class _Calculation:
    """A number with an operation in it, as a part of an expression."""

    number: Number
    begin: Token


# a part of an expression: a single constant or name is a token until it is clear what it stands for
_Part: TypeAlias = Token | _Is | _Calculation


class Parser:
    """A parser by recursive descent; each method reads one rule of the grammar.

    Parameters
    ----------
    written : Written
    most_parts : int
        Comparisons, constants of lists and operations that the expression may have.
    """

    def __init__(self, written: Written, most_parts: int) -> None:
        self._written, self._most_parts = written, most_parts
        self._tokens, self._next = written.tokens(), 0
        self._depth = self._n_parts = self._n_operations = 0

    def condition(self) -> Condition:
        """The whole text as a condition."""
        part = self._any()
        condition = self._as_condition(part)
        self._expect_end()
        return condition

    def number(self) -> Number:
        """The whole text as a number; a condition counts as 1 or 0."""
        number = self._as_number(self._any())
        self._expect_end()
        return number

    # -- tokens ----------------------------------------------------------------------------

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _advance(self) -> Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _take(self, *words: str) -> str:
        """The next keyword or sign if it is one of these, else nothing."""
        token = self._token
        if token.kind in ("keyword", "sign") and token.word in words:
            self._next += 1
            return token.word
        return ""

    def _need(self, word: str) -> None:
        if not self._take(word):
            raise self._wrong(f"stands where {word!r} is expected")

    def _wrong(self, what: str, token: Token | None = None) -> DataError:
        return self._written.fault(what, (token or self._token).place)

    def _expect_end(self) -> None:
        if self._token.kind != "end":
            raise self._wrong("is too much (and, or missing?)")

    def _count(self, operations: int = 0) -> None:
        """Count a comparison, a constant of a list or an operation."""
        self._n_parts += 1
        self._n_operations += operations
        if self._n_parts > self._most_parts:
            raise self._wrong(
                f"is one comparison, constant or operation more than {self._most_parts:,}"
            )
        if self._n_operations > _MOST_OPERATIONS:
            raise self._wrong(f"is one operation (+ − * /) more than {_MOST_OPERATIONS}")

    # -- what a part stands for ------------------------------------------------------------

    def _as_condition(self, part: _Part) -> Condition:
        """A part as a condition; the token after it is wrong if it is none."""
        if isinstance(part, _Is):
            return part.condition
        if isinstance(part, Token) and part.kind in _NAMES:
            return IsTrue(part.content, str(self._wrong(_COMPARE)))
        raise self._wrong(_COMPARE)

    def _as_number(self, part: _Part) -> Number:
        if isinstance(part, _Is):
            return Counted(part.condition)
        if isinstance(part, _Calculation):
            return part.number
        if part.kind in _NAMES:
            return OfColumn(part.content)
        if part.kind == "number":
            return Fixed(self._value(part))
        raise self._wrong("stands where a number is expected", part)

    def _value(self, token: Token, sign: int = 1) -> int | float:
        """The number that a token is, a whole one if it is written so and fits 64 bits."""
        digits = token.word.removeprefix("-")
        sign = -sign if digits != token.word else sign
        if digits.isascii() and digits.isdigit() and len(digits) < 25 and int(digits) < 2**63:
            return sign * int(digits)
        value = float(digits)
        if not math.isfinite(value):
            raise self._wrong("is too large a number", token)
        return sign * value

    # -- the rules of the grammar ----------------------------------------------------------

    def _any(self) -> _Part:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise DataError(
                f"{self._written.option}: the condition nests more than {_DEEPEST} parentheses"
            )
        begin = self._token
        part = self._conjunction()
        if self._token.word == "or" and self._token.kind == "keyword":
            parts = [self._as_condition(part)]
            while self._take("or"):
                parts.append(self._as_condition(self._conjunction()))
            part = _Is(Either(tuple(parts)), begin)
        self._depth -= 1
        return part

    def _conjunction(self) -> _Part:
        begin = self._token
        part = self._negation()
        if self._token.word == "and" and self._token.kind == "keyword":
            parts = [self._as_condition(part)]
            while self._take("and"):
                parts.append(self._as_condition(self._negation()))
            part = _Is(Every(tuple(parts)), begin)
        return part

    def _negation(self) -> _Part:
        begin, n_times = self._token, 0
        while self._take("not"):
            n_times += 1
        part = self._test()
        if not n_times:
            return part
        condition = self._as_condition(part)
        return _Is(Not(condition) if n_times % 2 else condition, begin)

    def _test(self) -> _Part:
        left = self._sum()
        begin = left if isinstance(left, Token) else left.begin
        if self._take("is"):
            negative = bool(self._take("not"))
            self._need("null")
            self._count()
            null = IsNull(self._column(left))
            return _Is(Not(null) if negative else null, begin)
        negative = bool(self._take("not"))
        test: Condition
        if self._take("in"):
            is_list = self._token.kind == "sign" and self._token.word == "("
            test = self._among(left) if is_list else self._labelled(left)
        elif self._take("has"):
            self._count()
            test = HasLabel(self._column(left), str(self._constant()))
        elif negative:
            raise self._wrong(_COMPARE)
        elif sign := self._take(*_COMPARISONS):
            self._count()
            return _Is(self._compared(left, _COMPARISONS[sign]), begin)
        else:
            return left
        return _Is(Not(test) if negative else test, begin)

    def _column(self, part: _Part) -> str:
        """The column that a part names."""
        token = part if isinstance(part, Token) else part.begin
        if not isinstance(part, Token) or part.kind not in _NAMES:
            raise self._wrong("stands where the name of a column is expected", token)
        return part.content

    def _compared(self, left: _Part, operator: str) -> Condition:
        """A comparison, of which the sign has been read."""
        if isinstance(left, _Calculation | _Is):
            if not self._as_number(left).columns():
                raise self._wrong("names no column to compare", left.begin)
            return NumbersCompared(
                self._as_number(left), operator, self._as_number(self._right_side())
            )
        column, right = self._column(left), self._right_side()
        if not isinstance(right, Token):
            return NumbersCompared(OfColumn(column), operator, self._as_number(right))
        if right.kind in ("word", "ticked"):
            absent = self._wrong("stands where a constant is expected: put text in quotes", right)
            return ColumnsCompared(column, operator, right.content, str(absent))
        return Comparison(column, operator, self._of_token(right))

    def _right_side(self) -> _Part:
        if self._token.kind == "keyword":
            return self._of_keyword()
        if self._token.kind in ("end", "sign") and self._token.word not in ("(", "+", "-"):
            raise self._wrong("stands where a constant is expected (text in quotes, or a number)")
        return self._sum()

    def _of_keyword(self) -> Token:
        """The token ``true`` or ``false``."""
        if self._token.word == "null":
            raise self._wrong("cannot be compared with: write `is null`")
        if self._token.word not in ("true", "false"):
            raise self._wrong("stands where a constant is expected (text in quotes, or a number)")
        return self._advance()

    def _of_token(self, token: Token) -> Constant:
        if token.kind in ("text", "quoted"):
            return token.content
        return token.word == "true" if token.kind == "keyword" else self._value(token)

    def _constant(self) -> Constant:
        """A constant in a list, or after ``has``."""
        if self._token.kind == "keyword":
            return self._of_token(self._of_keyword())
        if self._token.kind in ("word", "ticked"):
            raise self._wrong("stands where a constant is expected: put text in quotes")
        sign = -1 if self._take("-") else 1 if self._take("+") else 0
        token = self._token
        if token.kind != "number" and (sign or token.kind not in ("text", "quoted")):
            raise self._wrong("stands where a constant is expected (text in quotes, or a number)")
        self._advance()
        return self._value(token, sign or 1) if token.kind == "number" else token.content

    def _among(self, left: _Part) -> Condition:
        column = self._column(left)
        self._need("(")
        constants: list[Constant] = []
        while not constants or self._take(","):
            self._count()
            constants.append(self._constant())
        self._need(")")
        return Among(column, tuple(constants))

    def _labelled(self, left: _Part) -> Condition:
        """``'text' in column``, of which ``in`` has been read."""
        self._count()
        if not isinstance(left, Token) or left.kind not in ("text", "quoted", "number"):
            if isinstance(left, Token) and left.kind in _NAMES:
                raise self._wrong("stands before `in`, where a text in quotes is expected", left)
            raise self._wrong("stands where '(' is expected")
        return HasLabel(self._column(self._primary()), left.content)

    def _sum(self) -> _Part:
        part = self._product()
        while sign := self._take("+", "-"):
            part = self._joined(sign, part, self._product())
        return part

    def _product(self) -> _Part:
        part = self._signed()
        while sign := self._take("*", "/"):
            part = self._joined(sign, part, self._signed())
        return part

    def _joined(self, sign: str, left: _Part, right: _Part) -> _Calculation:
        self._count(operations=1)
        parts = self._as_number(left), self._as_number(right)
        return _Calculation(
            Calculated(sign, parts), left if isinstance(left, Token) else left.begin
        )

    def _signed(self) -> _Part:
        begin, sign = self._token, 1
        while taken := self._take("+", "-"):
            sign = -sign if taken == "-" else sign
        part = self._primary()
        if begin is part or begin.kind != "sign" or begin.word == "(":
            return part
        if isinstance(part, Token) and part.kind == "number":
            return Token("number", part.word, part.place) if sign > 0 else _negative(part)
        number = self._as_number(part)
        self._count(operations=1)
        return _Calculation(Calculated("*", (Fixed(sign), number)), begin)

    def _primary(self) -> _Part:
        token = self._token
        if token.kind == "sign" and token.word == "(":
            self._advance()
            inner = self._any()
            self._need(")")
            return inner
        if token.kind in ("text", "number", *_NAMES):
            self._advance()
            if token.kind == "word" and self._token.kind == "sign" and self._token.word == "(":
                return self._function(token)
            return token
        raise self._wrong("stands where the name of a column is expected")

    def _function(self, name: Token) -> _Calculation:
        if name.word not in _FUNCTIONS:
            raise self._wrong(f"is no function (there are {', '.join(_FUNCTIONS)})", name)
        self._count(operations=1)
        self._need("(")
        parts = [self._any()]
        if name.word == "if":
            condition = self._as_condition(parts[0])
        while self._take(","):
            parts.append(self._any())
        self._need(")")
        least, most = _FUNCTIONS[name.word]
        if not least <= len(parts) <= most:
            wanted = f"{least}" if least == most else f"{least} to {most}"
            raise self._wrong(f"takes {wanted} values in parentheses, and not {len(parts)}", name)
        if name.word == "if":
            then, otherwise = (self._as_number(part) for part in parts[1:])
            return _Calculation(Chosen(condition, then, otherwise), name)
        return _Calculation(Calculated(name.word, tuple(map(self._as_number, parts))), name)


def _negative(number: Token) -> Token:
    """The token of a number with the other sign."""
    word = number.word
    opposite = word.removeprefix("-") if word.startswith("-") else f"-{word}"
    return Token("number", opposite, number.place)
