"""What is particular to a SQLite file: its faults, what deletion leaves in it, forks."""

from __future__ import annotations

import random
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shoal.errors import DataError
from shoal.events import Event, EventStore, EventsUnavailable, Receipt, writer


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
def store(file: Path) -> Iterator[EventStore]:
    with EventStore(file) as opened:
        yield opened


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """The write lock of a file, held by another connection."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.rollback()
        other.close()


def test_a_new_file_is_for_its_owner_and_flushed_at_every_commit(
    file: Path, store: EventStore
) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with store._database.plain() as connection:
        pragmas = [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "secure_delete")
        ]
    assert pragmas == ["wal", 2, 1]  # 2 is FULL


@pytest.mark.parametrize("url", ["sqlite:///{}", "{}"])
def test_a_path_may_be_a_url(tmp_path: Path, url: str) -> None:
    with EventStore(url.format(tmp_path / "e.db")) as store:
        store.append([Event(1, 2)])
    assert (tmp_path / "e.db").is_file()


@pytest.mark.parametrize("where", ["", ":memory:", "sqlite://", "sqlite:///:memory:"])
def test_events_in_memory_are_refused(where: str) -> None:
    with pytest.raises(DataError, match=r"name (one|a file)"):
        EventStore(where)


@pytest.mark.parametrize("where", ["mysql://me:pw@host/db", "http://me:pw@host", "x://"])
def test_other_databases_are_refused_without_the_password(where: str) -> None:
    with pytest.raises(DataError, match=r"SQLite.*postgresql://") as refused:
        EventStore(where)
    assert "pw" not in str(refused.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EventsUnavailable, match=r"no/e\.db cannot be made.*No such file"):
        EventStore(tmp_path / "no" / "e.db")
    with pytest.raises(EventsUnavailable, match="is a folder"):
        EventStore(tmp_path)
    with pytest.raises(EventsUnavailable, match="there is no such database"):
        EventStore(tmp_path / "e.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database(file: Path) -> None:
    file.write_bytes(b"user,item\n" * 1000)
    with pytest.raises(EventsUnavailable, match=r"events\.db: .*file is not a database.*restore"):
        EventStore(file)
    assert file.read_bytes() == b"user,item\n" * 1000


def test_the_database_of_another_program_stays_as_it_is(file: Path) -> None:
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
    other.close()
    before = file.read_bytes()
    with pytest.raises(EventsUnavailable, match=r"another program.*'bookmarks'"):
        EventStore(file)
    assert file.read_bytes() == before


def test_a_lock_that_another_program_holds(
    file: Path, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append([Event(1, 2)])
    monkeypatch.setattr("shoal.events.database.BUSY", 0.2)
    with EventStore(file) as hurried:
        with locked(file):
            began = time.monotonic()
            with pytest.raises(EventsUnavailable, match=r"database is locked.*send again"):
                hurried.append([Event(1, 3)])
            assert time.monotonic() - began < 5
            assert hurried.history(1) == {"2": 1.0}  # reads go on
        assert hurried.append([Event(1, 3)]) == Receipt(1)


def test_a_lock_that_ends_in_time_is_waited_for(file: Path, store: EventStore) -> None:
    with locked(file):
        receipts: list[Receipt] = []
        thread = threading.Thread(target=lambda: receipts.append(store.append([Event(1, 2)])))
        thread.start()
        time.sleep(0.1)
        assert not receipts
    thread.join(10)
    assert receipts == [Receipt(1)]


def test_a_call_that_gives_up_says_whether_it_may_be_stored(file: Path) -> None:
    with EventStore(file, timeout=0.2) as store:
        with locked(file):
            messages: list[str] = []

            def send(item: int) -> None:
                try:
                    store.append([Event(1, item)], key=str(item))
                except EventsUnavailable as error:
                    messages.append(str(error))

            first = threading.Thread(target=send, args=(1,))
            first.start()
            until = time.monotonic() + 5
            while store.waiting or not store._writer or not _busy(store):
                assert time.monotonic() < until
            send(2)  # waits behind the first one
            first.join(10)
        assert any("may be stored or not: send it again with the same key" in m for m in messages)
        assert any("nothing of this call was stored" in m for m in messages)
        # the first one goes on once the lock is free, and is stored once
        until = time.monotonic() + 10
        while not store.count() and time.monotonic() < until:
            time.sleep(0.01)
        assert store.history(1) == {"1": 1.0}
        assert store.append([Event(1, 1)], key="1") == Receipt(duplicates=1)
        assert store.append([Event(1, 2)], key="2") == Receipt(accepted=1)


def _busy(store: EventStore) -> bool:
    """Whether the writer is about to write something."""
    return store._database.writing.pool.checkedout() > 0  # type: ignore[attr-defined]


def test_a_full_queue_refuses_at_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "LONGEST_QUEUE", 10)
    with EventStore(file) as store:
        with locked(file):
            threads = [
                threading.Thread(target=store.append, args=([Event(1, n)] * 5,)) for n in range(3)
            ]
            for n, thread in enumerate(threads):
                thread.start()
                until = time.monotonic() + 5
                while not (_busy(store) and store.waiting == 5 * n):
                    assert time.monotonic() < until
                    time.sleep(0.001)
            began = time.monotonic()
            with pytest.raises(EventsUnavailable, match=r"10 events wait.*no more than 10"):
                store.append([Event(1, 9)])
            assert time.monotonic() - began < 1
        for thread in threads:
            thread.join(10)
        assert store.count() == 15


def test_a_full_disk(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from shoal.events import database

    EventStore(file).close()
    pages = file.stat().st_size // 4096 + 30
    limit = f"PRAGMA max_page_count = {pages}"  # SQLite then says what it says of a full disk
    monkeypatch.setattr(database, "WRITER_PRAGMAS", (*database.WRITER_PRAGMAS, limit))
    with EventStore(file) as store:
        stored = 0
        events = [Event(f"user {n}", "x" * 200) for n in range(50)]
        message = ""
        while not message and stored < 100_000:
            try:
                stored += store.append(events).accepted
            except EventsUnavailable as error:
                message = str(error)
        assert "disk is full" in message
        assert "free some room" in message
        assert stored > 0
        assert store.count() == stored  # what was acknowledged is there, and nothing by halves


READER = """
import os, sys
from shoal.events import Event, EventStore, EventsUnavailable
import sqlalchemy.dialects.sqlite
if os.geteuid() == 0:  # root may write to any file
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
with EventStore(sys.argv[1]) as store:
    print(store.count())
    try:
        store.append([Event(1, 2)])
    except EventsUnavailable as error:
        print(error)
"""


def test_a_file_that_may_not_be_written() -> None:
    with tempfile.TemporaryDirectory() as folder:  # nobody cannot enter the folders of pytest
        file = Path(folder) / "events.db"
        with EventStore(file) as store:
            store.append([Event(1, 2)])
            Path(folder).chmod(0o777)
            file.chmod(0o444)
            for beside in Path(folder).glob("events.db-*"):
                beside.chmod(0o666)
            done = subprocess.run(
                [sys.executable, "-c", READER, str(file)],
                capture_output=True, text=True, check=False, timeout=60,
            )  # fmt: skip
    assert done.returncode == 0, done.stderr
    counted, message = done.stdout.splitlines()
    assert counted == "1"
    assert "readonly" in message
    assert "let this user write to the file" in message


# deletion


def test_nothing_of_a_deleted_user_is_left_in_the_files(file: Path, store: EventStore) -> None:
    """Rows of all users are stored in a mixed order, so that pages are split and moved."""
    rng = random.Random(0)
    gone = [f"deleted-user-{n}" for n in range(20)]
    for batch in range(12):
        events = [Event(f"u{rng.randrange(2000)}", rng.randrange(500)) for _ in range(400)]
        for n, user in enumerate(gone):
            request = f"request-of-{user}-{batch}"
            events.append(Event(user, f"item-of-{user}", request_id=request, id=f"{user}:{batch}"))
            if n % 2:
                store.impressions(request, user, [f"item-of-{user}"], model="m", version="1")
        rng.shuffle(events)
        store.append(events)

    def files() -> bytes:
        return b"".join(path.read_bytes() for path in file.parent.iterdir())

    assert all(user.encode() in files() for user in gone)
    assert sum(store.delete_user(user) for user in gone) == 12 * len(gone)
    assert b"deleted-user" not in files()
    assert store.count() == 12 * 400


def test_a_large_file_is_written_anew_where_it_is_asked_for(
    file: Path, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.events.store.SMALL", 100_000)
    store.append([Event(f"user {n % 3}", "x" * 200) for n in range(3000)])
    store.delete_user("user 0")
    size = file.stat().st_size
    store.delete_user("user 1")
    assert file.stat().st_size == size
    assert store.delete_user("user 2", vacuum=True) == 1000
    assert file.stat().st_size < size / 4


def test_a_deletion_beside_an_endless_reader_says_that_copies_may_be_left(
    file: Path, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shoal.events.database.BUSY", 0.1)
    with EventStore(file) as hurried:
        hurried.append([Event("ann", 1)])
        reader = sqlite3.connect(file, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM shoal_events").fetchone()
        with pytest.raises(
            EventsUnavailable, match=r"deleted \(1 events\), but copies may be left"
        ):
            hurried.delete_user("ann")
        assert hurried.count() == 0
        reader.rollback()
        reader.close()
        assert hurried.delete_user("ann") == 0
    assert b"ann" not in file.read_bytes()


# processes

FORKED = """
import os, sys
from shoal.events import Event, EventStore
store = EventStore(sys.argv[1])
store.append([Event("parent", 1)])
child = os.fork()
if not child:
    receipt = store.append([Event("child", 2)])
    assert store.history("parent") == {"1": 1.0}
    store.close()
    os._exit(0 if receipt.accepted == 1 else 1)
_, status = os.waitpid(child, 0)
assert status == 0, status
store.append([Event("parent", 3)])
print(store.history("child"), store.history("parent"))
store.close()
"""


def test_a_forked_process_has_connections_of_its_own(file: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED, str(file)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == "{'2': 1.0} {'1': 1.0, '3': 1.0}\n"


def test_a_backup_in_another_journal_mode_is_taken(file: Path, tmp_path: Path) -> None:
    with EventStore(file) as store:
        store.append([Event(1, 2)])
        with store._database.plain() as connection:
            connection.execute(f"VACUUM INTO '{tmp_path / 'backup.db'}'")
    with EventStore(tmp_path / "backup.db") as restored:
        assert restored.history(1) == {"2": 1.0}
        with restored._database.plain() as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_opening_may_wait_for_the_first_call(tmp_path: Path) -> None:
    file = tmp_path / "e.db"
    file.write_text("no database " * 100)
    with EventStore(file, connect=False) as store:
        assert not store.ping()
        with pytest.raises(EventsUnavailable, match="not a database"):
            store.append([Event(1, 2)])
        file.unlink()
        file.touch()
        assert store.append([Event(1, 2)]) == Receipt(1)
