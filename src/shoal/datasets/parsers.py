"""Read the publishers' formats and write Parquet, in bounded memory.

A parser gets the publisher's files by name and a scratch folder; every ``*.parquet`` that it
leaves there becomes a table of the data set. Ids keep the publisher's type.
"""

from __future__ import annotations

import gzip
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import polars as pl

from shoal.datasets.archives import (
    BROKEN,
    Bounded,
    blocks,
    damaged,
    extract,
    numbered_lines,
    read_member,
    save,
    texts,
)
from shoal.errors import DataError
from shoal.run import Progress
from shoal.web import printable

Files = Mapping[str, Path]
Parser = Callable[[Files, Path, Progress], None]
Types = dict[str, type[pl.DataType]]

_NAMES = {
    "userId": "user",
    "user_id": "user",
    "movieId": "item",
    "book_id": "item",
    "parent_asin": "item",
    "original_publication_year": "year",
}


def movielens_100k(files: Files, out: Path, progress: Progress) -> None:
    """``u.data`` (tab separated), ``u.item`` (latin-1, one 0/1 column per genre of ``u.genre``)."""
    archive = files["ml-100k.zip"]
    data = extract(archive, "u.data", out, progress)
    columns: Types = {
        "user": pl.Int64,
        "item": pl.Int64,
        "rating": pl.Float32,
        "timestamp": pl.Int64,
    }
    _sink(_headless(data, "\t", columns), out / "interactions.parquet", data, progress)
    lines = read_member(archive, "u.genre").decode("latin-1").splitlines()
    genres = [line.split("|")[0] for line in lines if line.strip()]
    rows = []
    for number, line in numbered_lines(read_member(archive, "u.item"), "latin-1"):
        fields = line.split("|")
        flags = fields[5:]
        if len(flags) != len(genres):
            raise _malformed(archive, "u.item", number, line)
        named = "|".join(genre for genre, flag in zip(genres, flags, strict=True) if flag == "1")
        rows.append((fields[0], fields[1], named))
    _write_items(rows, out, archive)


def movielens_dat(name: str, encoding: str) -> Parser:
    """``ratings.dat`` and ``movies.dat``, separated by ``::``."""

    def parse(files: Files, out: Path, progress: Progress) -> None:
        archive = files[name]
        data = extract(archive, "ratings.dat", out, progress)
        # A separator is one byte to polars: the second colon makes an empty column.
        columns: Types = {"user": pl.Int64, "_1": pl.String, "item": pl.Int64, "_2": pl.String}
        columns |= {"rating": pl.Float32, "_3": pl.String, "timestamp": pl.Int64}
        log = _headless(data, ":", columns).select("user", "item", "rating", "timestamp")
        _sink(log, out / "interactions.parquet", data, progress)
        rows = []
        for number, line in numbered_lines(read_member(archive, "movies.dat"), encoding):
            item, _, title_and_genres = line.partition("::")
            title, separator, genres = title_and_genres.rpartition("::")
            if not separator:
                raise _malformed(archive, "movies.dat", number, line)
            rows.append((item, title, genres))
        _write_items(rows, out, archive)

    return parse


def movielens_csv(name: str) -> Parser:
    """``ratings.csv`` and ``movies.csv``, with a header."""

    def parse(files: Files, out: Path, progress: Progress) -> None:
        ratings = extract(files[name], "ratings.csv", out, progress)
        types: Types = {"userId": pl.Int64, "movieId": pl.Int64}
        log_types: Types = types | {"rating": pl.Float32, "timestamp": pl.Int64}
        _sink(_headed(ratings, log_types), out / "interactions.parquet", ratings, progress)
        movies = extract(files[name], "movies.csv", out, progress)
        item_types: Types = {"movieId": pl.Int64, "title": pl.String, "genres": pl.String}
        _sink(_headed(movies, item_types), out / "items.parquet", movies, progress)

    return parse


def taste_profile(files: Files, out: Path, progress: Progress) -> None:
    """``train_triplets.txt``: user, song and plays, tab separated."""
    data = extract(files["train_triplets.txt.zip"], "train_triplets.txt", out, progress)
    columns: Types = {"user": pl.String, "item": pl.String, "plays": pl.Int64}
    _sink(_headless(data, "\t", columns), out / "interactions.parquet", data, progress)


def goodbooks(files: Files, out: Path, progress: Progress) -> None:
    """``ratings.csv`` and ``books.csv``, with a header."""
    ratings, books = files["ratings.csv"], files["books.csv"]
    types: Types = {"user_id": pl.Int64, "book_id": pl.Int64, "rating": pl.Float32}
    _sink(_headed(ratings, types), out / "interactions.parquet", ratings, progress)
    item_types: Types = {"book_id": pl.Int64, "title": pl.String, "authors": pl.String}
    item_types["original_publication_year"] = pl.Float64
    items = _headed(books, item_types).with_columns(pl.col("year").cast(pl.Int32))
    _sink(items, out / "items.parquet", books, progress)


def amazon_2023(files: Files, out: Path, progress: Progress) -> None:
    """One gzipped CSV: ``user_id,parent_asin,rating,timestamp`` (milliseconds)."""
    (archive,) = files.values()
    data = out / "ratings.csv"
    try:
        with gzip.open(archive) as packed:
            save(Bounded(packed, archive), data, None, f"unpack {archive.name}", progress)
    except BROKEN as error:
        raise damaged(archive, error) from error
    types: Types = {"user_id": pl.String, "parent_asin": pl.String}
    types |= {"rating": pl.Float32, "timestamp": pl.Int64}
    _sink(_headed(data, types), out / "interactions.parquet", archive, progress)


def lightgcn(files: Files, out: Path, progress: Progress) -> None:
    """``train.txt`` and ``test.txt``: a user, then that user's items, on each line."""
    for part in ("train", "test"):
        path = files[f"{part}.txt"]
        users, items = array("q"), array("q")
        with progress.step(f"read {path.name}") as step:
            for number, line in numbered_lines(path.read_bytes(), "utf-8"):
                try:
                    user, *own_items = map(int, line.split())
                except ValueError:
                    raise _malformed(path, path.name, number, line) from None
                users.extend([user] * len(own_items))
                items.extend(own_items)
                step.advance()
        pairs = pl.DataFrame({"user": pl.Series(users), "item": pl.Series(items)})
        pairs.write_parquet(out / f"{part}.parquet", compression="zstd")


def netflix(files: Files, out: Path, progress: Progress) -> None:
    """``combined_data_*.txt`` or ``mv_*.txt``: ``movie:``, then lines ``user,rating,date``."""
    source = files["source"]
    parts: list[Path] = []
    item: int | None = None
    try:
        with progress.step(f"read {source.name}") as step:
            for block in blocks(_netflix_log(source)):
                # Commas after the colon give every line three fields.
                text = block.replace(b"\r", b"").replace(b":\n", b":,,\n")
                frame, item = _netflix_block(text, item, source)
                parts.append(out / f"part-{len(parts):05}.netflix")
                frame.write_parquet(parts[-1], compression="zstd")
                step.advance(frame.height)
        titles = b"".join(texts(source, "movie_titles.csv", "movie_titles.txt"))
    except BROKEN as error:
        raise damaged(source, error) from error
    if not parts:
        raise DataError(
            f"{source}: neither combined_data_*.txt nor training_set/mv_*.txt is in it; give the "
            "folder, zip or tar of the Netflix Prize data."
        )
    _sink(pl.scan_parquet(parts), out / "interactions.parquet", source, progress)
    if titles:
        rows = []
        for number, line in numbered_lines(titles, "latin-1"):
            fields = line.split(",", 2)  # titles have commas of their own
            if len(fields) != 3:
                raise _malformed(source, "movie_titles.csv", number, line)
            rows.append((fields[0], fields[2], fields[1]))
        _write_items(rows, out, source, third="year")


def _netflix_block(text: bytes, item: int | None, source: Path) -> tuple[pl.DataFrame, int | None]:
    """Parse whole lines; `item` is the movie that the lines before the block belong to."""
    movie = pl.col("user").str.strip_suffix(":").cast(pl.Int64)
    header = pl.col("user").str.ends_with(":")
    before = pl.lit(item, dtype=pl.Int64)
    try:
        frame = pl.read_csv(
            text,
            has_header=False,
            schema={"user": pl.String, "rating": pl.Float32, "date": pl.String},
        ).with_columns(item=pl.coalesce(pl.when(header).then(movie).forward_fill(), before))
        last = frame.item(-1, "item")
        log = frame.filter(~header).select(
            pl.col("user").cast(pl.Int64),
            "item",
            "rating",
            timestamp=pl.col("date").str.to_date("%Y-%m-%d").dt.epoch("s"),
        )
    except pl.exceptions.PolarsError as error:
        raise _unreadable(source, error) from error
    return log, last


def _netflix_log(source: Path) -> Iterator[bytes]:
    combined = False
    for text in texts(source, "combined_data_*.txt"):
        combined = True
        yield text
    if not combined:
        yield from texts(source, "mv_*.txt")


def _headed(path: Path, types: Types) -> pl.LazyFrame:
    """Scan the columns that `types` names from a CSV with a header, under shoal's names."""
    try:
        columns = pl.scan_csv(path, n_rows=0).collect_schema().names()
    except pl.exceptions.PolarsError as error:
        raise _unreadable(path, error) from error
    if missing := [name for name in types if name not in columns]:
        there = printable(", ".join(columns))
        raise DataError(
            f"{path}: no column {', '.join(missing)} (there is {there}); the file is damaged or "
            "of another edition: delete it and run the same command again."
        )
    names = {name: _NAMES[name] for name in types if name in _NAMES}
    return pl.scan_csv(path, schema_overrides=types).select(*types).rename(names)


def _headless(path: Path, separator: str, types: Types) -> pl.LazyFrame:
    return pl.scan_csv(path, has_header=False, separator=separator, quote_char=None, schema=types)


def _sink(frame: pl.LazyFrame, target: Path, origin: Path, progress: Progress) -> None:
    with progress.step(f"write {target.name}"):
        try:
            frame.sink_parquet(target, compression="zstd")
        except pl.exceptions.PolarsError as error:
            raise _unreadable(origin, error) from error


def _write_items(
    rows: Sequence[tuple[str, str, str]], out: Path, origin: Path, third: str = "genres"
) -> None:
    frame = pl.DataFrame(rows, schema=["item", "title", third], orient="row")
    third_as = pl.col(third).replace("NULL", None).cast(pl.Int32) if third == "year" else third
    try:
        frame = frame.select(pl.col("item").cast(pl.Int64), "title", third_as)
    except pl.exceptions.PolarsError as error:
        raise _unreadable(origin, error) from error
    frame.write_parquet(out / "items.parquet", compression="zstd")


def _malformed(path: Path, member: str, number: int, line: str) -> DataError:
    return DataError(
        f"{path}: {member}, line {number}: cannot read {line[:80]!r}; the file is damaged or of "
        "another edition: delete it and run the same command again."
    )


def _unreadable(path: Path, error: Exception) -> DataError:
    first = printable(str(error).strip().partition("\n")[0])
    return DataError(
        f"{path}: {first}; the file is damaged or of another edition: delete it and run the same "
        "command again."
    )
