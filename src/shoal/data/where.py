"""Conditions on the columns of a table, such as ``event = 'purchase' and price < 20``.

The same language says which rows of a log are read (``--where``), which items may be recommended
(``filter``) and how much each item is favoured (``boost``: a number). Nothing of it is ever
executed as code: a small parser of its own turns the text into objects, and these into polars
expressions.

    condition   = conjunction { "or" conjunction }
    conjunction = negation { "and" negation }
    negation    = { "not" } ( test | "(" condition ")" )
    test        = column                       (a column of true and false)
                | number sign ( number | constant )
                | column [ "not" ] "in" "(" constant { "," constant } ")"
                | 'text' [ "not" ] "in" column
                | column [ "not" ] "has" constant
                | column "is" [ "not" ] "null"
    sign        = "=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">="
    number      = product { ( "+" | "-" ) product }
    product     = factor { ( "*" | "/" ) factor }
    factor      = { "+" | "-" } ( column | digits | function | "(" ( number | condition ) ")" )
    function    = ( "min" | "max" ) "(" number { "," number } ")"
                | ( "abs" | "log" ) "(" number ")"
                | "if" "(" condition "," number "," number ")"
    constant    = 'text' | "text" | [ "-" ] digits | true | false
    column      = name | "name" | `name`

The left side of a comparison names a column. Text in double quotes is a constant where one may
stand, and else the name of a column; in backticks it always is a name.

As in SQL, an empty entry fulfils no comparison, nor the negation of one, but ``is null``. What has
no finite result, such as a division by zero, counts as empty. A condition in a calculation counts
as 1 or 0.
"""

from __future__ import annotations

import polars as pl

from shoal.data.arithmetic import Number
from shoal.data.conditions import Condition
from shoal.data.expressions import Parser
from shoal.data.tokens import Written
from shoal.errors import DataError

_LONGEST = 20_000  # characters of a condition on the rows of a log
_ON_ROWS = "conditions such as event = 'purchase' and price >= 10"
_ON_ITEMS = "conditions such as year >= 1990 and 'Comedy' in genres"
_NUMBER = "a number for each item, such as 1 + 0.5 * (year >= 2000)"


def parse_where(text: str) -> Condition:
    """Parse a condition on the rows of a log.

    Raises
    ------
    DataError
        The text is no condition; the message shows the place.
    """
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"where={text!r}: write a condition such as event = 'purchase'")
    return _parser(text, "where", _LONGEST, _LONGEST, _ON_ROWS).condition()


def parse_condition(text: str, option: str, longest: int, most_parts: int) -> Condition:
    """Parse a condition on items.

    Parameters
    ----------
    text : str
    option : str
        What the text was given as, for error messages.
    longest : int
        Characters that it may have.
    most_parts : int
        Comparisons, constants of lists and operations that it may have.

    Raises
    ------
    DataError
        The text is no condition; the message shows the place.
    """
    return _parser(text, option, longest, most_parts, _ON_ITEMS).condition()


def parse_number(text: str, option: str, longest: int, most_parts: int) -> Number:
    """Parse a number that is computed from columns; parameters as for `parse_condition`.

    Raises
    ------
    DataError
        The text is no number and no condition; the message shows the place.
    """
    return _parser(text, option, longest, most_parts, _NUMBER).number()


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


def _parser(text: str, option: str, longest: int, most_parts: int, example: str) -> Parser:
    """A parser of a text, if the text is neither empty nor too long."""
    if not isinstance(text, str) or not text.strip():
        raise DataError(f"{option}={text!r}: write {example}")
    if len(text) > longest:
        raise DataError(
            f"{option}: the condition has {len(text):,} characters: at most {longest:,} are read"
        )
    if not text.isprintable() and any("\ud800" <= c <= "\udfff" or c == "\0" for c in text):
        raise DataError(f"{option}: the condition holds half of a character (a surrogate) or NUL")
    return Parser(Written(text, option, example), most_parts)
