"""The catalogue, on small files in the publishers' exact formats, served on the loopback."""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest

from shoal.data import catalogue, catalogue_archives
from shoal.data.catalogue import Entry, Fetched, RemoteFile, entries, fetch, get
from shoal.data.catalogue_entries import ENTRIES
from shoal.errors import DataError, DownloadError

Publish = Callable[..., None]


class Handler(SimpleHTTPRequestHandler):
    asked: list[str]

    def __init__(self, *args: object, asked: list[str], directory: Path) -> None:
        self.asked = asked
        super().__init__(*args, directory=str(directory))  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        super().do_GET()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def asked() -> list[str]:
    return []


@pytest.fixture
def mirror(tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder = tmp_path / "mirror"
    folder.mkdir()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    serve = partial(Handler, asked=asked, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def publish(tmp_path: Path, mirror: str, monkeypatch: pytest.MonkeyPatch) -> Publish:
    """Serve these files as the data set's, and let the catalogue know nothing of their hashes."""

    def put(name: str, files: dict[str, bytes], rows: int | None = None) -> None:
        for file, content in files.items():
            (tmp_path / "mirror" / file).write_bytes(content)
        entry = ENTRIES[name]
        assert {file.name for file in entry.files} == set(files)
        known = {field: getattr(entry, field) for field in Entry.__dataclass_fields__}
        bare = tuple(RemoteFile(file.url) for file in entry.files)
        monkeypatch.setitem(ENTRIES, name, Entry(**known | {"files": bare, "rows": rows}))

    return put


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def table(done: Fetched, name: str) -> list[tuple[object, ...]]:
    return pl.read_parquet(done.folder / f"{name}.parquet").rows()


def schema(done: Fetched, name: str) -> dict[str, pl.DataType]:
    return dict(pl.read_parquet_schema(done.folder / f"{name}.parquet"))


LOG = {"user": pl.Int64, "item": pl.Int64, "rating": pl.Float32, "timestamp": pl.Int64}
ML_100K = {
    "ml-100k/u.data": b"196\t242\t3\t881250949\n186\t2\t5\t891717742\n",
    "ml-100k/u.genre": b"unknown|0\nAction|1\nComedy|2\n\n",
    "ml-100k/u.item": (
        "242|Kolya (1996)|24-Jan-1997||http://us.imdb.com/M/title-exact?Kolya%20(1996)|0|0|1\n"
        "2|Misérables, Les (1995)|01-Jan-1995||http://us.imdb.com/x|0|1|1\n"
        "267|unknown||||1|0|0\n"
    ).encode("latin-1"),
}
HEADER = b"userId,movieId,rating,timestamp\n"
ML_CSV = {
    "ml-x/ratings.csv": (HEADER + b"1,296,5.0,1147880044\n1,306,3.5,1147868817\n"),
    "ml-x/movies.csv": (
        'movieId,title,genres\n296,"American President, The (1995)",Comedy|Drama\n'
        "306,Amélie (2001),(no genres listed)\n"
    ).encode(),
}


# ---- the table ------------------------------------------------------------------------------


def test_every_name_that_is_promised_is_there() -> None:
    names = [entry.name for entry in entries()]
    assert names[:12] == [
        "ml-100k",
        "ml-1m",
        "ml-10m",
        "ml-20m",
        "ml-25m",
        "ml-latest-small",
        "netflix",
        "msd",
        "gowalla",
        "yelp2018",
        "amazon-book",
        "goodbooks-10k",
    ]
    assert all(name.startswith("amazon2023:") for name in names[12:])
    assert len(names) == len(set(names)) == 12 + 34


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_an_entry_says_what_people_must_know(entry: Entry) -> None:
    assert entry.licence
    assert entry.citation
    assert entry.homepage.startswith("http")
    assert entry.files or entry.name == "netflix"
    for file in entry.files:
        assert file.url.startswith("http")
        assert file.sha256 is None or re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.md5 is None or re.fullmatch("[0-9a-f]{32}", file.md5)
    assert entry.name.partition(":")[0] in catalogue._PARSERS


def test_an_unknown_name_brings_the_close_ones() -> None:
    with pytest.raises(DataError, match="no data set is called 'ml-1n'; there is ml-1m"):
        get("ml-1n")
    with pytest.raises(DataError, match="amazon2023:Video_Games"):
        get("amazon2023:video-games")
    with pytest.raises(DataError, match="there is ml-100k, ml-1m"):
        get("zzzzzz")


# ---- the formats ----------------------------------------------------------------------------


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


AMAZON = (
    b"user_id,parent_asin,rating,timestamp\n"
    b"AGCI7FAH4GL5FI65HYLKWTMFZ2CQ,0005946468,1.0,1580955342383\n"
)


def test_amazon(tmp_path: Path, mirror: str, publish: Publish) -> None:
    publish("amazon2023:Video_Games", {"Video_Games.csv.gz": gzip.compress(AMAZON)})
    done = fetch("amazon2023:Video_Games", tmp_path, base_url=mirror)
    assert done.folder == tmp_path / "amazon2023-Video_Games"
    assert schema(done, "interactions") == LOG | {"user": pl.String, "item": pl.String}
    assert table(done, "interactions") == [
        ("AGCI7FAH4GL5FI65HYLKWTMFZ2CQ", "0005946468", 1.0, 1580955342383)
    ]


# ---- Netflix --------------------------------------------------------------------------------

TITLES = "1,2003,Dinosaur Planet\n2,NULL,Isle of Man,\x85 Señor\n3,1997,Character\n".encode(
    "latin-1"
)
COMBINED = {
    "combined_data_1.txt": (
        b"1:\n1488844,3,2005-09-06\n822109,5,2005-05-13\n2:\n822109,4,2005-09-05"
    ),
    "combined_data_2.txt": b"3:\n1025579,4,2003-03-29\n",
    "movie_titles.csv": TITLES,
}
MV = {
    "mv_0000001.txt": b"1:\r\n1488844,3,2005-09-06\r\n822109,5,2005-05-13\r\n",
    "mv_0000002.txt": b"2:\n822109,4,2005-09-05",
    "mv_0000003.txt": b"3:\n1025579,4,2003-03-29\n",
}
# 2005-09-06 is 13,032 days after 1970-01-01.
DAYS = {"2005-09-06": 13032, "2005-05-13": 12916, "2005-09-05": 13031, "2003-03-29": 12140}
NETFLIX = [
    (1488844, 1, 3.0, DAYS["2005-09-06"] * 86400),
    (822109, 1, 5.0, DAYS["2005-05-13"] * 86400),
    (822109, 2, 4.0, DAYS["2005-09-05"] * 86400),
    (1025579, 3, 4.0, DAYS["2003-03-29"] * 86400),
]


def tarred(files: dict[str, bytes], prefix: str = "", mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(prefix + name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def lay_out(form: str, folder: Path) -> Path:
    """Make a copy of the Netflix data as people have it."""
    titles = {"movie_titles.txt": TITLES}
    if form == "folder":
        for name, content in COMBINED.items():
            (folder / name).write_bytes(content)
    elif form == "folder of mv":
        (folder / "training_set").mkdir()
        for name, content in MV.items():
            (folder / "training_set" / name).write_bytes(content)
        (folder / "movie_titles.txt").write_bytes(TITLES)
    elif form == "zip":
        folder /= "archive.zip"
        folder.write_bytes(zipped(COMBINED))
    elif form == "tar.gz":
        folder /= "netflix.tar.gz"
        folder.write_bytes(tarred(MV | titles, "download/training_set/", "w:gz"))
    elif form == "tar in tar":
        folder /= "nf_prize_dataset.tar.gz"
        inner = {"training_set.tar": tarred(MV, "training_set/")}
        folder.write_bytes(tarred(inner | titles, "download/", "w:gz"))
    return folder


@pytest.mark.parametrize("form", ["folder", "folder of mv", "zip", "tar.gz", "tar in tar"])
@pytest.mark.parametrize("block", [1, 40, 1 << 26])
def test_netflix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, block: int) -> None:
    monkeypatch.setattr(catalogue_archives, "_BLOCK", block)
    monkeypatch.setattr(catalogue_archives, "_CHUNK", min(block + 6, 1 << 20))
    copy = tmp_path / "copy"
    copy.mkdir()
    done = fetch("netflix", tmp_path, source=lay_out(form, copy))
    assert schema(done, "interactions") == LOG
    assert table(done, "interactions") == NETFLIX
    assert table(done, "items") == [
        (1, "Dinosaur Planet", 2003),
        (2, "Isle of Man,\x85 Señor", None),
        (3, "Character", 1997),
    ]
    assert done.rows == 4
    assert any("4 interactions where the publisher says 100,480,507" in n for n in done.notes)


def test_netflix_needs_a_copy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="netflix cannot be downloaded: Netflix has withdrawn it"):
        fetch("netflix", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="neither combined_data"):
        fetch("netflix", tmp_path, source=tmp_path / "empty")
    with pytest.raises(DataError, match="no such file or folder"):
        fetch("netflix", tmp_path, source=tmp_path / "nowhere")
    (tmp_path / "broken.tar").write_bytes(b"not a tar at all")
    with pytest.raises(DataError, match=r"broken\.tar: the file is damaged"):
        fetch("netflix", tmp_path, source=tmp_path / "broken.tar")


@pytest.mark.parametrize("line", ["12,x,2005-01-01", "12,3,yesterday", "a,3,2005-01-01"])
def test_a_netflix_line_that_cannot_be_read_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "combined_data_1.txt").write_text(f"1:\n{line}\n")
    with pytest.raises(DataError, match="damaged or of another edition"):
        fetch("netflix", tmp_path / "data", source=tmp_path)


# ---- what fetch promises --------------------------------------------------------------------


def test_a_second_call_does_nothing(
    tmp_path: Path, mirror: str, publish: Publish, asked: list[str]
) -> None:
    publish("ml-100k", {"ml-100k.zip": zipped(ML_100K)})
    first = fetch("ml-100k", tmp_path, base_url=mirror)
    before = {path: path.stat().st_mtime_ns for path in first.files}
    (first.folder / "raw" / "ml-100k.zip").unlink()  # the tables are enough
    assert fetch("ml-100k", tmp_path, base_url=mirror) == first
    assert {path: path.stat().st_mtime_ns for path in first.files} == before
    assert len(asked) == 1


def test_a_table_that_was_lost_is_made_again_from_what_was_downloaded(
    tmp_path: Path, mirror: str, publish: Publish, asked: list[str]
) -> None:
    publish("ml-100k", {"ml-100k.zip": zipped(ML_100K)})
    first = fetch("ml-100k", tmp_path, base_url=mirror)
    first.files[0].write_bytes(b"cut")
    again = fetch("ml-100k", tmp_path, base_url=mirror)
    assert table(again, "interactions") == [(196, 242, 3.0, 881250949), (186, 2, 5.0, 891717742)]
    assert len(asked) == 1


def test_nothing_but_the_tables_stays(tmp_path: Path, mirror: str, publish: Publish) -> None:
    publish("ml-20m", {"ml-20m.zip": zipped(ML_CSV)})
    done = fetch("ml-20m", tmp_path, base_url=mirror)
    assert sorted(path.name for path in done.folder.rglob("*")) == [
        "fetched.json",
        "interactions.parquet",
        "items.parquet",
        "ml-20m.zip",
        "raw",
    ]


def test_the_terms_and_the_hash_that_was_found_are_noted(
    tmp_path: Path, mirror: str, publish: Publish
) -> None:
    content = zipped(ML_CSV)
    publish("ml-latest-small", {"ml-latest-small.zip": content}, rows=2)
    done = fetch("ml-latest-small", tmp_path, base_url=mirror)
    assert done.notes == (
        "terms: research use only, cite the paper; no commercial use without permission; may be "
        "redistributed under the same terms",
        "ml-latest-small.zip: no hash is published; the one found is sha256 "
        f"{hashlib.sha256(content).hexdigest()}.",
    )


def test_a_number_of_rows_that_differs_is_noted(
    tmp_path: Path, mirror: str, publish: Publish
) -> None:
    publish("ml-25m", {"ml-25m.zip": zipped(ML_CSV)}, rows=25_000_095)
    done = fetch("ml-25m", tmp_path, base_url=mirror)
    assert any("found 2 interactions where the publisher says 25,000,095" in n for n in done.notes)


def test_a_file_that_is_not_the_published_one_is_refused(tmp_path: Path, mirror: str) -> None:
    (tmp_path / "mirror" / "ml-1m.zip").write_bytes(zipped(ML_CSV))
    with pytest.raises(DownloadError, match="expected 5917549 bytes"):
        fetch("ml-1m", tmp_path, base_url=mirror)
    with pytest.raises(DataError, match="expected sha256 a6898adb"):
        fetch("ml-1m", tmp_path, source=tmp_path / "mirror")


def test_an_own_copy_is_read_in_place(tmp_path: Path, publish: Publish, asked: list[str]) -> None:
    publish("gowalla", {"train.txt": b"0 1\n", "test.txt": b"0 2\n"})
    done = fetch("gowalla", tmp_path / "data", source=tmp_path / "mirror")
    assert (table(done, "train"), table(done, "test")) == ([(0, 1)], [(0, 2)])
    assert asked == []
    with pytest.raises(DataError, match=r"yelp2018 needs train\.txt and test\.txt"):
        fetch("yelp2018", tmp_path / "data", source=tmp_path / "mirror" / "train.txt")


def test_a_missing_file_on_the_mirror_is_named(tmp_path: Path, mirror: str) -> None:
    with pytest.raises(DownloadError, match=r"HTTP 404.*place the file at"):
        fetch("gowalla", tmp_path, base_url=mirror)


@pytest.mark.parametrize(
    ("name", "files", "message"),
    [
        ("ml-20m", {"ml-20m.zip": zipped(ML_CSV)[:-30]}, r"ml-20m\.zip: the file is damaged"),
        ("ml-20m", {"ml-20m.zip": b"<html>sorry</html>"}, r"ml-20m\.zip: the file is damaged"),
        (
            "ml-20m",
            {"ml-20m.zip": zipped({"ml-20m/movies.csv": b"movieId,title,genres\n"})},
            r"no ratings\.csv in it \(there is ml-20m/movies\.csv\)",
        ),
        (
            "ml-20m",
            {"ml-20m.zip": zipped({"ratings.csv": b"userId,movieId,stars,timestamp\n1,2,3,4\n"})},
            r"no column rating \(there is userId, movieId, stars, timestamp\)",
        ),
        (
            "ml-20m",
            {"ml-20m.zip": zipped(ML_CSV | {"ml-x/ratings.csv": b""})},
            r"ratings\.csv: empty CSV",
        ),
        (
            "ml-20m",
            {"ml-20m.zip": zipped(ML_CSV | {"ml-x/ratings.csv": HEADER + b"1,2,good,4\n"})},
            r"ratings\.csv: could not parse",
        ),
        (
            "ml-20m",
            {"ml-20m.zip": zipped(ML_CSV | {"ml-x/ratings.csv": HEADER + b"1,2,3,4\n5,6\n"})},
            "of 2 rows 1 without rating, 1 without timestamp",
        ),
        (
            "ml-20m",
            {"ml-20m.zip": zipped(ML_CSV | {"ml-x/ratings.csv": HEADER})},
            "no interactions",
        ),
        (
            "ml-100k",
            {"ml-100k.zip": zipped(ML_100K | {"ml-100k/u.item": b"1|Toy Story|x\n"})},
            r"u\.item, line 1: cannot read '1\|Toy Story\|x'",
        ),
        (
            "ml-1m",
            {
                "ml-1m.zip": zipped(
                    {"ratings.dat": b"1::2::3::4\n", "movies.dat": b"1::A::B\nfoo\n"}
                )
            },
            r"movies\.dat, line 2: cannot read 'foo'",
        ),
        ("ml-1m", {"ml-1m.zip": zipped({"ratings.dat": b"1::2::3\n"})}, r"ratings\.dat: "),
        (
            "gowalla",
            {"train.txt": b"0 1\n1 x\n", "test.txt": b"0 2\n"},
            r"train\.txt, line 2: cannot read '1 x'",
        ),
        (
            "amazon2023:Video_Games",
            {"Video_Games.csv.gz": gzip.compress(AMAZON * 50)[:-20]},
            r"Video_Games\.csv\.gz: the file is damaged",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_the_way_out(
    *,
    tmp_path: Path,
    mirror: str,
    publish: Publish,
    name: str,
    files: dict[str, bytes],
    message: str,
) -> None:
    publish(name, files)
    with pytest.raises(DataError, match=message) as caught:
        fetch(name, tmp_path, base_url=mirror)
    assert "delete it and run the same command again" in str(caught.value)
    home = tmp_path / name.replace(":", "-")
    assert [path.name for path in home.iterdir()] == ["raw"]


def test_a_member_cannot_leave_the_folder(tmp_path: Path, mirror: str, publish: Publish) -> None:
    content = {f"../../../{name.split('/')[1]}": text for name, text in ML_CSV.items()}
    publish("ml-20m", {"ml-20m.zip": zipped(content)})
    before = set(tmp_path.rglob("*"))
    done = fetch("ml-20m", tmp_path / "a" / "b" / "c" / "d", base_url=mirror)
    assert all(
        (tmp_path / "a") in (path, *path.parents) for path in set(tmp_path.rglob("*")) - before
    )
    assert done.rows == 2


def test_steps_are_reported(tmp_path: Path, mirror: str, publish: Publish) -> None:
    labels: list[str] = []

    class Labels:
        @contextmanager
        def step(self, label: str, total: float | None = None) -> Iterator[Labels]:
            labels.append(label)
            yield self

        def advance(self, amount: float = 1) -> None:
            pass

        def note(self, text: str) -> None:
            pass

    publish("ml-20m", {"ml-20m.zip": zipped(ML_CSV)})
    fetch("ml-20m", tmp_path, base_url=mirror, progress=Labels())
    assert labels == [
        "fetch ml-20m.zip",
        "unpack ratings.csv",
        "write interactions.parquet",
        "unpack movies.csv",
        "write items.parquet",
    ]
