"""Conditions on rows, against answers that a person gave."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from shoal.data.where import parse_where, rows_where
from shoal.errors import DataError

TABLE = pl.DataFrame(
    {
        "event": ["view", "purchase", None, "cart"],
        "price": ["1.5", "20", "3", None],  # text, as in a CSV file
        "n": [1, 2, 3, 4],
        "genres": ["A|B", "['A', 'C']", "B, C", None],
        "tags": [["x"], ["y", "x"], [], None],
        "new": [True, False, None, True],
        "Book-Rating": [0, 1, 2, 3],
        "day": [dt.date(2020, 1, 1), dt.date(2021, 1, 1), None, dt.date(2022, 1, 1)],
        "code": ["007", "7", "10", "9007199254740993"],
        "it's": [1, 1, 1, 2],
    }
)


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("event = 'purchase'", [1]),
        ("event == 'purchase'", [1]),
        ('event="cart"', [3]),
        ("event != 'view'", [1, 3]),
        ("event <> 'view'", [1, 3]),
        ("not event = 'view'", [1, 3]),  # as in SQL, an empty entry is neither
        ("event is null", [2]),
        ("event is not null and not n = 4", [0, 1]),
        ("event in ('view', 'cart')", [0, 3]),
        ("event NOT IN ('view', 'cart')", [1]),
        ("price < 10", [0, 2]),  # as numbers: as text, "20" would come before "3"
        ("price >= 1.5 AND n in (1, 2)", [0, 1]),
        ("n = 1 or n = 2 and n = 3", [0]),  # and binds closer
        ("(n = 1 or n = 2) and n = 3", []),
        ("not (n = 1 or n = 2)", [2, 3]),
        ("not not n > 3", [3]),
        ("n > '3'", [3]),
        ("n = -1", []),
        ("n < 1e0 or n >= 4.0", [3]),
        ("genres has 'A'", [0, 1]),
        ("genres not has 'A'", [2]),
        ("genres = 'A|B'", [0]),
        ("tags has 'x'", [0, 1]),
        ("tags = 'y'", [1]),
        ("new = true", [0, 3]),
        ("new = 0", [1]),
        ('"Book-Rating" > 1', [2, 3]),
        ("`Book-Rating` <= 1", [0, 1]),
        ("day >= '2020-06-01'", [1, 3]),
        ("code = '7'", [1]),
        ("code = '007'", [0]),
        ("code = 7", [0, 1]),
        ("code = 9007199254740993", [3]),
        ('"it\'s" = 2', [3]),
        ("event = 'it''s'", []),
        ("'A' in genres", [0, 1]),
        ("'A' not in genres", [2]),
        ("'x' in tags and n < 2", [0]),
        ("new", [0, 3]),
        ("not new or n = 3", [1, 2]),
        ("price * n < 12", [0, 2]),  # 1.5, 40, 9 and nothing
        ("price / (n - 1) > 1", [1, 2]),  # a division by zero is an empty entry
        ("n > price", []),
        ("n = `it's`", [0]),
        ("n + 0 = `it's` * 2", [1, 3]),
        ('n > "Book-Rating" * 1.5', [0, 1]),  # 1 > 0, 2 > 1.5, 3 = 3, 4 < 4.5
        ("n = 3 - 1", [1]),
        ("n=-1+2", [0]),
        ("n = -(-1)", [0]),
        ("n = --(-(2)) * -1", [1]),
        ("max(n, 3) = 3", [0, 1, 2]),
        ("if(new, n, 10) >= 4", [1, 2, 3]),
        ("(n > 1) + (n > 2) = 2", [2, 3]),
        ("n in (-1, +2, 3.0)", [1, 2]),
        ("code in ('7', '10')", [1, 2]),
    ],
)
def test_which_rows_fulfil_a_condition(condition: str, rows: list[int]) -> None:
    assert rows_where(TABLE, condition).arg_true().to_list() == rows


@pytest.mark.parametrize(
    ("condition", "complaint"),
    [
        ("", "write a condition"),
        ("event = purchase", "'purchase' .character 9. .* put text in quotes"),
        ("event = 'purchase", "character 9. cannot be read .a quote is not closed"),
        ("(n = 1", "the end stands where '\\)' is expected"),
        ("n = 1 n = 2", "'n = 2' .character 7. is too much"),
        ("n ! 3", "'! 3' .character 3. cannot be read"),
        ("n", "the end stands where =, !="),
        ("1 = n", "where the name of a column is expected"),
        ("n = null", "write `is null`"),
        ("n in ()", "where a constant is expected"),
        ("price.x = 1", "no column 'price.x'; the columns are event, price"),
        ("n = 'many'", "'n' holds numbers and is compared with 'many'"),
        ("day > 'soon'", "'day' holds dates"),
        ("new > 1", "true or false"),
        ("n has 'x'", "has no labels"),
        ("(" * 60 + "n = 1" + ")" * 60, "nests more than 50"),
        ("n = 1 + 'a'", "'a'. .character 9. stands where a number is expected"),
        ("n > " + "9" * 5000, "is too large a number"),
        ("n > 1" + " + 1" * 101, "one operation .* more than 100"),
        ("day >= 2020-06-01", "'2020-06-01' .character 8. is a date: put it in quotes"),
        ("day + 1 > 2", "'day' has type Date, which is no number to calculate with"),
        ("n", "the end stands where =, !=, .* in, has or is is expected"),
        ("n = 1 or " * 5000 + "n = 1", "at most 20,000"),
        ("__import__('os').system('true')", "cannot be read"),
    ],
)
def test_what_is_no_condition_is_refused_with_the_place(condition: str, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        rows_where(TABLE, condition)


def test_columns_that_a_condition_reads() -> None:
    condition = parse_where("a = 1 and (not b in (2, 3) or \"c d\" is null) and e has 'f'")
    assert condition.columns() == {"a", "b", "c d", "e"}


def test_a_long_condition_is_no_deep_one() -> None:
    assert rows_where(TABLE, " or ".join(f"n = {k}" for k in range(500))).all()
