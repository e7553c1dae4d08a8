"""`read`: any file or frame gives the same log."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp

from shoal.data.read import read

from .read_helpers import BY_HAND, NAMES, ROWS, Write, as_bytes, facts, file, frame, parts, text


def json_lines(end: str = "\n") -> str:
    keys = NAMES
    return "".join(
        "{" + ", ".join(f'"{k}": {v}' for k, v in zip(keys, row, strict=True)) + "}" + end
        for row in ROWS
    )


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
