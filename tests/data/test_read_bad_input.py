"""`read`: a bad file or frame gives an error that helps."""

from __future__ import annotations

import datetime as dt
import decimal
import gzip
import io
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp

from shoal.data.read import read
from shoal.errors import DataError

from .read_helpers import ARROW, PARQUET, as_bytes, facts, file, frame, parts, text

LONG = "user,item\n" + "".join(f"{k * 7919 % 65537},{k * 104729 % 99991}\n" for k in range(9000))


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


BAD_FILES: dict[str, tuple[str, str | bytes, str]] = {
    "unknown ending": ("log.xyz", text(","), "log.xyz: the ending '.xyz' is none.*CSV"),
    "no ending": ("log", text(","), "the ending ''"),
    "empty": ("log.csv", "", "log.csv is empty"),
    "empty parquet": ("log.parquet", "", "log.parquet is empty"),
    "empty gz": ("log.csv.gz", gzip.compress(b""), "empty first line"),
    "header only": ("log.csv", "user,item\n", "log.csv has a header and no row"),
    "header and blanks": ("log.csv", "user,item\n\n\n", "log.csv has a header and no row"),
    "blank first line": ("log.csv", "\nuser,item\n1,2\n", "empty first line"),
    "one column": ("log.csv", "user\n1\n2\n", "one column only .'user'"),
    "no names known": ("log.csv", "a,b\nc,d\n", "recognised as user and item.*are a, b"),
    "twice": ("log.csv", "user,user,item\n1,2,3\n", "more than one column named 'user'"),
    "no names": ("log.csv", "user,item,,\n1,2,3,4\n", "more than one column without a name"),
    "long line": ("log.csv", text(",") + "1,2,3,4,5\n", "line 6 has 5 values, the first line 4"),
    "short line": ("log.csv", text(",") + "1,2\n", "'rating' .value. is missing.*1 of 5.*row 5"),
    "short dat": ("log.dat", "1::2::3::4\n1::2::3\n", "column_4.*missing.*in row 2"),
    "text as rating": ("log.csv", "user,item,rating\n1,2,3\n1,3,good\n", "'rating'.*row 2"),
    "infinite rating": ("log.csv", "user,item,rating\n1,2,inf\n1,3,4\n", "'rating'.*row 1"),
    "huge rating": ("log.csv", "user,item,rating\n1,2,1e300\n1,3,4\n", "'rating'.*row 1"),
    "infinite time": ("log.csv", "user,item,ts\n1,2,5\n1,3,-inf\n", "'ts'.*row 2"),
    "american dates": ("log.csv", "user,item,ts\n1,2,01/02/2020\n1,3,2020-01-02\n", "'ts'.*row 1"),
    "no such day": ("log.csv", "user,item,ts\n1,2,2020-02-28\n1,3,2020-02-30\n", "'ts'.*row 2"),
    "zero": ("log.csv", "user,item,rating\n1,2,3\n1,3,0\n", "zero or negative in 1 rows.*row 2"),
    "tiny": ("log.csv", "user,item,rating\n1,2,3\n1,3,1e-300\n", "zero or negative.*row 2"),
    "no user": (
        "log.csv",
        "user,item\n1,2\n,3\n4,5\n",
        "'user' .user. is missing in 1 of 3.*row 2",
    ),
    "latin-1": ("log.csv", "user,item\ncafé,1\nb,2\n".encode("latin-1"), "not UTF-8 text: save"),
    "utf-16": ("log.csv", text(",").encode("utf-16"), "not UTF-8 text .it holds zero bytes"),
    "binary": ("log.csv", bytes(range(256)), "not UTF-8 text"),
    "old mac line ends": ("log.csv", "user,item\r1,2\r3,4\r", "first line of .*cannot be parsed"),
    "open quote": (
        "log.csv",
        'user,item\nx,y\n"a,b,1\nc,d\n',
        "log.csv: line 3 has a quote that is not closed.*--quotes none",
    ),
    "cut gz": ("log.csv.gz", gzip.compress(text(",").encode())[:40], "log.csv.gz cannot be read"),
    "long cut gz": (
        "l.csv.gz",
        gzip.compress(LONG.encode())[:-2000],
        "l.csv.gz cannot be read: .*ended",
    ),
    "no gz": ("log.csv.gz", text(","), "Not a gzipped file"),
    "damaged gz": ("log.csv.gz", gzip.compress(b"")[:10] + b"\xff" * 50, "cannot be read"),
    "cut parquet": ("log.parquet", PARQUET[: len(PARQUET) // 2], "cannot be read as .parquet"),
    "damaged parquet": (
        "log.parquet",
        PARQUET[:8] + bytes(99) + PARQUET[107:],
        "log.parquet cannot",
    ),
    "cut arrow": ("log.arrow", ARROW[: len(ARROW) // 2], "cannot be read as .arrow"),
    "csv called parquet": ("log.parquet", text(","), "cannot be read as .parquet"),
    "json array of arrays": ("log.json", "[[1, 2], [2, 3]]", "a JSON array, but not of objects"),
    "cut json array": ("log.json", '[{"user": 1, "item": 2}, {"us', "cannot be read as JSON"),
    "deep json array": ("log.json", "[" * 100_000, "cannot be read as JSON"),
    "deep json": ("log.jsonl", '{"user":' + "[" * 100_000 + "\n", "cannot be read as JSON lines"),
    "json garbage": ("log.jsonl", b"\xff\xfe{", "cannot be read as JSON lines.*line 1"),
    "json cut in line 3": (
        "log.jsonl",
        '{"user": 1, "item": 1}\n{"user": 2, "item": 1}\n{"user": 1, "it\n',
        "one JSON object per line is expected.*line 3",
    ),
    "json objects as ids": (
        "log.jsonl",
        '{"user": {"a": 1}, "item": 1}\n{"user": {"a": 2}, "item": 1}\n',
        "user column of .* has type Struct",
    ),
    "npz of arrays": ("log.npz", npz(a=np.arange(3)), "holds no sparse matrix.*save_npz"),
    "npz beyond its shape": (
        "log.npz",
        npz(format="csr", data=[1.0], indices=[9], indptr=[0, 1, 1], shape=[2, 2]),
        "no valid csr matrix: indices holds 9 in entry 0, and the size is 2",
    ),
    "npz with objects": (
        "log.npz",
        npz(format="csr", data=np.array([{}]), indices=[0], indptr=[0, 1], shape=[1, 1]),
        "holds no sparse matrix",
    ),
    "npz garbage": ("log.npz", b"PK\x03\x04" + b"?" * 50, "holds no sparse matrix"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_refused_with_its_place(name: str, tmp_path: Path) -> None:
    path, content, complaint = BAD_FILES[name]
    with pytest.raises(DataError, match=f"(?s){complaint}") as caught:
        read(file(path, content)(tmp_path))
    assert "Traceback" not in str(caught.value)
    assert path.split(".")[0] in str(caught.value)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.csv: no such file"):
        read(tmp_path / "none.csv")
    with pytest.raises(
        DataError, match=r"is a folder without Parquet files: name a file, or a pattern such as"
    ):
        read(tmp_path)
    for ending in ("csv", "parquet", "jsonl", "dat"):
        with pytest.raises(DataError, match="matches no file"):
            read(tmp_path / f"*.{ending}")
    with pytest.raises(DataError, match="no path that can be read"):
        read(text(",") * 50)
    (tmp_path / "a.csv").write_text(text(","))
    frame().write_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="several formats"):
        read(tmp_path / "a.*")


def test_files_read_together_must_have_the_same_columns(tmp_path: Path) -> None:
    parts("*.csv", [b"user,item\n1,2\n2,3\n", b"item,user\n9,8\n"])(tmp_path)
    with pytest.raises(DataError, match=r"part-1.csv does not start like .*part-0.csv"):
        read(tmp_path / "*.csv")
    parts("*.tsv", [b"1\t2\n2\t3\n", b"9\t8\t7\n"])(tmp_path)
    with pytest.raises(DataError, match=r"part-1.tsv does not start like"):
        read(tmp_path / "*.tsv")
    parts(
        "*.pq",
        [as_bytes("write_parquet", frame().cast({"user": t})) for t in (pl.Int64, pl.String)],
    )(tmp_path)
    with pytest.raises(DataError, match="column user"):
        read(tmp_path / "*.pq")


@pytest.mark.parametrize(
    "log",
    [
        None,
        3,
        2.5,
        b"log.csv",
        [1, 2],
        {"user": [1]},
        pd.Series([1]),
        pl.Series([1]),
        pa.array([1]),
    ],
)
def test_what_is_no_log_at_all(log: Any) -> None:
    with pytest.raises(
        DataError, match=f"cannot read a log from {type(log).__name__}: give a path"
    ):
        read(log)


def broken(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"user": [1, 2, 3], "item": [4, 5, 6]} | columns)


BAD_FRAMES: dict[str, tuple[Callable[[], Any], str]] = {
    "pandas names twice": (
        lambda: pd.DataFrame([[1, 2, 3]], columns=["user", "user", "item"]),
        "the frame has more than one column named 'user'",
    ),
    "arrow names twice": (
        lambda: pa.table([pa.array([1]), pa.array([2])], names=["user", "user"]),
        "the table has more than one column named 'user'",
    ),
    "pandas NaN id": (lambda: broken(user=[1, np.nan, 3]), "'user'.*missing in 1 of 3.*row 2"),
    "polars NaN id": (
        lambda: pl.DataFrame({"user": [1.0, float("nan")], "item": [1, 2]}),
        "'user'.*missing in 1 of 2.*row 2",
    ),
    "None id": (lambda: broken(item=["a", "b", None]), "'item'.*row 3"),
    "pd.NA id": (lambda: broken(item=pd.Series([1, pd.NA, 3], dtype=object)), "'item'.*row 2"),
    "None among UUIDs": (lambda: broken(user=[uuid.UUID(int=1), None, uuid.UUID(int=2)]), "row 2"),
    "arrays": (lambda: broken(user=pd.Series([np.arange(2)] * 3)), "holds ndarray objects"),
    "NaN rating": (lambda: broken(rating=[1, np.nan, np.nan]), "'rating'.*2 of 3 rows.*row 2, 3"),
    "text rating": (lambda: broken(rating=pd.Series([1, 2, "x"], dtype=object)), "'rating'.*row 3"),
    "complex rating": (lambda: broken(rating=[1j, 2, 3]), "'rating'.*3 of 3 rows"),
    "list rating": (
        lambda: pl.DataFrame({"user": [1], "item": [2], "rating": [[1]]}),
        "has type List",
    ),
    "NaT": (lambda: broken(ts=pd.to_datetime(["2020-01-01", None, "2020-01-01"])), "'ts'.*row 2"),
    "negative": (lambda: broken(rating=[1, -1, 2]), "'rating' is zero or negative.*row 2"),
    "no rows": (lambda: broken().iloc[:0], "the frame has no row"),
    "complex matrix": (lambda: sp.csr_array(np.array([[1j, 0], [0, 1]])), "'value'.*2 of 2 rows"),
    "empty matrix": (lambda: sp.csr_array((3, 3)), "the matrix has no row"),
    "zero stored": (
        lambda: sp.csr_array(([0.0, 1], ([0, 1], [0, 1]))),
        "'value' is zero or negative",
    ),
}


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_a_bad_frame_is_refused_with_its_place(name: str) -> None:
    make, complaint = BAD_FRAMES[name]
    with pytest.raises(DataError, match=complaint):
        read(make())


def test_missing_rows_can_be_dropped_and_are_counted() -> None:
    log = pl.DataFrame(
        {
            "user": [1.0, None, float("nan"), 2.0, 3.0, 3.0, 1.0],
            "item": ["a", "b", "a", None, "b", "a", "b"],
            "rating": [1.0, 2, 3, 4, float("inf"), 6, 7],
        }
    )
    kept = read(log, missing="drop", values="keep")
    assert facts(kept)["users"] == [1, 3]
    assert facts(kept)["values"] == [1.0, 7.0, 6.0]
    (step,) = kept.report
    assert (step.name, step.rows_in, step.rows_kept) == ("missing", 7, 3)


def test_a_column_of_an_odd_type_that_is_not_asked_for_does_no_harm() -> None:
    log = read(broken(month=pd.period_range("2020-01", periods=3, freq="M"), z=[1j, 2, 3]))
    assert log.n_users == 3


def test_python_numbers_and_dates_in_object_columns() -> None:
    log = broken(
        rating=pd.Series([decimal.Decimal("1.5"), 2, np.float32(3)], dtype=object),
        date=[
            dt.date(1970, 1, 2),
            dt.datetime(1970, 1, 1, 1),
            dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
        ],
    )
    found = facts(read(log.astype({"date": object}), values="keep"))
    assert found["values"] == [1.5, 2.0, 3.0]
    assert found["times"] == [86_400, 3_600, 0]
