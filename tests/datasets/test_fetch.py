"""What `fetch` of the catalogue promises, whatever the data set."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shoal.datasets.fetch import fetch
from shoal.errors import DataError, DownloadError

from .catalogue_helpers import AMAZON, HEADER, ML_100K, ML_CSV, Publish, table, zipped


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
