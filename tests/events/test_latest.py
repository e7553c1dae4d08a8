"""Who was active lately, of those who did enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from shoal.events import Event, EventStore, latest
from shoal.events.latest import latest_users


def test_the_latest_users_with_enough_items_come_first(tmp_path: Path) -> None:
    store = EventStore(tmp_path / "events.db")
    events = [Event("many", f"i{n}", time=100.0 + n) for n in range(7)]
    events += [Event("again", "i1", time=500.0 + n) for n in range(9)]  # one item
    events += [Event("later", f"i{n}", time=200.0 + n) for n in range(6)]
    store.append(events)
    assert latest_users(store) == ["again", "later", "many"]
    assert latest_users(store, least_items=6) == ["later", "many"]
    assert latest_users(store, 1, least_items=2) == ["later"]
    assert latest_users(store, least_items=8) == []
    store.close()


def test_users_of_the_newest_events_alone_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of millions of events no more are read, but a user's older ones still count."""
    monkeypatch.setattr(latest, "NEWEST_EVENTS", 3)
    store = EventStore(tmp_path / "events.db")
    events = [Event("old", f"i{n}", time=100.0 + n) for n in range(4)]
    events += [Event("back", f"i{n}", time=200.0 + n) for n in range(4)]
    events += [Event("new", "i1", time=301.0), Event("new", "i2", time=302.0)]
    events += [Event("back", "i9", time=303.0)]
    store.append(events)
    assert latest_users(store) == ["back", "new"]
    assert latest_users(store, least_items=5) == ["back"]
    store.close()
