"""The catalogue, on small files in the publishers' exact formats, served on the loopback."""

from __future__ import annotations

import gzip
from pathlib import Path

import polars as pl
import pytest

from shoal.datasets.fetch import fetch

from .catalogue_helpers import AMAZON, LOG, ML_100K, ML_CSV, Publish, schema, table, zipped


def test_ml_100k(tmp_path: Path, mirror: str, publish: Publish) -> None:
    publish("ml-100k", {"ml-100k.zip": zipped(ML_100K)})
    done = fetch("ml-100k", tmp_path / "data", base_url=mirror)
    assert schema(done, "interactions") == LOG
    assert table(done, "interactions") == [(196, 242, 3.0, 881250949), (186, 2, 5.0, 891717742)]
    assert table(done, "items") == [
        (242, "Kolya (1996)", "Comedy"),
        (2, "Misérables, Les (1995)", "Action|Comedy"),
        (267, "unknown", "unknown"),
    ]
    assert done.rows == 2
    assert done.folder == tmp_path / "data" / "ml-100k"
    assert [path.name for path in done.files] == ["interactions.parquet", "items.parquet"]


@pytest.mark.parametrize(
    ("name", "folder", "encoding", "rating"),
    [("ml-1m", "ml-1m", "latin-1", "5"), ("ml-10m", "ml-10M100K", "utf-8", "4.5")],
)
def test_ml_1m_and_10m(
    *,
    tmp_path: Path,
    mirror: str,
    publish: Publish,
    name: str,
    folder: str,
    encoding: str,
    rating: str,
) -> None:
    movies = (
        "1193::Star Wars: Episode IV - A New Hope (1977)::Action|Sci-Fi\n"
        "661::Misérables:: Les (1995)::Drama\n"
    )
    ratings = f"1::1193::{rating}::978300760\n2::661::3::978302109\n".encode()
    members = {f"{folder}/ratings.dat": ratings, f"{folder}/movies.dat": movies.encode(encoding)}
    publish(name, {f"{name}.zip": zipped(members)})
    done = fetch(name, tmp_path, base_url=mirror)
    assert schema(done, "interactions") == LOG
    assert table(done, "interactions") == [
        (1, 1193, float(rating), 978300760),
        (2, 661, 3.0, 978302109),
    ]
    assert table(done, "items") == [
        (1193, "Star Wars: Episode IV - A New Hope (1977)", "Action|Sci-Fi"),
        (661, "Misérables:: Les (1995)", "Drama"),
    ]


@pytest.mark.parametrize("name", ["ml-20m", "ml-25m", "ml-latest-small"])
def test_the_movielens_sets_in_csv(
    tmp_path: Path, mirror: str, publish: Publish, name: str
) -> None:
    publish(name, {f"{name}.zip": zipped(ML_CSV)})
    done = fetch(name, tmp_path, base_url=mirror)
    assert schema(done, "interactions") == LOG
    assert table(done, "interactions") == [(1, 296, 5.0, 1147880044), (1, 306, 3.5, 1147868817)]
    assert table(done, "items") == [
        (296, "American President, The (1995)", "Comedy|Drama"),
        (306, "Amélie (2001)", "(no genres listed)"),
    ]


def test_the_taste_profile(tmp_path: Path, mirror: str, publish: Publish) -> None:
    lines = (
        b"b80344d063b5ccb3212f76538f3d9e43d87dca9e\tSOAKIMP12A8C130995\t1\n"
        b'b80344d063b5ccb3212f76538f3d9e43d87dca9e\tSO"QUOTE\t12\n'
    )
    publish("msd", {"train_triplets.txt.zip": zipped({"train_triplets.txt": lines})})
    done = fetch("msd", tmp_path, base_url=mirror)
    assert schema(done, "interactions") == {
        "user": pl.String,
        "item": pl.String,
        "plays": pl.Int64,
    }
    user = "b80344d063b5ccb3212f76538f3d9e43d87dca9e"
    assert table(done, "interactions") == [(user, "SOAKIMP12A8C130995", 1), (user, 'SO"QUOTE', 12)]
    assert [path.name for path in done.files] == ["interactions.parquet"]


@pytest.mark.parametrize("name", ["gowalla", "yelp2018", "amazon-book"])
def test_the_lightgcn_splits(tmp_path: Path, mirror: str, publish: Publish, name: str) -> None:
    publish(name, {"train.txt": b"0 0 1 2\n1 7\n2 \n", "test.txt": b"0 5\n1 6 0 \n"}, rows=7)
    done = fetch(name, tmp_path, base_url=mirror)
    assert table(done, "train") == [(0, 0), (0, 1), (0, 2), (1, 7)]
    assert table(done, "test") == [(0, 5), (1, 6), (1, 0)]
    assert schema(done, "train") == {"user": pl.Int64, "item": pl.Int64}
    assert done.rows == 7
    assert [path.name for path in done.files] == ["train.parquet", "test.parquet"]
    assert not any("edition" in note for note in done.notes)


def test_goodbooks(tmp_path: Path, mirror: str, publish: Publish) -> None:
    books = (
        "book_id,goodreads_book_id,authors,original_publication_year,title,language_code\n"
        '2,3,"J.K. Rowling, Mary GrandPré",1997.0,"Harry Potter (Harry Potter, #1)",eng\n'
        "5,9,Homer,-750.0,The Odyssey,\n6,7,Nobody,,Untold,eng\n"
    )
    ratings = b"user_id,book_id,rating\n1,2,5\n2,5,4\n"
    publish("goodbooks-10k", {"ratings.csv": ratings, "books.csv": books.encode()})
    done = fetch("goodbooks-10k", tmp_path, base_url=mirror)
    assert table(done, "interactions") == [(1, 2, 5.0), (2, 5, 4.0)]
    assert table(done, "items") == [
        (2, "Harry Potter (Harry Potter, #1)", "J.K. Rowling, Mary GrandPré", 1997),
        (5, "The Odyssey", "Homer", -750),
        (6, "Untold", "Nobody", None),
    ]
    assert list(schema(done, "items")) == ["item", "title", "authors", "year"]


def test_amazon(tmp_path: Path, mirror: str, publish: Publish) -> None:
    publish("amazon2023:Video_Games", {"Video_Games.csv.gz": gzip.compress(AMAZON)})
    done = fetch("amazon2023:Video_Games", tmp_path, base_url=mirror)
    assert done.folder == tmp_path / "amazon2023-Video_Games"
    assert schema(done, "interactions") == LOG | {"user": pl.String, "item": pl.String}
    assert table(done, "interactions") == [
        ("AGCI7FAH4GL5FI65HYLKWTMFZ2CQ", "0005946468", 1.0, 1580955342383)
    ]
