"""Who was active lately, of those who did enough."""

from __future__ import annotations

from pathlib import Path

from shoal.events import Event, EventStore
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
