"""`read`: every line of a text file is a row, whatever its quotes, separators and header are."""

from __future__ import annotations

import csv
import io
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shoal.data import delimited, limits, unpack
from shoal.data.dialect import TextRules
from shoal.data.interactions import Interactions
from shoal.data.read import read
from shoal.data.rows import RowRules, rows_by_role
from shoal.data.sources import open_source
from shoal.data.time_formats import TimeFormat
from shoal.errors import DataError, MemoryBudgetError


def log_of(content: str, folder: Path, name: str = "log.csv", **options: Any) -> Interactions:
    path = folder / name
    path.write_text(content, newline="")
    return read(path, **options)


def pairs(log: Interactions) -> list[tuple[Any, Any]]:
    """Users and items of all interactions."""
    users = np.repeat(np.arange(log.n_users), np.diff(log.indptr))
    return list(zip(log.users.take(users), log.items.take(log.indices), strict=True))


def stored(content: str, folder: Path, rules: TextRules | None = None) -> list[list[str]]:
    """The rows of a CSV file as shoal sees them, before anything is done with them."""
    path = folder / "rows.csv"
    path.write_text(content, newline="")
    return [list(row) for row in open_source(path, rules).frame.collect().rows()]


# by hand: what users and items each of these files holds
QUOTES: dict[str, tuple[str, str, list[tuple[Any, Any]]]] = {
    "in the middle": (
        "log.csv",
        'user,item\n1,12" vinyl\n2,7" single\n',
        [(1, '12" vinyl'), (2, '7" single')],
    ),
    "around a part": (
        "log.tsv",
        'user\titem\n1\t"Odd Al" live\n2\tplain\n',
        [(1, "Odd Al live"), (2, "plain")],
    ),
    "opened in two lines": (
        "log.tsv",
        'user\titem\ttitle\n1\t7\t"Heroes (live\n2\t8\tplain\n3\t9\t"Heroes (live\n',
        [(1, 7), (2, 8), (3, 9)],
    ),
    "opened in the last line": (
        "log.tsv",
        'user\titem\n1\tplain\n2\t"Heroes\n',
        [(1, "plain"), (2, '"Heroes')],
    ),
    "separators within": (
        "log.csv",
        'user,item\n1,"a, b"\n2,"say ""yes"""\n',
        [(1, "a, b"), (2, 'say "yes"')],
    ),
    "lines within": (
        "log.csv",
        'user,item,text\n1,7,"nice,\nbut slow"\n2,8,"one\r\n\r\ntwo"\r\n3,9,x\n',
        [(1, 7), (2, 8), (3, 9)],
    ),
    "both kinds": (
        "log.csv",
        'user,item,text\n1,7,"nice,\nbut"\n2,8,12" disc\n3,9,"open\n4,6,"open\n',
        [(1, 7), (2, 8), (3, 9), (4, 6)],
    ),
}


@pytest.mark.parametrize("name", QUOTES)
def test_quotes_swallow_no_line(name: str, tmp_path: Path) -> None:
    file, content, expected = QUOTES[name]
    assert pairs(log_of(content, tmp_path, file)) == expected


def test_quotes_that_can_be_read_in_two_ways_are_asked_about(tmp_path: Path) -> None:
    content = 'user,item\n0,z\n1,"a\n2,b"\n3,c\n'
    with pytest.raises(DataError, match=r"line 3 has a quote .*--quotes csv or --quotes none"):
        log_of(content, tmp_path)
    plain = [(0, "z"), (1, '"a'), (2, 'b"'), (3, "c")]
    assert pairs(log_of(content, tmp_path, quotes="none")) == plain
    assert pairs(log_of(content, tmp_path, quotes="csv")) == [(0, "z"), (1, "a\n2,b"), (3, "c")]
    with pytest.raises(DataError, match="line 3 has a quote that is not closed"):
        log_of('user,item\n1,a\n2,"b\n', tmp_path, quotes="csv")


def test_a_quote_that_is_taken_as_a_letter_is_noted(tmp_path: Path) -> None:
    log = log_of('user\titem\n1\tplain\n2\t"Heroes\n', tmp_path, "log.tsv")
    assert any(note.startswith("line 3 of log.tsv has a quote") for note in log.notes)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.lists(
            st.text(st.sampled_from('ab",\n\r☃ '), min_size=1, max_size=6), min_size=3, max_size=3
        ),
        min_size=1,
        max_size=8,
    )
)
def test_what_the_csv_module_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]
) -> None:
    rows = [[f"u{cells[0]}", f"x{cells[1]}", cells[2]] for cells in rows]
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["user", "item", "text"], *rows])
    folder = tmp_path_factory.getbasetemp()
    # asked for, since a value may hold lines that look like rows
    read_back = stored(text.getvalue(), folder, TextRules(quotes="csv"))
    assert [[c or "" for c in row] for row in read_back] == rows


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(*[st.text(st.sampled_from('ab" '), min_size=1, max_size=5)] * 3),
        min_size=1,
        max_size=6,
    )
)
def test_stray_quotes_are_read_as_csv_and_pandas_do_where_these_agree(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]]
) -> None:
    rows = [(f"u{a}", b, c) for a, b, c in rows]
    text = "".join(",".join(row) + "\n" for row in [("user", "item", "text"), *rows])
    by_csv = list(csv.reader(io.StringIO(text)))[1:]
    try:
        frame = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
        by_pandas = frame.to_numpy().tolist()
    except pd.errors.ParserError:
        return
    if by_csv != by_pandas or len(by_csv) != len(rows):
        return  # they disagree, or swallow lines
    assert [
        [c or "" for c in row] for row in stored(text, tmp_path_factory.getbasetemp())
    ] == by_csv


def test_rows_are_the_same_wherever_pieces_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        [f"u{k}", f'say "{k}"', f"line {k}\nand, {k}" if k % 3 else f"plain {k}"] for k in range(40)
    ]
    text = io.StringIO()
    csv.writer(text).writerows([["user", "item", "text"], *rows])
    for size in (1, 7, 64, 1000):
        monkeypatch.setattr(unpack, "PIECE", size)
        assert stored(text.getvalue(), tmp_path) == rows


def test_a_row_too_wide_is_named_in_any_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "PIECE", 16)
    lines = ["user,item", *(f"{k},{k + 1}" for k in range(1, 30)), '30,"a",5', "31,7"]
    with pytest.raises(DataError, match="line 31 has 3 values, the first line 2"):
        log_of("\n".join(lines) + "\n", tmp_path)


SEPARATORS: dict[str, tuple[str, str, list[tuple[Any, Any]], list[float] | None]] = {
    "decimal commas": (
        "log.csv",
        "1;1;2,5\n1;3;4,5\n2;1;5,0\n",
        [(1, 1), (1, 3), (2, 1)],
        [2.5, 4.5, 5],
    ),
    "decimal commas, header": (
        "log.csv",
        "user;item;stars\n1;1;2,5\n2;3;4\n",
        [(1, 1), (2, 3)],
        [2.5, 4],
    ),
    "texts with commas": (
        "log.txt",
        "user;item\nu1;a, b\nu2;c, d\n",
        [("u1", "a, b"), ("u2", "c, d")],
        None,
    ),
    "genres with bars": ("log.csv", "user,item,genre\n1,7,a|b\n2,8,c|d\n", [(1, 7), (2, 8)], None),
    "blanks": ("log.txt", "1 1 2\n1 3 4\n2  1 5 \n", [(1, 1), (1, 3), (2, 1)], [2, 4, 5]),
    "blanks, header": ("log.txt", "user item\n1 1\n 2 3\n", [(1, 1), (2, 3)], None),
    "commas in tsv": ("log.tsv", "user,item\n1,1\n2,3\n", [(1, 1), (2, 3)], None),
    "moments": (
        "log.csv",
        "user,item,time\n1,1,2024-01-01 10:00\n2,3,2024-01-02 11:00\n",
        [(1, 1), (2, 3)],
        None,
    ),
}


@pytest.mark.parametrize("name", SEPARATORS)
def test_the_separator_is_the_one_for_which_lines_agree(name: str, tmp_path: Path) -> None:
    file, content, expected, values = SEPARATORS[name]
    log = log_of(content, tmp_path, file, values="keep" if values else "binary")
    assert pairs(log) == expected
    assert values is None or (log.values is not None and log.values.tolist() == values)


def test_thousands_are_not_decimals(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'plays' .value. is missing or not a finite number"):
        log_of("user;item;plays\n1;5;1,234\n2;6;2,500\n", tmp_path, values="keep")


def test_a_separator_can_be_named(tmp_path: Path) -> None:
    content = "user^item\n1^5\n2^6\n"
    with pytest.raises(DataError, match=r"one column only.*--separator"):
        log_of(content, tmp_path)
    assert pairs(log_of(content, tmp_path, separator="^")) == [(1, 5), (2, 6)]
    with pytest.raises(DataError, match=r"there is no separator ';'"):
        log_of(content, tmp_path, separator=";")
    with pytest.raises(DataError, match=r"separator '\^\^': give one character"):
        log_of(content, tmp_path, separator="^^")


HEADERS: dict[str, tuple[str, list[tuple[Any, Any]]]] = {
    "a name that is a number": ("user_id,item_id,0\n1,10,5\n2,20,4\n", [(1, 10), (2, 20)]),
    "an index": (",user_id,item_id,0\n0,1,10,5\n1,2,20,4\n", [(1, 10), (2, 20)]),
    "texts": (
        "anna,disc\nanna,film\nbert,disc\n",
        [("anna", "disc"), ("anna", "film"), ("bert", "disc")],
    ),
    "a text that is a name elsewhere": (
        "anna,book\nbert,book\nanna,film\n",
        [("anna", "book"), ("anna", "film"), ("bert", "book")],
    ),
    "codes": ("u1,i7\nu2,i8\nu3,i7\n", [("u1", "i7"), ("u2", "i8"), ("u3", "i7")]),
    "numbers": ("1,10\n2,20\n", [(1, 10), (2, 20)]),
    "joined files": ("user,item\n1,10\nuser,item\n2,20\n", [(1, 10), (2, 20)]),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_is_told_from_a_row(name: str, tmp_path: Path) -> None:
    content, expected = HEADERS[name]
    assert pairs(log_of(content, tmp_path, columns={"value": "none"})) == expected


def test_a_header_can_be_said(tmp_path: Path) -> None:
    content = "anna,disc\nbert,film\n"
    with pytest.raises(DataError, match="if the first line is a row, --no-header"):
        log_of(content, tmp_path)
    log = log_of(content, tmp_path, header=False)
    assert pairs(log) == [("anna", "disc"), ("bert", "film")]
    log = log_of("7,8\n1,10\n2,20\n", tmp_path, header=True, columns={"user": "7", "item": "8"})
    assert pairs(log) == [(1, 10), (2, 20)]


BASKETS: dict[str, tuple[str, str]] = {
    "blanks": ("train.txt", "1 5 6 7\n2 6\n3 7 5\n"),
    "an empty basket": ("train.txt", "1 5 6 7\n2 6 \n4\n3 7 5\n"),
    "commas": ("log.csv", "1,5,6,7\n2,6\n3,7,5\n"),
    "tabs": ("log.tsv", "1\t5\t6\t7\n2\t6\n3\t7\t5\n"),
    "windows": ("log.csv", "1,5,6,7\r\n2,6\r\n3,7,5\r\n"),
}


@pytest.mark.parametrize("name", BASKETS)
@pytest.mark.parametrize("asked", ["auto", "basket"])
def test_a_line_may_hold_a_user_with_all_items(name: str, asked: Any, tmp_path: Path) -> None:
    file, content = BASKETS[name]
    log = log_of(content, tmp_path, file, format=asked)
    assert pairs(log) == [(1, 5), (1, 6), (1, 7), (2, 6), (3, 5), (3, 7)]


def test_wide_lines_are_baskets_or_asked_about(tmp_path: Path) -> None:
    log = log_of("1,5,6,7,8\n2,6,5,9,7\n3,7,8,5,6\n", tmp_path)
    assert len(log) == 12
    table = "1,5,3,2020,7\n1,6,3,2020,7\n2,5,3,2020,8\n"
    with pytest.raises(DataError, match=r"has 5 columns and no header.*--format basket"):
        log_of(table, tmp_path)
    assert pairs(log_of(table, tmp_path, format="rows")) == [(1, 5), (1, 6), (2, 5)]
    named = log_of(
        table, tmp_path, columns={"user": "column_1", "item": "column_5", "value": "none"}
    )
    assert pairs(named) == [(1, 7), (2, 8)]
    with pytest.raises(DataError, match="format='table': give one of auto, rows, basket"):
        log_of(table, tmp_path, format="table")


def test_a_pipe_is_read_once_and_whole(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("user,item\n1,10\n2,20\n",))
    writer.start()
    log = read(pipe)
    writer.join()
    assert pairs(log) == [(1, 10), (2, 20)]


def test_memory_of_the_rows_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.data.pieces.SMALL", 1000)
    content = "user,item,stars\n" + "".join(f"{k},{k % 7},{1 + k % 5}\n" for k in range(5000))
    with pytest.raises(MemoryBudgetError, match=r"log.csv: the rows that are kept.*--memory"):
        log_of(content, tmp_path, memory=10_000)
    # of 5,000 rows a fifth has five stars: 1,000 rows of 2 texts and a number stay below 100 kB
    assert len(log_of(content, tmp_path, memory=100_000, min_value=5)) == 1000


def test_lines_and_quoted_values_have_a_length_that_a_log_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "LONGEST_LINE", 100)
    monkeypatch.setattr(unpack, "PIECE", 50)
    with pytest.raises(DataError, match="line 3 has more than 100 B: is this a log"):
        log_of("user,item\n1,2\n" + "3" * 500 + ",4\n", tmp_path)
    assert limits.LONGEST_LINE > limits.PIECE
    assert delimited.LONGEST_QUOTED < limits.PIECE


def test_blank_lines_take_no_memory_and_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item\n\n\n1,10\n" + "\n" * 1000 + "2,20\n\r\n\r\n")
    source = open_source(path)
    roles = {"user": "user", "item": "item"}
    rows = rows_by_role(source, roles, RowRules(), TimeFormat()).collect()
    assert rows["user"].to_list() == ["1", "2"]
    assert source.frame.collect().height == 2
