"""Vectors by the ids of their items: aligned, on disk, and from other people's files."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.data.ids import Ids, encode
from shoal.data.vectors import Vectors
from shoal.errors import DataError

ROWS = np.array([[1, 2], [3, 4], [5, 6], [0, 0]], np.float32)


def ids_of(*items: object) -> Ids:
    return encode(pl.Series(items), "items")[1]


def made(items: tuple[object, ...] = (30, 7, 11, 2)) -> Vectors:
    return Vectors.from_rows(pl.Series(items), ROWS, "test", "by hand", template="{title}")


def test_rows_follow_their_ids() -> None:
    vectors = made()
    assert vectors.ids.take(range(4)) == [2, 7, 11, 30]
    np.testing.assert_array_equal(vectors.matrix, ROWS[[3, 1, 2, 0]])
    assert vectors.there.tolist() == [False, True, True, True]
    assert repr(vectors) == "Vectors(4 items × 2, by hand)"


def test_a_catalogue_gets_its_vectors_and_is_told_which_are_missing() -> None:
    matrix, there = made().onto(ids_of(1, 2, 7, 30, 99))
    np.testing.assert_array_equal(matrix, [[0, 0], [0, 0], [3, 4], [1, 2], [0, 0]])
    assert there.tolist() == [False, False, True, True, False]  # 2 has no text, 1 and 99 no row


def test_text_ids_and_numbers_meet() -> None:
    matrix, there = made().onto(ids_of("11", "30", "7"))  # ascending as text
    np.testing.assert_array_equal(matrix, [[5, 6], [1, 2], [3, 4]])
    assert there.all()


def test_nothing_in_common_is_an_error() -> None:
    with pytest.raises(DataError, match="do both come from the same catalogue"):
        made().onto(ids_of("a", "b"))


def test_warm_and_cold_items_of_a_log() -> None:
    """Item 3 is in the table and not in the log, item 4 in the log and not in the table."""
    table = pl.DataFrame({"item": [1, 2, 3], "title": ["red fox", "blue fox", "red sea"]})
    log = shoal.read(pl.DataFrame({"user": [1, 1, 2, 2], "item": [1, 2, 1, 4]}))
    vectors = shoal.embed(table, template="{title}")
    matrix, there = vectors.onto(log.items)
    assert there.tolist() == [True, True, False]
    np.testing.assert_array_equal(matrix[:2], vectors.matrix[:2])
    everything = Ids.union(log.items, vectors.ids)
    assert vectors.onto(everything)[1].tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    "items", [(30, 7, 11, 2), ("b", "a", "ä", "7"), tuple(uuid.UUID(int=i) for i in (4, 3, 9, 1))]
)
def test_what_is_written_is_read(tmp_path: Path, items: tuple[object, ...]) -> None:
    column = pl.Series(items, dtype=pl.Object if isinstance(items[0], uuid.UUID) else None)
    vectors = Vectors.from_rows(column, ROWS, "test", "by hand", template="{é}")
    path = vectors.write(tmp_path / "v.parquet")
    again = Vectors.read(path)
    assert again.ids == vectors.ids
    np.testing.assert_array_equal(again.matrix, vectors.matrix)
    assert (again.embedder, again.template, again.notes) == ("by hand", "{é}", ())
    assert again.fingerprint() == vectors.fingerprint()
    assert [f.name for f in tmp_path.iterdir()] == ["v.parquet"]
    meta = pl.read_parquet_metadata(path)
    assert meta["shoal.vectors.dimension"] == "2"
    assert pl.read_parquet(path).schema["vector"] == pl.Array(pl.Float32, 2)


def test_a_file_that_was_altered_is_refused(tmp_path: Path) -> None:
    path = made().write(tmp_path / "v.parquet")
    meta = {k: v for k, v in pl.read_parquet_metadata(path).items() if k != "ARROW:schema"}
    pl.read_parquet(path)[:3].write_parquet(path, metadata=meta)
    with pytest.raises(DataError, match="was altered"):
        Vectors.read(path)
    meta["shoal.vectors.version"] = "9"
    pl.read_parquet(path).write_parquet(path, metadata=meta)
    with pytest.raises(DataError, match="later version of shoal"):
        Vectors.read(path)


LISTS = ROWS.astype(float).tolist()


@pytest.mark.parametrize(
    "frame",
    [
        pl.DataFrame({"movieId": [30, 7, 11, 2], "embedding": LISTS}),
        pl.DataFrame({"item": [30, 7, 11, 2], "v": pl.Series(ROWS, dtype=pl.Array(pl.Float32, 2))}),
        pl.DataFrame({"item": [30, 7, 11, 2], "v": [[1, 2], [3, 4], [5, 6], None]}),
        pl.DataFrame({"item": [30, 7, 11, 2], "f0": ROWS[:, 0], "f1": ROWS[:, 1].astype(float)}),
        pl.DataFrame({"item": [30, 7, 11, 2], "x": [1.0, 3, 5, None], "y": [2.0, 4, 6, None]}),
    ],
)
def test_parquet_of_others(tmp_path: Path, frame: pl.DataFrame) -> None:
    frame.write_parquet(tmp_path / "theirs.parquet")
    vectors = Vectors.read(tmp_path / "theirs.parquet")
    assert vectors.ids == made().ids
    np.testing.assert_array_equal(vectors.matrix, made().matrix)
    assert vectors.embedder == "file theirs.parquet"


def test_columns_that_are_not_used_are_named(tmp_path: Path) -> None:
    frame = pl.DataFrame({"item": [1], "title": ["x"], "vector": [[1.0]], "tokens": [[5]]})
    frame.write_parquet(tmp_path / "v.parquet")
    assert Vectors.read(tmp_path / "v.parquet").notes == ("v.parquet: not used: title, tokens",)


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        ({"item": [1, 2], "v": [[1.0, 2.0], [NAN, 1.0]]}, "1 items hold NaN .* that of item 2"),
        ({"item": [1, 2], "v": [[1.0, INF], [1.0, 1.0]]}, "NaN or infinite .* that of item 1"),
        ({"item": [1, 2], "v": [[1e300, 2.0], [1.0, 1.0]]}, "NaN or infinite"),
        ({"item": [1, 2], "v": [[1.0, None], [1.0, 1.0]]}, "NaN or infinite"),
        ({"item": [1, 2], "a": [1.0, None], "b": [1.0, 2.0]}, "NaN or infinite .* of item 2"),
        ({"item": [1, 2, 3], "v": [[1.0], [1.0], [1.0, 2.0]]}, "1 do not have 1 .* 3 with 2"),
        ({"item": [1, 2], "v": pl.Series([[], []], dtype=pl.List(pl.Float32))}, "are empty"),
        ({"item": [5, 5], "v": [[1.0], [2.0]]}, "1 ids have several rows, the first is 5"),
        ({"item": [5, None], "v": [[1.0], [2.0]]}, "1 rows have no id"),
        ({"item": [1, 2], "v": [["a"], ["b"]]}, "not numbers"),
        ({"item": [1, 2], "title": ["a", "b"]}, "neither a column of lists nor columns of floats"),
        ({"item": [1], "v": [[1.0]], "w": [[1.0]]}, r"several columns of lists \(v, w\)"),
        ({"key": [1, 2], "v": [[1.0], [2.0]]}, "no column could be recognised"),
    ],
)
def test_a_file_that_holds_no_vectors_is_one_line(
    tmp_path: Path, columns: dict[str, Any], complaint: str
) -> None:
    pl.DataFrame(columns, strict=False).write_parquet(tmp_path / "v.parquet")
    with pytest.raises(DataError, match=complaint) as error:
        Vectors.read(tmp_path / "v.parquet")
    assert "\n" not in str(error.value)


def test_npy_in_the_order_of_a_table_or_of_a_file_of_ids(tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", ROWS.astype(np.float64))
    (tmp_path / "ids.txt").write_text("30\n7\n11\n2\n")
    pl.DataFrame({"movieId": [30, 7, 11, 2], "t": "x"}).write_csv(tmp_path / "films.csv")
    table = pl.DataFrame({"item": [30, 7, 11, 2]})
    for given in (table, tmp_path / "ids.txt", str(tmp_path / "films.csv")):
        vectors = Vectors.read(tmp_path / "v.npy", given)
        matrix, _ = vectors.onto(made().ids)
        np.testing.assert_array_equal(matrix, made().matrix)


@pytest.mark.parametrize(
    ("array", "ids", "complaint"),
    [
        (ROWS, None, "holds no ids"),
        (ROWS, [1, 2, 3], "has 4 rows and the frame has 3 ids"),
        (ROWS[:, 0], [1, 2, 3, 4], "no matrix of numbers"),
        (ROWS[:, :0], [1, 2, 3, 4], "hold no number"),
        (np.array([["a"]] * 4), [1, 2, 3, 4], "no matrix of numbers"),
        (np.array([[None]] * 4), [1, 2, 3, 4], "cannot be read as .npy"),
        (ROWS * np.float32("nan"), [1, 2, 3, 4], "4 items hold NaN"),
    ],
)
def test_npy_that_does_not_fit_is_one_line(
    tmp_path: Path, array: np.ndarray, ids: list[int] | None, complaint: str
) -> None:
    np.save(tmp_path / "v.npy", array)
    with pytest.raises(DataError, match=complaint):
        Vectors.read(tmp_path / "v.npy", None if ids is None else pl.DataFrame({"item": ids}))


def test_files_that_are_none(tmp_path: Path) -> None:
    for name, complaint in (("v.npy", "cannot be read"), ("v.parquet", "cannot be read")):
        (tmp_path / name).write_bytes(b"no such thing")
        with pytest.raises(DataError, match=complaint):
            Vectors.read(tmp_path / name, pl.DataFrame({"item": [1]}) if "npy" in name else None)
    with pytest.raises(DataError, match=r"end in \.parquet"):
        Vectors.read(tmp_path / "v.txt")
    with pytest.raises(DataError, match="no such file"):
        Vectors.read(tmp_path / "none.parquet")
    for name in ("v.csv", "no/v.parquet"):
        with pytest.raises(DataError, match=r"as Parquet|no folder"):
            made().write(tmp_path / name)


# -- the way from a table -------------------------------------------------------------------

FILMS = pl.DataFrame({"item": [30, 7, 11, 2], "title": ["red fox", None, "blue fox", "red sea"]})


def test_items_without_text_get_zeros_and_are_counted() -> None:
    vectors = shoal.embed(FILMS, template="{title}")
    assert vectors.notes[0] == "1 of 4 items have no text: their vector is 0"
    assert vectors.there.tolist() == [True, False, True, True]  # 2, 7, 11, 30


@pytest.mark.parametrize(
    ("how", "complaint"),
    [
        ({}, r"say what of an item .* the frame has: item, title"),
        ({"template": "{name}"}, "'name'"),
        ({"template": "{title}", "item": "sku"}, "no column 'sku'"),
        ({"template": "{title}", "ids": FILMS}, "ids belong to a .npy file"),
        ({"template": "{title}", "embedder": "v.parquet"}, "need no template"),
    ],
)
def test_what_cannot_be_embedded_is_one_line(how: dict[str, object], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        shoal.embed(FILMS, **how)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda f: f.with_columns(item=pl.Series([1, 1, 2, 3])), "several rows, the first is 1"),
        (lambda f: f.with_columns(title=pl.Series([None, "", " ", "x"])), "3 of 4 items have no"),
        (lambda f: f.clear(), "has no row"),
        (lambda f: f.rename({"item": "key"}), "no column could be recognised"),
    ],
)
def test_a_table_that_cannot_be_embedded_is_one_line(
    change: Callable[[pl.DataFrame], pl.DataFrame], complaint: str
) -> None:
    with pytest.raises(DataError, match=complaint):
        shoal.embed(change(FILMS), template="{title}")


def test_vectors_of_a_file_are_laid_on_the_table(tmp_path: Path) -> None:
    path = made((30, 7, 99, 2)).write(tmp_path / "v.parquet")
    vectors = shoal.embed(FILMS, embedder=path)
    np.testing.assert_array_equal(vectors.matrix, [[0, 0], [3, 4], [0, 0], [1, 2]])
    assert vectors.notes == ("2 of 4 items have no vector in v.parquet: it is 0",)
    assert vectors.embedder == "by hand"
    np.save(tmp_path / "v.npy", ROWS)
    np.testing.assert_array_equal(
        shoal.embed(FILMS, embedder=str(tmp_path / "v.npy")).matrix, made().matrix
    )
    turned = shoal.embed(FILMS, embedder=tmp_path / "v.npy", ids=FILMS.reverse())
    np.testing.assert_array_equal(turned.onto(ids_of(2, 7))[0], ROWS[[0, 2]])
