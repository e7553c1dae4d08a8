"""`read`: any file or frame gives the same log, and a bad one gives an error that helps."""

from __future__ import annotations

import datetime as dt
import decimal
import gzip
import io
import tempfile
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shoal.data.interactions import Interactions
from shoal.data.read import read, read_items, seconds
from shoal.errors import DataError

ROWS = [(3, 40, 5.0, 300), (1, 7, 4.0, 100), (1, 40, 2.5, 200), (20, 7, 1.0, 50)]
NAMES = ["user", "item", "rating", "timestamp"]
# by hand: users 1, 3, 20; items 7, 40
USERS, ITEMS, INDPTR, INDICES = [1, 3, 20], [7, 40], [0, 2, 3, 4], [0, 1, 1, 0]
VALUES, TIMES = [4.0, 2.5, 5.0, 1.0], [100, 200, 300, 50]

Write = Callable[[Path], Any]


def text(separator: str, header: bool = True, end: str = "\n") -> str:
    lines = [separator.join(NAMES)] if header else []
    lines += [separator.join(map(str, row)) for row in ROWS]
    return end.join(lines) + end


def frame() -> pl.DataFrame:
    return pl.DataFrame(ROWS, schema=NAMES, orient="row")


def file(name: str, content: str | bytes) -> Write:
    def write(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def parts(name: str, pieces: list[bytes]) -> Write:
    """Several files, and the pattern that finds them."""

    def write(folder: Path) -> Path:
        for at, piece in enumerate(pieces):
            (folder / name.replace("*", f"part-{at}")).write_bytes(piece)
        return folder / name

    return write


def as_bytes(method: str, rows: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    getattr(rows, method)(buffer)
    return buffer.getvalue()


def json_lines(end: str = "\n") -> str:
    keys = NAMES
    return "".join(
        "{" + ", ".join(f'"{k}": {v}' for k, v in zip(keys, row, strict=True)) + "}" + end
        for row in ROWS
    )


def facts(log: Interactions) -> dict[str, Any]:
    return {
        "users": log.users.take(np.arange(log.n_users)),
        "items": log.items.take(np.arange(log.n_items)),
        "indptr": log.indptr.tolist(),
        "indices": log.indices.tolist(),
        "values": None if log.values is None else log.values.tolist(),
        "times": None if log.times is None else log.times.tolist(),
    }


BY_HAND = {
    "users": USERS,
    "items": ITEMS,
    "indptr": INDPTR,
    "indices": INDICES,
    "values": VALUES,
    "times": TIMES,
}

FORMATS: dict[str, Write] = {
    "csv": file("log.csv", text(",")),
    "capital ending": file("LOG.CSV", text(",")),
    "tsv": file("log.tsv", text("\t")),
    "semicolons": file("log.csv", text(";")),
    "bars in txt": file("log.txt", text("|")),
    "csv.gz": file("log.csv.gz", gzip.compress(text(",").encode())),
    "windows line ends": file("log.csv", text(",", end="\r\n")),
    "byte order mark": file("log.csv", "\ufeff" + text(",")),
    "byte order mark, no header": file("log.csv", "\ufeff" + text(",", header=False)),
    "quotes": file("log.csv", text(",").replace("user", '"user"').replace("3,40", '"3","40"')),
    "spaces after commas": file("log.csv", text(", ")),
    "blank lines": file("log.csv", text(",").replace("\n1,", "\n\n1,") + "\n\n"),
    "no last line end": file("log.csv", text(",").rstrip("\n")),
    "brackets in the name": file("log[1].csv", text(",")),
    "movielens .dat": file("ratings.dat", text("::", header=False)),
    "movielens .dat, windows": file("ratings.dat", "\ufeff" + text("::", False, "\r\n") + "\r\n"),
    "movielens .dat.gz": file("r.dat.gz", gzip.compress(text("::", header=False).encode())),
    "u.data": file("u.data", text("\t", header=False)),
    "csv without header": file("log.csv", text(",", header=False)),
    "json lines": file("log.jsonl", json_lines()),
    "ndjson.gz": file("log.ndjson.gz", gzip.compress(json_lines("\r\n").encode())),
    "parquet": file("log.parquet", as_bytes("write_parquet", frame())),
    "parquet, brackets": file("log[1].parquet", as_bytes("write_parquet", frame())),
    "arrow": file("log.arrow", as_bytes("write_ipc", frame())),
    "feather": file("log.feather", as_bytes("write_ipc", frame())),
    "polars": lambda _: frame(),
    "polars lazy": lambda _: frame().lazy(),
    "polars narrow": lambda _: frame().cast(
        {"user": pl.UInt8, "item": pl.Int16, "rating": pl.Float32}
    ),
    "polars decimal": lambda _: frame().cast({"rating": pl.Decimal(6, 2)}),
    "pandas": lambda _: frame().to_pandas(),
    "pandas objects": lambda _: frame().to_pandas().astype(object),
    "pandas nullable": lambda _: frame().to_pandas().convert_dtypes(),
    "pandas floats as ids": lambda _: frame().to_pandas().astype({"user": float, "item": float}),
    "arrow table": lambda _: frame().to_arrow(),
    "arrow batch": lambda _: frame().to_arrow().to_batches()[0],
    "several csv": parts("*.csv", [text(",").encode(), b"user,item,rating,timestamp\n"]),
    "several parquet": parts(
        "*.parquet", [as_bytes("write_parquet", frame()[a:b]) for a, b in ((0, 3), (3, 4))]
    ),
    "several feather": parts(
        "*.feather", [as_bytes("write_ipc", frame()[a:b]) for a, b in ((0, 1), (1, 4))]
    ),
    "several dat": parts(
        "r*.dat", [b"3::40::5::300\n1::7::4::100\n", b"1::40::2.5::200\n20::7::1::50\n"]
    ),
    "several csv.gz": parts(
        "*.csv.gz",
        [gzip.compress(text(",").encode()), gzip.compress(b"user,item,rating,timestamp\n")],
    ),
    "several json": parts("*.jsonl", [line.encode() for line in json_lines().splitlines(True)]),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_interactions(name: str, tmp_path: Path) -> None:
    assert facts(read(FORMATS[name](tmp_path), values="keep")) == BY_HAND


@pytest.mark.parametrize("name", ["csv", "u.data", "parquet", "several json"])
def test_without_values_a_log_is_binary_and_a_path_may_be_text(name: str, tmp_path: Path) -> None:
    assert facts(read(str(FORMATS[name](tmp_path)))) == BY_HAND | {"values": None}


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csc_matrix, sp.coo_array, "npz"])
def test_sparse_matrices_are_numbered_from_zero(kind: Any, tmp_path: Path) -> None:
    dense = np.array([[0, 2.0, 0], [0, 0, 0], [1.0, 3.0, 0]])
    if kind == "npz":
        path: Any = tmp_path / "log.npz"
        sp.save_npz(path, sp.csr_array(dense))
    else:
        path = kind(dense)
    log = read(path, values="keep")
    # empty rows and columns are no users and items
    assert facts(log) == {
        "users": [0, 2],
        "items": [0, 1],
        "indptr": [0, 1, 3],
        "indices": [1, 0, 1],
        "values": [2.0, 1.0, 3.0],
        "times": None,
    }


def test_a_pattern_may_name_folders(tmp_path: Path) -> None:
    for day, rows in (("mon", frame()[:2]), ("tue", frame()[2:])):
        (tmp_path / day).mkdir()
        rows.write_parquet(tmp_path / day / "log.parquet")
    assert facts(read(tmp_path / "*" / "log.parquet", values="keep")) == BY_HAND


# -- ids ------------------------------------------------------------------------------------


def users_of(log: Interactions) -> list[Any]:
    return log.users.take(np.arange(log.n_users))


def csv_of(ids: list[str], folder: Path) -> Path:
    path = folder / "ids.csv"
    pl.DataFrame({"user": ids, "item": [f"i{k}" for k in range(len(ids))]}).write_csv(path)
    return path


@pytest.mark.parametrize(
    ("written", "found"),
    [
        (["12", "-3", "0"], [-3, 0, 12]),
        ([str(2**63 - 1), str(-(2**63)), "5"], [-(2**63), 5, 2**63 - 1]),
        (["1234567890123456789", "2"], [2, 1234567890123456789]),
        (["007", "7"], ["007", "7"]),
        (["12", "abc"], ["12", "abc"]),
        (["1.0", "2"], ["1.0", "2"]),
        ([str(2**63), "1"], ["1", str(2**63)]),
        (["a,b", 'say "x"', "two\nlines"], ["a,b", 'say "x"', "two\nlines"]),
        (["Ω", "naïve", "鮫", "🐟"], ["naïve", "Ω", "鮫", "🐟"]),
        (["x" * 5000, "x" * 4999 + "y"], ["x" * 5000, "x" * 4999 + "y"]),
        (["::", "a::b"], ["::", "a::b"]),
    ],
)
def test_ids_of_a_csv_come_back_as_they_were_written(
    written: list[str], found: list[Any], tmp_path: Path
) -> None:
    log = read(csv_of(written, tmp_path))
    assert users_of(log) == found
    assert log.history_of(written[0]) == ["i0"]


@pytest.mark.parametrize(
    "ids",
    [
        [-(2**63), 4, 2**63 - 1],
        ["007", "7", "a,b"],
        [uuid.UUID(int=2**100), uuid.UUID(int=2**120 + 1)],
    ],
)
def test_ids_of_a_frame_keep_their_type(ids: list[Any]) -> None:
    log = read(pd.DataFrame({"user": ids, "item": np.arange(len(ids))}))
    assert users_of(log) == ids
    assert [type(u) for u in users_of(log)] == [type(i) for i in ids]
    assert log.history_of(str(ids[1])) == [1]


def test_mixed_ids_in_pandas_name_the_column_and_the_row() -> None:
    mixed = pd.DataFrame({"user": [1, 2, 3], "item": pd.Series([5, "x", 5], dtype=object)})
    with pytest.raises(DataError, match=r"item column of the frame mixes types.*row 2 holds 'x'"):
        read(mixed)


# -- roles ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "names",
    [
        ("user", "item", "rating", "timestamp"),
        ("userId", "movieId", "rating", "timestamp"),
        ("user_id", "item_id", "stars", "ts"),
        ("uid", "iid", "play-count", "Date"),
        ("USER ID", "Product.ID", "Score", "created_at"),
        ("session_id", "article_id", "clicks", "event.ts"),
        ("reviewerID", "asin", "overall", "unixReviewTime"),
    ],
)
def test_common_names_are_recognised_in_any_order(names: tuple[str, ...]) -> None:
    renamed = frame().rename(dict(zip(NAMES, names, strict=True)))
    shuffled = renamed.select(pl.lit("x").alias("comment"), *reversed(names))
    log = read(shuffled, values="keep")
    assert facts(log) == BY_HAND
    u, i, v, t = names
    assert log.notes == (f"columns: user={u}, item={i}, value={v}, time={t}",)


def test_what_was_not_chosen_is_noted() -> None:
    log = read(frame().with_columns(pl.lit(9).alias("uid"), pl.lit(8).alias("date")))
    assert users_of(log) == USERS
    assert log.notes[1:] == ("user is 'user', not uid", "time is 'timestamp', not date")


def test_columns_that_are_said_go_before_guesses() -> None:
    other = frame().rename({"user": "row", "rating": "a"}).with_columns(pl.lit(1).alias("uid"))
    columns = {"user": "row", "value": "a"}
    assert facts(read(other, columns=columns, values="keep")) == BY_HAND


def test_a_column_that_is_said_is_not_guessed_for_another_role() -> None:
    # the item's column serves as user, so the item is the next best
    log = read(frame().rename({"user": "song"}), columns={"user": "item"})
    assert users_of(log) == ITEMS
    assert log.notes == ("columns: user=item, item=song, value=rating, time=timestamp",)


def test_none_leaves_a_role_empty() -> None:
    log = read(frame().with_columns(rating=-1.0), columns={"value": "none", "time": "none"})
    assert log.times is None
    assert log.notes == ("columns: user=user, item=item",)


def test_columns_of_a_file_without_header(tmp_path: Path) -> None:
    path = file("u.data", text("\t", header=False))(tmp_path)
    log = read(path)
    assert "no header" in log.notes[1]
    swapped = read(path, columns={"user": "column_2", "item": "column_1"})
    assert users_of(swapped) == ITEMS
    assert swapped.times is None
    untimed = read(path, columns={"time": "none"}, values="keep")
    assert facts(untimed) == BY_HAND | {"times": None}


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"usr": "user"}, "no such role 'usr': columns have the roles user, item, value, time"),
        ({"user": "who"}, "no column 'who' .asked for as user.*user, item, rating, timestamp"),
        ({"user": "none"}, "recognised as user; its columns are user, item"),
        ({"user": "item", "item": "item"}, "column 'item' is asked for as user and as item"),
    ],
)
def test_columns_that_cannot_be(columns: dict[str, str], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        read(frame(), columns=columns)


def test_a_role_that_an_option_needs() -> None:
    pairs = frame().select("user", "item")
    for options in ({"min_value": 1}, {"values": "keep"}, {"duplicates": "sum"}):
        with pytest.raises(DataError, match=r"no value column.*user, item"):
            read(pairs, **options)
    with pytest.raises(DataError, match="no time column for since/until"):
        read(pairs, until=5)


@pytest.mark.parametrize("option", ["values", "duplicates", "missing"])
def test_an_unknown_option_is_not_taken_for_the_default(option: str) -> None:
    with pytest.raises(DataError, match=f"{option}='mean': give one of "):
        read(frame(), **{option: "mean"})


# -- bad input ------------------------------------------------------------------------------

PARQUET, ARROW = as_bytes("write_parquet", frame()), as_bytes("write_ipc", frame())
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
    "header and blanks": ("log.csv", "user,item\n\n\n", "log.csv has no row"),
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
    "one user": ("log.csv", "user,item\n1,2\n1,3\n", "one user only"),
    "one item": ("log.csv", "user,item\n1,2\n2,2\n", "one item only"),
    "latin-1": ("log.csv", "user,item\ncafé,1\nb,2\n".encode("latin-1"), "not UTF-8 text: save"),
    "utf-16": ("log.csv", text(",").encode("utf-16"), "not UTF-8 text .it holds zero bytes"),
    "binary": ("log.csv", bytes(range(256)), "not UTF-8 text"),
    "old mac line ends": ("log.csv", "user,item\r1,2\r3,4\r", "first line of .*cannot be parsed"),
    "open quote": ("log.csv", 'user,item\n"a,b\nc,d\n', "log.csv cannot be parsed"),
    "cut gz": ("log.csv.gz", gzip.compress(text(",").encode())[:40], "log.csv.gz cannot be read"),
    "long cut gz": ("l.csv.gz", gzip.compress(LONG.encode())[:-2000], "l.csv.gz cannot be parsed"),
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
    "json array": ("log.json", '[{"user": 1, "item": 2}]', "one JSON object per line"),
    "json garbage": ("log.jsonl", b"\xff\xfe{", "cannot be read as .jsonl"),
    "json objects as ids": (
        "log.jsonl",
        '{"user": {"a": 1}, "item": 1}\n{"user": {"a": 2}, "item": 1}\n',
        "user column of .* has type Struct",
    ),
    "npz of arrays": ("log.npz", npz(a=np.arange(3)), "holds no sparse matrix.*save_npz"),
    "npz beyond its shape": (
        "log.npz",
        npz(format="csr", data=[1.0], indices=[9], indptr=[0, 1, 1], shape=[2, 2]),
        "holds no sparse matrix",
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
    with pytest.raises(DataError, match=r"is a folder: name a file, or a pattern such as"):
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


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    content=st.binary(max_size=200),
    ending=st.sampled_from(
        ["csv", "tsv", "dat", "txt", "csv.gz", "jsonl", "parquet", "arrow", "npz"]
    ),
)
@example(content=b"user,item\n\xff,1\n2,2\n", ending="csv")
@example(content=b'{"user":1,"item":1}\n{"user":', ending="jsonl")
@example(content=b"PK\x05\x06" + bytes(18), ending="npz")
@example(content=b"\x93NUMPY\x01\x00\x02\x00{\n", ending="npz")
@example(content=b"PAR1\x00\x00\x00\x00PAR1", ending="parquet")
@example(content=b"ARROW1\x00\x00\xff\xff\xff\xffARROW1", ending="arrow")
def test_random_bytes_give_a_log_or_an_error_of_ours(content: bytes, ending: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"log.{ending}"
        path.write_bytes(content)
        with suppress(DataError):
            assert isinstance(read(path), Interactions)


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(
    content=st.text(st.sampled_from('user,item\t;|:"\r\n\\ 0123-.einfa☃'), max_size=60),
    header=st.sampled_from(
        ["", "user,item\n", "user,item,rating,ts\n", "user;item\n", "1::2::3::4\n"]
    ),
    missing=st.sampled_from(["error", "drop"]),
)
def test_random_text_gives_a_log_or_an_error_of_ours(
    content: str, header: str, missing: Any
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        path.write_text(header + content, newline="")
        try:
            log = read(path, missing=missing)
        except DataError:
            return
        assert len(log) == log.indptr[-1] > 0


@settings(max_examples=40)
@given(st.integers(8, len(PARQUET) - 1), st.integers(0, 255), st.booleans())
def test_a_byte_changed_in_a_binary_file_gives_a_log_or_an_error_of_ours(
    at: int, value: int, arrow: bool
) -> None:
    content = bytearray(ARROW if arrow else PARQUET)
    content[at % len(content)] = value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("log.arrow" if arrow else "log.parquet")
        path.write_bytes(bytes(content))
        with suppress(DataError):
            assert isinstance(read(path), Interactions)


# -- times and item tables ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "since_1970"),
    [
        ("86400", 86_400),
        ("86400.5", 86_400.5),
        ("1970-01-02", 86_400),
        ("1970-01-02 01:00", 90_000),
        ("1970-01-02 01:00:05", 90_005),
        ("1970-01-02T01:00:05", 90_005),
        ("1970-01-02T01:00:05Z", 90_005),
        ("1970-01-02 01:00:05.25", 90_005.25),
        ("1970-01-02T01:00:05+01:00", 86_405),
        ("1970-01-02 01:00:05.5-0130", 95_405.5),
        ("1970-01-02 01:00:05 UTC", 90_005),
        (" 1970-01-02 ", 86_400),
    ],
)
def test_times_written_as_text(written: str, since_1970: float, tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(f'user,item,ts\n1,1,"{written}"\n2,2,1970-01-01\n')
    assert facts(read(path))["times"] == [since_1970, 0]


@pytest.mark.parametrize(
    "column",
    [
        pl.Series([dt.date(1970, 1, 2), dt.date(1970, 1, 1)]),
        pl.Series([dt.datetime(1970, 1, 2), dt.datetime(1970, 1, 1)]),
        pl.Series([86_400_000, 0]).cast(pl.Datetime("ms")),
        pl.Series([86_400 * 10**9, 0]).cast(pl.Datetime("ns")),
        pl.Series([86_400_000, 0])
        .cast(pl.Datetime("ms", "UTC"))
        .dt.convert_time_zone("Asia/Tokyo"),
    ],
)
def test_datetime_columns_are_seconds(column: pl.Series) -> None:
    log = read(pl.DataFrame({"user": [1, 2], "item": [1, 2], "ts": column}))
    assert facts(log)["times"] == [86_400, 0]


def test_bounds_of_a_time_window() -> None:
    assert seconds("1970-01-02") == 86_400
    assert seconds("1970-01-02T00:00:00+01:00") == 82_800
    assert seconds(dt.date(1970, 1, 2), 1000) == 86_400_000
    assert seconds("12.5") == seconds(12.5, 1000) == 12.5
    for odd in ("soon", "", "2020-13-01", float("nan"), None):
        with pytest.raises(DataError, match="neither a number nor a date such as"):
            seconds(odd)  # type: ignore[arg-type]


def titles(log: Interactions) -> list[tuple[Any, ...]]:
    assert log.item_table is not None
    return log.item_table.rows()


def test_item_tables_line_up(tmp_path: Path) -> None:
    table = tmp_path / "items.csv"
    table.write_text("movieId,title\n40,Forty\n 7 ,Seven\n99,Other\n,Nobody\n")
    assert titles(read(frame(), items=table)) == [(7, "Seven"), (40, "Forty")]
    as_text = frame().cast({"item": pl.String})
    assert titles(read(as_text, items=table)) == [("40", "Forty"), ("7", "Seven")]
    some = pd.DataFrame({"item": [40.0], "title": ["Forty"]})
    assert titles(read(frame(), items=some)) == [(7, None), (40, "Forty")]


def test_the_item_table_may_use_the_logs_own_name_for_its_ids() -> None:
    log = frame().rename({"item": "code"})
    table = pl.DataFrame({"title": ["Seven", "Forty"], "code": [7, 40], "item": ["x", "y"]})
    found = read(log, columns={"item": "code"}, items=table)
    assert titles(found) == [(7, "Seven"), (40, "Forty")]


def test_an_item_table_of_uuids() -> None:
    ids = [uuid.UUID(int=2**100), uuid.UUID(int=2**99)]
    table = pd.DataFrame({"item": ids, "title": ["a", "b"]})
    log = read(pd.DataFrame({"user": [1, 2], "item": ids}), items=table)
    assert [t for _, t in titles(log)] == ["b", "a"]


def test_bad_item_tables(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="recognised as the item's id; its columns are a, title"):
        read_items(pl.DataFrame({"a": [1], "title": ["x"]}))
    with pytest.raises(DataError, match="needs a header"):
        read_items(file("u.csv", "1,Toy Story\n2,Heat\n")(tmp_path))
    with pytest.raises(DataError, match="line 3 has 3 values"):
        read_items(file("i.csv", "item,title\n1,x\n2,y,z\n")(tmp_path))
    with pytest.raises(DataError, match="no row of the item table belongs to"):
        read(frame(), items=pl.DataFrame({"item": [1, 2], "title": ["x", "y"]}))
    with pytest.raises(DataError, match="column 'item' of the frame mixes types"):
        read(frame(), items=pd.DataFrame({"item": pd.Series([7, "x"], dtype=object)}))
