"""A SQLite file that is replaced or removed while a store has it open."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.events import Event, EventStore, EventsUnavailable, Receipt
from shoal.events.writer import Job


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


def remove(file: Path) -> None:
    """Remove a database and what SQLite keeps beside it."""
    for ending in ("", "-wal", "-shm"):
        Path(f"{file}{ending}").unlink(missing_ok=True)


def test_events_go_to_the_file_that_is_at_the_path(file: Path, tmp_path: Path) -> None:
    with EventStore(file) as store:
        store.append([Event(1, 2)])
        with store._database.plain() as connection:
            connection.execute(f"VACUUM INTO '{tmp_path / 'backup.db'}'")
        store.append([Event(1, 3)])
        remove(file)
        (tmp_path / "backup.db").rename(file)  # restored while it is in use
        assert store.history(1) == {"2": 1.0}
        assert store.append([Event(1, 4)]) == Receipt(1)
        remove(file)
        assert store.append([Event(1, 5)]) == Receipt(1)  # to a new file, as at the start
        with EventStore(file, create=False) as other:
            assert other.history(1) == {"5": 1.0}
        assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("left", ["nothing", "an empty file"])
def test_a_file_that_vanishes_in_use_is_begun_anew_and_told(
    file: Path, left: str, caplog: pytest.LogCaptureFixture
) -> None:
    with EventStore(file) as store, EventStore(file) as other:
        store.append([Event(1, 2)])
        with store._database.plain() as connection:
            connection.execute(f"VACUUM INTO '{file}.backup'")
        assert store.begun_anew == ""
        remove(file)
        if left == "an empty file":
            file.touch()
        assert not caplog.records
        assert store.history(1) == {}
        (record,) = caplog.records
        assert record.levelname == "ERROR"
        assert record.getMessage() == store.begun_anew
        assert store.begun_anew.startswith(f"{file} was removed while it was in use")
        assert "restore a backup" in store.begun_anew
        assert other.history(1) == {}
        assert other.begun_anew == ""  # which cannot know whether it is a backup
        assert "was replaced while it was in use" in caplog.records[1].getMessage()
        remove(file)
        Path(f"{file}.backup").rename(file)
        assert store.history(1) == {"2": 1.0}
        assert store.begun_anew == ""
        assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING", "WARNING"]


def test_a_file_that_is_replaced_while_it_is_written_to_acknowledges_nothing(file: Path) -> None:
    with EventStore(file) as store:
        with pytest.raises(EventsUnavailable, match="replaced or removed"):
            store._submit(Job(work=lambda _: file.rename(file.with_name("moved"))))
        assert store.append([Event(1, 2)]) == Receipt(1)
        assert store.history(1) == {"2": 1.0}
