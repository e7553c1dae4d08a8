"""`read`: packed files, archives, matrices and other programs' formats."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import scipy.io
import scipy.sparse as sp

from shoal.data import limits, unpack
from shoal.data.read import read
from shoal.errors import DataError

from .read_helpers import BY_HAND, ROWS, facts, file, text


def zipped(name: str = "data/log.csv", **more: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data/", "")
        archive.writestr(name, text(","))
        for other, content in more.items():
            archive.writestr(other, content)
    return buffer.getvalue()


def zst(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with pa.CompressedOutputStream(buffer, "zstd") as stream:
        stream.write(content)
        stream.flush()
        stream.close()
        return buffer.getvalue() if not buffer.closed else b""


CSV = text(",").encode()
INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + text("\t", header=False)
OBJECTS = [dict(zip(("user", "item", "rating", "timestamp"), row, strict=True)) for row in ROWS]

PACKED: dict[str, tuple[str, str | bytes]] = {
    "bz2": ("log.csv.bz2", bz2.compress(CSV)),
    "xz": ("log.csv.xz", lzma.compress(CSV)),
    "lzma": ("log.csv.lzma", lzma.compress(CSV, format=lzma.FORMAT_ALONE)),
    "zip": ("log.zip", zipped()),
    "csv.zip": ("log.csv.zip", zipped()),
    "two members of gz": ("log.csv.gz", gzip.compress(CSV[:20]) + gzip.compress(CSV[20:])),
    "gz without its ending": ("log.csv", gzip.compress(CSV)),
    "RecBole": ("log.inter", INTER),
    "JSON array": ("log.json", json.dumps(OBJECTS)),
    "JSON array, indented": ("log.json", "\ufeff" + json.dumps(OBJECTS, indent=2)),
    "JSON array, gz": ("log.json.gz", gzip.compress(json.dumps(OBJECTS).encode())),
    "JSON lines, bz2": ("l.jsonl.bz2", bz2.compress("\n".join(map(json.dumps, OBJECTS)).encode())),
}


@pytest.mark.parametrize("name", PACKED)
def test_packed_files_give_the_same_interactions(name: str, tmp_path: Path) -> None:
    path, content = PACKED[name]
    assert facts(read(file(path, content)(tmp_path), values="keep")) == BY_HAND


def test_zstandard(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.zst"
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        stream.write(CSV)
    assert facts(read(path, values="keep")) == BY_HAND
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match=r"log\.csv\.zst cannot be read"):
        read(path)


def encrypted() -> bytes:
    content = bytearray(zipped())
    for mark, place in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = -1
        while (at := content.find(mark, at + 1)) >= 0:
            content[at + place] |= 1
    return bytes(content)


BAD: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "encrypted": ("log.zip", encrypted, "is encrypted: unpack it with its password"),
    "two files": ("log.zip", lambda: zipped(**{"b.csv": "x"}), r"holds 2 files .*b\.csv"),
    "no zip": ("log.zip", lambda: CSV, "cannot be read as a zip archive"),
    "cut bz2": ("l.csv.bz2", lambda: bz2.compress(CSV)[:-9], "cannot be read"),
    "cut xz": ("l.csv.xz", lambda: lzma.compress(CSV)[:-9], "cannot be read"),
    "no xz": ("l.csv.xz", lambda: CSV, "Not a .xz file, as its name says"),
    "packed parquet": ("l.parquet.gz", lambda: gzip.compress(b"PAR1"), "unpack it"),
    "zeros": ("l.csv.gz", lambda: gzip.compress(CSV + bytes(1 << 20)), "it holds zero bytes"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_unpacked_is_refused(name: str, tmp_path: Path) -> None:
    path, content, complaint = BAD[name]
    with pytest.raises(DataError, match=complaint):
        read(file(path, content())(tmp_path))


@pytest.mark.parametrize("ending", ["gz", "bz2", "zip"])
def test_a_file_that_unpacks_to_far_too_much_is_refused(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_UNPACKED", 10_000)
    monkeypatch.setattr(unpack, "PIECE", 5_000)
    content = CSV + b"\n" * 2_000_000
    if ending == "zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("log.csv", content)
        packed = buffer.getvalue()
    else:
        packed = {"gz": gzip, "bz2": bz2}[ending].compress(content)  # type: ignore[attr-defined]
    with pytest.raises(DataError, match=r"unpacks to more than .*unpack it yourself"):
        read(file(f"log.csv.{ending}", packed)(tmp_path))


def matrix() -> sp.csr_array:
    return sp.csr_array(np.array([[0, 2.0, 0], [0, 0, 0], [1.0, 3.0, 0]]))


def test_matrix_market_has_its_own_numbers(tmp_path: Path) -> None:
    path = tmp_path / "log.mtx"
    scipy.io.mmwrite(path, matrix(), comment="made by hand")
    log = read(path, values="keep")
    # the file counts from 1: rows 1 and 3, columns 1 and 2
    assert facts(log)["users"] == [1, 3]
    assert facts(log)["items"] == [1, 2]
    assert facts(log)["values"] == [2.0, 1.0, 3.0]
    content = path.read_bytes()
    (tmp_path / "log.mtx.gz").write_bytes(gzip.compress(content))
    assert facts(read(tmp_path / "log.mtx.gz", values="keep")) == facts(log)
    path.write_bytes(content.rstrip().rpartition(b"\n")[0] + b"\n")
    with pytest.raises(DataError, match="says that it has 3 entries, and has 2"):
        read(path)
    for head in ("array real general", "coordinate real symmetric", "coordinate complex general"):
        path.write_text(f"%%MatrixMarket matrix {head}\n2 2 1\n1 1 1\n")
        with pytest.raises(DataError, match=r"a log is a sparse one.*save_npz"):
            read(path)


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def csr(**changed: Any) -> bytes:
    X = matrix()
    arrays = {"data": X.data, "indices": X.indices, "indptr": X.indptr, "shape": X.shape}
    return npz(format=b"csr", **(arrays | changed))


BROKEN: dict[str, tuple[Callable[[], bytes], str]] = {
    "extents fall": (
        lambda: csr(indptr=[0, 3, 1, 3]),
        "indptr does not ascend from 0 .entry 2 is 1",
    ),
    "extents far beyond": (lambda: csr(indptr=[0, 10**9, 1, 3]), "indptr does not ascend"),
    "extents end beyond": (lambda: csr(indptr=[0, 1, 1, 10**9]), "do not belong together"),
    "extents end before": (lambda: csr(indptr=[0, 1, 1, 2]), "do not belong together"),
    "extents begin late": (lambda: csr(indptr=[1, 1, 1, 3]), "indptr does not ascend from 0"),
    "too few extents": (lambda: csr(indptr=[0, 3]), "no valid csr matrix"),
    "no extents": (lambda: csr(indptr=np.empty(0, np.int32)), "do not belong together"),
    "negative index": (lambda: csr(indices=[1, 0, -1]), "indices holds -1 in entry 2"),
    "index beyond": (
        lambda: csr(indices=[1, 0, 3]),
        "indices holds 3 in entry 2, and the size is 3",
    ),
    "fractions as indices": (lambda: csr(indices=[1.0, 0, 2]), "no valid csr matrix"),
    "fewer values": (lambda: csr(data=[1.0]), "do not belong together"),
    "two-dimensional": (lambda: csr(data=np.ones((3, 1))), "do not have the dimensions"),
    "negative shape": (lambda: csr(shape=(-3, 3)), "its shape is"),
    "three shapes": (lambda: csr(shape=(3, 3, 3)), "its shape is"),
    "NaN": (lambda: csr(data=[1.0, np.nan, 2]), "not a finite number in 1 of 3 rows"),
    "row beyond": (
        lambda: npz(format=b"coo", data=[1.0, 1], row=[0, 9], col=[0, 1], shape=(3, 3)),
        "row holds 9 in entry 1",
    ),
    "unknown format": (lambda: npz(format=b"xyz", data=[1.0]), "holds no sparse matrix"),
    "no shape": (lambda: npz(format=b"csr", data=[1.0], indices=[0], indptr=[0, 1]), "no sparse"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_arrays_that_are_no_matrix_are_refused_before_they_are_used(
    name: str, tmp_path: Path
) -> None:
    content, complaint = BROKEN[name]
    with pytest.raises(DataError, match=complaint):
        read(file("log.npz", content())(tmp_path))


def test_a_matrix_in_memory_is_checked_too() -> None:
    X = matrix()
    X.indptr = np.array([0, 10**9, 1, 3], X.indptr.dtype)
    with pytest.raises(DataError, match="the matrix is no valid csr matrix: indptr"):
        read(X)


def test_duplicate_entries_of_a_matrix_are_counted_as_duplicates(tmp_path: Path) -> None:
    content = csr(indices=[1, 0, 0], data=[2.0, 1.0, 3.0])
    log = read(file("log.npz", content)(tmp_path), values="keep", duplicates="sum")
    assert facts(log)["values"] == [2.0, 4.0]  # 1 + 3, as scipy adds them
    (step,) = [step for step in log.report if step.name == "duplicates"]
    assert (step.rows_in, step.rows_kept) == (3, 2)


@pytest.mark.parametrize("kind", ["csc", "coo", "bsr", "dia"])
def test_other_sparse_formats(kind: str, tmp_path: Path) -> None:
    sp.save_npz(tmp_path / "log.npz", matrix().asformat(kind))
    log = read(tmp_path / "log.npz", min_value=1, values="keep")
    assert facts(log)["users"] == [0, 2]
    assert facts(log)["values"] == [2.0, 1.0, 3.0]


def test_an_archive_of_arrays_that_unpacks_to_far_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_UNPACKED", 10_000)
    big = npz(format=b"csr", data=np.zeros(1 << 20), indices=[0], indptr=[0, 1], shape=(1, 1))
    with pytest.raises(DataError, match=r"log\.npz has .* unpacks to more than"):
        read(file("log.npz", big)(tmp_path))
    claim = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        claim, {"descr": "<f8", "fortran_order": False, "shape": (1 << 60,)}
    )
    buffer = io.BytesIO(csr())
    with zipfile.ZipFile(io.BytesIO(csr())) as old, zipfile.ZipFile(buffer, "w") as new:
        for member in old.namelist():
            new.writestr(member, claim.getvalue() if member == "data.npy" else old.read(member))
    with pytest.raises(DataError, match="holds no sparse matrix"):
        read(file("claim.npz", buffer.getvalue())(tmp_path))
