"""A log that is divided by user into files: read again, it is the same log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.cluster.local import LocalExecutor
from shoal.cluster.reading import read_sharded
from shoal.data.buckets import MANIFEST
from shoal.errors import ArtifactError, DataError

from .log_helpers import KINDS, OPTIONS, assert_equal_logs, random_log, with_dates


def files_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_bucketed_log_is_the_log(tmp_path: Path, kind: str, options: dict[str, Any]) -> None:
    log = random_log(7, kind)
    shoal.bucket(log, tmp_path / "b", 5)
    assert_equal_logs(shoal.read(tmp_path / "b", **options), shoal.read(log, **options))


_TEXT, _INT = random_log(5, "text"), random_log(5)
COLUMNS = {
    "categorical": _TEXT.with_columns(pl.col("user", "item").cast(pl.Categorical)),
    "enum": _TEXT.with_columns(pl.col("user").cast(pl.Enum(_TEXT["user"].unique().sort()))),
    "decimal": _INT.with_columns(pl.col("user").cast(pl.Decimal(20, 0))),
    "unsigned": _INT.with_columns(pl.col("user").abs().cast(pl.UInt64)),
    "float": _INT.with_columns(pl.col("user").cast(pl.Float64), pl.col("item").cast(pl.Float32)),
    "date": _INT.with_columns(time=pl.date(2024, 1, 1) + pl.duration(days="time")),
    "zone": with_dates(_INT).with_columns(pl.col("time").dt.convert_time_zone("Asia/Tokyo")),
    "texts of numbers": _INT.with_columns(pl.col("value").cast(pl.String)),
    "lists": _INT.with_columns(tags=pl.concat_list("item", "user")),
    "gaps": _INT.with_columns(
        item=pl.when(pl.col("item") > 30).then("item"),
        value=pl.when(pl.col("time") > 5).then("value"),
    ),
}


@pytest.mark.parametrize("log", COLUMNS.values(), ids=COLUMNS)
def test_columns_of_any_type_are_kept(tmp_path: Path, log: pl.DataFrame) -> None:
    shoal.bucket(log, tmp_path / "b", 5)
    options: dict[str, Any] = {"min_value": 0.5, "missing": "drop"}
    whole = shoal.read(log, **options)
    assert_equal_logs(shoal.read(tmp_path / "b", **options), whole)
    here = LocalExecutor(threads=1)
    assert_equal_logs(read_sharded(tmp_path / "b", here, **options).whole(here), whole)


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet", "arrow", "csv.gz"])
def test_any_file_can_be_bucketed(tmp_path: Path, ending: str) -> None:
    log = with_dates(random_log(8))
    path = tmp_path / f"log.{ending}"
    if ending.startswith(("csv", "tsv")):
        separator = "\t" if ending == "tsv" else ","
        text = log.write_csv(separator=separator)
        if ending.endswith(".gz"):
            import gzip

            path.write_bytes(gzip.compress(text.encode()))
        else:
            path.write_text(text)
    elif ending == "jsonl":
        log.with_columns(pl.col("time").dt.to_string()).write_ndjson(path)
    elif ending == "parquet":
        log.write_parquet(path)
    else:
        log.write_ipc(path)
    shoal.bucket(path, tmp_path / "b", 4)
    for options in ({"min_value": 2}, {"values": "keep", "since": "2024-02-02"}):
        assert_equal_logs(shoal.read(tmp_path / "b", **options), shoal.read(path, **options))


def test_a_text_without_a_header_keeps_its_rules(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_text("".join(f"{u};{i};{(u * i) % 5 + 1},5\n" for u in range(9) for i in range(7)))
    shoal.bucket(path, tmp_path / "b", 3)
    options: dict[str, Any] = {"values": "keep", "min_value": 2.5}
    whole = shoal.read(path, **options)
    assert_equal_logs(shoal.read(tmp_path / "b", **options), whole)
    assert whole.users.kind == "int"


def test_outer_spaces_do_not_divide_a_user(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item\n" + "".join(f"{' ' * (i % 3)}7,{i}\n" for i in range(30)))
    shoal.bucket(path, tmp_path / "b", 16)
    assert len(files_of(tmp_path / "b")) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_rows_of_a_user_are_in_one_file_and_none_is_lost(tmp_path: Path, kind: str) -> None:
    log = random_log(3, kind, 2000)
    manifest = shoal.bucket(log, tmp_path / "b", 6)
    parts = [pl.read_parquet(file) for file in files_of(tmp_path / "b")]
    users = [set(part["user"]) for part in parts]
    assert len(parts) > 3
    assert sum(map(len, users)) == len(set().union(*users)) == log["user"].n_unique()
    columns = log.columns
    assert pl.concat(parts).sort(columns).equals(log.sort(columns))
    assert [file.rows for file in manifest.files] == [len(part) for part in parts]


def write_small_files(monkeypatch: pytest.MonkeyPatch, *, always: bool) -> None:
    """Have polars begin another file after a few rows: unless it is told not to, or always."""
    original = pl.PartitionBy

    def partition(*places: Any, **options: Any) -> pl.PartitionBy:
        few: dict[str, Any] = {"approximate_bytes_per_file": 20_000}
        return original(*places, **(options | few if always else few | options))

    monkeypatch.setattr(pl, "PartitionBy", partition)


def test_a_bucket_is_one_file_however_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = pl.DataFrame({"user": np.arange(300_000) % 100, "item": np.arange(300_000) % 77})
    write_small_files(monkeypatch, always=False)
    shoal.bucket(log, tmp_path / "b", 2)
    assert len(files_of(tmp_path / "b")) == 2
    write_small_files(monkeypatch, always=True)
    with pytest.raises(ArtifactError, match="as several files"):
        shoal.bucket(log, tmp_path / "c", 2)
    assert not (tmp_path / "c").exists()


def test_a_folder_of_a_warehouse_needs_no_manifest(tmp_path: Path) -> None:
    log = random_log(5)
    folder = tmp_path / "warehouse"
    folder.mkdir()
    for k in range(3):
        log.filter(pl.col("user") % 3 == k).write_parquet(folder / f"part-{k}.snappy.parquet")
    (folder / "_SUCCESS").touch()
    (folder / ".part-0.crc").touch()
    assert_equal_logs(shoal.read(folder, min_value=2), shoal.read(log, min_value=2))


def test_tables_that_are_more_than_their_files_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "t"
    shoal.bucket(random_log(3), folder, 2)
    (folder / "day=1").mkdir()
    with pytest.raises(DataError, match=r"holds the folder day=1 beside its files.*partitionBy"):
        shoal.read(folder, min_value=1)
    (folder / "_delta_log").mkdir()
    with pytest.raises(DataError, match="is a table of Delta Lake"):
        shoal.read(folder, min_value=1)


def test_a_missing_a_cut_and_an_added_file_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    shoal.bucket(random_log(3), folder, 4)
    first, second, *_ = files_of(folder)
    whole = first.read_bytes()
    first.unlink()
    with pytest.raises(DataError, match=f"1 of its 4 files are missing, first {first.name}"):
        shoal.read(folder)
    first.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=f"{first.name} cannot be read as Parquet.*cut short"):
        shoal.read(folder)
    first.write_bytes(second.read_bytes())
    with pytest.raises(DataError, match=rf"{first.name} has .* rows in .* cut short or replaced"):
        shoal.read(folder)
    first.write_bytes(whole)
    (folder / "x.parquet").write_bytes(whole)
    with pytest.raises(DataError, match=r"x.parquet is none of the files that _shoal.json lists"):
        shoal.read(folder)


def test_files_of_other_columns_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    folder.mkdir()
    log = pl.DataFrame({"user": [1, 2], "item": [1, 2]})
    log.write_parquet(folder / "a.parquet")
    log.with_columns(pl.col("user").cast(pl.String)).write_parquet(folder / "b.parquet")
    with pytest.raises(DataError, match=r"b.parquet has other columns than .*a.parquet: 'user' is"):
        shoal.read(folder)
    log.rename({"item": "article"}).write_parquet(folder / "b.parquet")
    with pytest.raises(DataError, match="no 'item'; also 'article'"):
        shoal.read(folder)
    log.select("item", "user").write_parquet(folder / "b.parquet")
    with pytest.raises(DataError, match="they stand in the order item, user"):
        shoal.read(folder)


def test_a_manifest_that_is_none_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    shoal.bucket(random_log(3), folder, 4)
    manifest = json.loads((folder / MANIFEST).read_text())
    for content, message in (
        ("{", "is no list of files"),
        (json.dumps(manifest | {"format": 9}), "has format 9, and this shoal knows 1"),
        (
            json.dumps(manifest | {"files": [{"name": "../x", "rows": 1, "bytes": 1}]}),
            "is no list of files",
        ),
    ):
        (folder / MANIFEST).write_text(content)
        with pytest.raises(DataError, match=message):
            shoal.read(folder)


def test_a_folder_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path, out = tmp_path / "log.csv", tmp_path / "b"
    path.write_text("user,item\n" + "1,2\n" * 200_000 + "1,2,3\n")
    with pytest.raises(DataError):
        shoal.bucket(path, out)
    assert [p.name for p in tmp_path.iterdir()] == ["log.csv"]


def test_a_place_that_cannot_be_written_is_no_fault_of_the_log() -> None:
    with pytest.raises(ArtifactError, match="/proc/nowhere/b could not be written"):
        shoal.bucket(random_log(3), "/proc/nowhere/b", 2)


def test_only_a_bucketed_folder_is_replaced_and_only_if_asked(tmp_path: Path) -> None:
    out = tmp_path / "b"
    log = random_log(3)
    shoal.bucket(log, out, 4)
    with pytest.raises(ArtifactError, match="exists: name another folder, or replace it"):
        shoal.bucket(log, out, 2)
    shoal.bucket(log.head(100), out, 2, overwrite=True)
    assert len(files_of(out)) == 2
    assert shoal.read(out, columns={"value": "none"}).report[0].rows_in == 100
    (out / MANIFEST).unlink()
    with pytest.raises(ArtifactError, match="was not made by shoal bucket"):
        shoal.bucket(log, out, overwrite=True)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n_buckets": 0}, DataError, "0 buckets: give 1 to 10,000"),
        ({"log": pl.DataFrame({"a": [1], "b": [2]})}, DataError, "no column could be recognised"),
        ({"log": random_log(1).head(0)}, DataError, "has no row"),
        ({"out": "s3://a/b"}, ArtifactError, "writes to folders of this machine"),
    ],
)
def test_what_cannot_be_bucketed_is_refused(
    tmp_path: Path, change: dict[str, Any], error: type[Exception], message: str
) -> None:
    arguments = {"log": random_log(1), "out": tmp_path / "b", "n_buckets": 4} | change
    with pytest.raises(error, match=message):
        shoal.bucket(**arguments)
    assert not list(tmp_path.iterdir())
