"""`read`: whatever a file holds, it gives a log or an error of ours."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from shoal.data.interactions import Interactions
from shoal.data.read import read
from shoal.errors import DataError

from .read_helpers import ARROW, PARQUET


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    content=st.binary(max_size=200),
    ending=st.sampled_from(
        [
            *("csv", "tsv", "dat", "txt", "csv.gz", "jsonl", "parquet", "arrow", "npz", "json"),
            *("csv.bz2", "csv.xz", "csv.lzma", "csv.zst", "zip", "csv.zip", "mtx", "inter"),
        ]
    ),
)
@example(content=b"user,item\n\xff,1\n2,2\n", ending="csv")
@example(content=b'{"user":1,"item":1}\n{"user":', ending="jsonl")
@example(content=b"PK\x05\x06" + bytes(18), ending="npz")
@example(content=b"\x93NUMPY\x01\x00\x02\x00{\n", ending="npz")
@example(content=b"PK\x03\x04" + bytes(30), ending="zip")
@example(content=b"\x28\xb5\x2f\xfd" + bytes(9), ending="csv.zst")
@example(content=b"%%MatrixMarket matrix coordinate real general\n1 1 1\nx y z\n", ending="mtx")
@example(content=b"[[[[", ending="json")
@example(content=b"[1, 2]", ending="json")
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
        [
            "1,2,3\n2,3\n",
            "1 2\n",
            "",
            "user,item\n",
            "user,item,rating,ts\n",
            "user;item\n",
            "1::2::3::4\n",
        ]
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
