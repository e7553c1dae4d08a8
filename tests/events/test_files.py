"""Logs become events, and events files that `shoal.read` reads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import shoal
from shoal.errors import ArtifactError, DataError
from shoal.events import Event, EventStore, EventsUnavailable, Receipt, importing
from shoal.events.exporting import export_events
from shoal.events.importing import import_events

ROWS = [
    ("ann", 1193, "view", 4.0, 978_300_760),
    ("ann", 661, "purchase", 2.5, 978_300_000.5),
    ("böb, jr.", 1193, "view", 1.0, 978_400_000),
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with EventStore(tmp_path / "events.db") as opened:
        yield opened


@pytest.fixture
def log(tmp_path: Path) -> Path:
    lines = [
        *("userId,movieId,event_type,rating,timestamp", "ann,1193,view,4.0,978300760"),
        *("ann,661,purchase,2.5,978300000.5", '"böb, jr.",1193,view,1.0,978400000'),
    ]
    (tmp_path / "log.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "log.csv"


def rows_of(store: EventStore) -> list[tuple[Any, ...]]:
    frame = store.frame()
    return [(u, int(i), e, v, t) for u, i, e, v, t in frame.rows()]


def test_a_log_becomes_events(store: EventStore, log: Path) -> None:
    done = import_events(store, log)
    assert done.receipt == Receipt(accepted=3)
    assert rows_of(store) == ROWS
    assert any("user=userId, item=movieId, value=rating" in note for note in done.notes)
    assert "event is 'event_type'" in done.notes


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_what_is_exported_is_imported_and_read(
    store: EventStore, log: Path, tmp_path: Path, ending: str
) -> None:
    import_events(store, log)
    store.append([Event("carl", 5, request_id="list", id="one", time=978_500_000)])
    path = tmp_path / f"out.{ending}"
    assert export_events(store, path) == 4
    with EventStore(tmp_path / "other.db") as other:
        assert import_events(other, path).receipt == Receipt(accepted=4)
        assert import_events(other, path).receipt == Receipt(duplicates=4)
        assert rows_of(other) == [*ROWS, ("carl", 5, "view", 1.0, 978_500_000)]
        assert (other.user("carl")[0].request_id, other.user("carl")[0].id) == ("list", "one")
    read = shoal.read(path)
    assert (read.n_users, read.n_items, len(read)) == (3, 3, 4)
    assert export_events(store, path, since=978_400_000, until="2001-01-03") == 1
    assert not list(tmp_path.glob(".*"))


def test_the_same_file_again_stores_nothing(store: EventStore, log: Path, tmp_path: Path) -> None:
    import_events(store, log)
    copy = tmp_path / "copy.csv"
    copy.write_bytes(log.read_bytes())
    for again in (log, copy):
        assert import_events(store, again).receipt == Receipt(duplicates=3)
    store.close()
    with EventStore(tmp_path / "events.db") as reopened:
        assert import_events(reopened, log).receipt == Receipt(duplicates=3)
        assert reopened.count() == 3
        # another meaning of its columns is another import
        other = import_events(reopened, log, columns={"event": "none"}, type="seen")
        assert other.receipt == Receipt(accepted=3)


def test_an_import_that_was_interrupted_goes_on(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "_BATCH", 10)
    log = tmp_path / "log.csv"
    log.write_text("user,item,time\n" + "".join(f"{n},{n % 7},{1000 + n}\n" for n in range(35)))
    stored: list[int] = []
    append = store.append_rows

    def fails_later(*arguments: Any, **keywords: Any) -> Receipt:
        if len(stored) == 2:
            raise EventsUnavailable("the server went down")
        stored.append(1)
        return append(*arguments, **keywords)

    monkeypatch.setattr(store, "append_rows", fails_later)
    with pytest.raises(EventsUnavailable, match="went down"):
        import_events(store, log)
    assert store.count() == 20
    monkeypatch.setattr(store, "append_rows", append)
    assert import_events(store, log).receipt == Receipt(accepted=15, duplicates=20)
    assert store.frame()["user"].to_list() == [str(n) for n in range(35)]


def test_rows_with_an_id_of_their_own_are_known_in_any_file(
    store: EventStore, tmp_path: Path
) -> None:
    for name, rows in (("a", "e1,1,2,5\ne2,1,3,6\n"), ("b", "e2,1,3,6\ne3,1,4,7\n")):
        (tmp_path / f"{name}.csv").write_text("event_id,user,item,time\n" + rows)
    assert import_events(store, tmp_path / "a.csv").receipt == Receipt(accepted=2)
    assert import_events(store, tmp_path / "b.csv").receipt == Receipt(accepted=1, duplicates=1)
    assert [e.id for e in store.user(1)] == ["e3", "e2", "e1"]


@pytest.mark.parametrize(
    ("time", "seconds"),
    [
        ("1700000000123", 1_700_000_000.123),
        ("1700000000", 1_700_000_000),
        ("2023-11-14T22:13:20Z", 1_700_000_000),
        ("14.11.2023", 1_699_920_000),
    ],
)
def test_times_as_logs_write_them(
    store: EventStore, tmp_path: Path, time: str, seconds: float
) -> None:
    (tmp_path / "log.csv").write_text(f"user,item,time\n1,2,{time}\n")
    import_events(store, tmp_path / "log.csv")
    assert store.user(1)[0].time == pytest.approx(seconds, abs=1e-6)


def test_a_log_without_times_and_types(store: EventStore, tmp_path: Path) -> None:
    (tmp_path / "log.tsv").write_text("user\titem\n1\t2\n1\t3\n")
    before = time.time()
    done = import_events(store, tmp_path / "log.tsv", type="purchase")
    assert any("time of the import" in note for note in done.notes)
    assert any("'purchase'" in note for note in done.notes)
    events = store.user(1)
    assert [e.type for e in events] == ["purchase", "purchase"]
    assert all(before <= e.time <= time.time() for e in events)


def test_ids_of_other_types(store: EventStore) -> None:
    frame = pl.DataFrame({"user": [1.0, 2.0], "item": ["7.0", "8.0"], "time": [1, 2]})
    assert import_events(store, frame).receipt == Receipt(accepted=2)
    assert store.frame().select("user", "item").rows() == [("1", "7"), ("2", "8")]
    assert import_events(store, frame).receipt == Receipt(duplicates=2)


BAD = """user,item,event,value,time
1,2,view,5,1000
,3,view,5,1001
4,5,view,many,1002
4,5,view,5,soon
4,5,,5,1004
4,5,view,inf,1005
9,9,view,,1006
4,5,view,5,-7
4,5,view,5,99999999999
{long},5,view,5,1009
"""


def test_rows_that_cannot_be_stored_are_named_and_nothing_is_stored(
    store: EventStore, tmp_path: Path
) -> None:
    log = tmp_path / "bad.csv"
    log.write_text(BAD.replace("{long}", "u" * 257))
    with pytest.raises(DataError) as refused:
        import_events(store, log)
    message = str(refused.value)
    for part in (
        "bad.csv: user ('user') is missing",
        "in 1 of 10 rows, first in row 2;",
        "user ('user') has more than 256 characters in 1 of 10 rows, first in row 10;",
        "is missing, or no whole number and no text in 1 of 10 rows, first in row 5;",
        "value ('value') is no finite number in 2 of 10 rows, first in row 3, 6;",
        "neither a number nor a date that is known in 1 of 10 rows, first in row 4;",
        "is before 1970 in 1 of 10 rows, first in row 8;",
        "more than a day in the future in 1 of 10 rows, first in row 9.",
        "--missing drop",
    ):
        assert part in message
    assert store.count() == 0
    done = import_events(store, log, missing="drop")
    assert (done.rows, done.dropped, done.receipt) == (10, 8, Receipt(accepted=2))
    assert store.frame().select("user", "value").rows() == [("1", 5.0), ("9", 1.0)]


def test_types_without_a_weight_are_named(tmp_path: Path, log: Path) -> None:
    with (
        EventStore(tmp_path / "weighted.db", weights={"view": 1}) as store,
        pytest.raises(DataError, match=r"the type is none of view in 1 of 3 rows, first in row 2"),
    ):
        import_events(store, log)


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        ("a,b\n1,2\n", {}, "no column could be recognised as user and item"),
        ("user,item\n1,2\n", {"event": "kind"}, "has no column 'kind'"),
        ("user,item,position\n1,2,1\n", {}, "counts places and not time"),
        ("user,item\n", {}, "no row"),
    ],
)
def test_logs_that_are_none(
    store: EventStore, tmp_path: Path, text: str, columns: dict[str, str], message: str
) -> None:
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        import_events(store, tmp_path / "log.csv", columns=columns)


def test_rows_of_a_deleted_user_stay_out(store: EventStore, log: Path) -> None:
    import_events(store, log)
    assert store.delete_user("ann") == 2
    copy = log.with_name("again.csv")
    copy.write_text(log.read_text() + "\n")  # another file, so that its rows are not known
    assert import_events(store, copy).receipt == Receipt(accepted=1, deleted=2)
    assert set(store.frame()["user"]) == {"böb, jr."}


# exports


def test_a_large_export_is_written_in_pages(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.events.reading.PAGE", 100)
    store.append([Event(n, n % 50, time=1000 + n) for n in range(1234)])
    for ending in ("csv", "jsonl", "parquet"):
        assert export_events(store, tmp_path / f"x.{ending}") == 1234
        log = shoal.read(tmp_path / f"x.{ending}")
        assert (log.n_users, log.n_items, len(log)) == (1234, 50, 1234)
    assert pl.read_parquet(tmp_path / "x.parquet")["time"].to_list() == list(range(1000, 2234))


def test_an_export_of_nothing(store: EventStore, tmp_path: Path) -> None:
    assert export_events(store, tmp_path / "x.csv") == 0
    assert (tmp_path / "x.csv").read_text() == "user,item,event,value,time,request_id,id\n"


def test_an_export_that_fails_leaves_the_file_as_it_was(
    store: EventStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.events.reading.PAGE", 100)
    store.append([Event(n, 1) for n in range(300)])
    path = tmp_path / "x.csv"
    path.write_text("before")
    pages = store.pages

    def fails(**window: Any) -> Iterator[pl.DataFrame]:
        for number, page in enumerate(pages(**window)):
            if number == 2:
                raise EventsUnavailable("the server went down")
            yield page

    monkeypatch.setattr(store, "pages", fails)
    with pytest.raises(EventsUnavailable, match="went down"):
        export_events(store, path)
    assert path.read_text() == "before"
    assert sorted(p.name for p in tmp_path.iterdir() if "events.db" not in p.name) == ["x.csv"]


@pytest.mark.parametrize("name", ["x.txt", "no/x.csv", "x"])
def test_names_that_cannot_be_written(store: EventStore, tmp_path: Path, name: str) -> None:
    with pytest.raises(ArtifactError):
        export_events(store, tmp_path / name)
