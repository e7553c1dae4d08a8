"""Histories, clicks, deletion and retention; on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import shoal
from shoal.errors import DataError, EventError
from shoal.events import Clicks, Event, EventStore, Receipt, ShownList

from .conftest import Open

WEIGHTS = {"view": 1.0, "cart": 2.0, "purchase": 5.0, "dislike": 0.0}
DAY = 86_400.0
_numbers = count()


def add(store: EventStore, *events: tuple[str, str, float]) -> None:
    """Events of one user: item, type, time."""
    store.append([Event("ann", item, kind, time=at) for item, kind, at in events])


def test_a_history_is_the_latest_items_the_oldest_first(store: EventStore) -> None:
    add(store, ("c", "view", 30), ("a", "view", 10), ("b", "view", 20), ("d", "view", 5))
    store.append([Event("bob", "z")])
    assert list(store.history("ann").items()) == [("d", 1), ("a", 1), ("b", 1), ("c", 1)]
    assert list(store.history("ann", limit=2)) == ["b", "c"]
    assert store.history("nobody") == {}
    assert [e.item for e in store.user("ann", limit=3)] == ["c", "b", "a"]


def test_the_latest_event_of_an_item_gives_its_weight_and_place(open_store: Open) -> None:
    store = open_store(weights=WEIGHTS)
    add(store, ("a", "purchase", 1), ("b", "view", 2), ("a", "view", 3), ("c", "cart", 4))
    assert list(store.history("ann").items()) == [("b", 1), ("a", 1), ("c", 2)]


def test_of_equal_times_the_larger_weight_counts_as_in_read(open_store: Open) -> None:
    store = open_store(weights=WEIGHTS)
    add(store, ("a", "purchase", 1), ("a", "view", 1), ("b", "view", 1), ("b", "cart", 1))
    assert store.history("ann") == {"a": 5, "b": 2}
    log = shoal.read(store.frame(), weights={k: w for k, w in WEIGHTS.items() if w})
    assert log.values is not None
    assert dict(zip(log.history_of("ann"), log.values.tolist(), strict=True)) == {"a": 5, "b": 2}


def test_weights_can_add_up(open_store: Open) -> None:
    store = open_store(weights=WEIGHTS, duplicates="sum")
    add(store, ("a", "purchase", 1), ("a", "view", 2), ("a", "view", 3), ("b", "cart", 4))
    assert store.history("ann") == {"a": 7, "b": 2}


@pytest.mark.parametrize("duplicates", ["last", "sum"])
def test_a_weight_of_zero_takes_an_item_out_until_a_later_event(
    open_store: Open, duplicates: Any
) -> None:
    store = open_store(weights=WEIGHTS, duplicates=duplicates)
    add(store, ("a", "purchase", 1), ("a", "dislike", 2), ("b", "view", 3))
    assert store.history("ann") == {"b": 1}
    add(store, ("a", "view", 4))
    assert store.history("ann") == {"b": 1, "a": 1}


def test_types_that_have_no_weight_any_more_do_not_count(
    store: EventStore, open_store: Open
) -> None:
    add(store, ("a", "hover", 1), ("b", "view", 2), ("b", "hover", 3))
    assert open_store(weights=WEIGHTS).history("ann") == {"b": 1}
    assert store.history("ann") == {"a": 1, "b": 1}


def test_a_user_with_many_repeated_events(store: EventStore) -> None:
    add(store, *((f"old {n}", "view", n) for n in range(5)))
    add(store, *(("again", "view", 100 + n) for n in range(19)))
    # of 3 items, 30 events are looked at
    assert list(store.history("ann", limit=3)) == ["old 3", "old 4", "again"]
    add(store, *(("again", "view", 200 + n) for n in range(30)))
    assert list(store.history("ann", limit=3)) == ["again"]


def test_the_latest_values_of_ratings(store: EventStore) -> None:
    rated = [("a", 3.0, 1), ("b", 4.0, 2), ("a", 5.0, 3), ("c", None, 4), ("d", -1.5, 5)]
    store.append([Event("ann", i, "rating", v, t) for i, v, t in rated])
    assert list(store.values("ann").items()) == [("b", 4.0), ("a", 5.0), ("d", -1.5)]
    assert list(store.values("ann", limit=2)) == ["a", "d"]


@pytest.mark.parametrize("limit", [0, -1, 1.5, True, None])
def test_a_limit_that_is_none(store: EventStore, limit: Any) -> None:
    with pytest.raises(EventError, match="limit="):
        store.history(1, limit=limit)


EVENTS = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(sorted(WEIGHTS)), st.integers(0, 6)),
    max_size=25,
)


@pytest.fixture(scope="module")
def two_stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, EventStore]]:
    file = tmp_path_factory.mktemp("histories") / "e.db"
    ways: tuple[Any, ...] = ("last", "sum")
    stores = {way: EventStore(file, weights=WEIGHTS, duplicates=way) for way in ways}
    yield stores
    for store in stores.values():
        store.close()


@given(events=EVENTS, duplicates=st.sampled_from(["last", "sum"]))
def test_histories_against_a_slow_oracle(
    two_stores: dict[str, EventStore], events: list[tuple[str, str, int]], duplicates: str
) -> None:
    """Events in the order of time, then of arrival; each item by itself."""
    store, user = two_stores[duplicates], next(_numbers)
    store.append([Event(user, i, k, time=t) for i, k, t in events])
    found = store.history(user)
    ordered = sorted(enumerate(events), key=lambda e: (e[1][2], e[0]))
    latest, expected = {}, {}
    for item in "abcd":
        mine = [(place, WEIGHTS[k], t) for place, (_, (i, k, t)) in enumerate(ordered) if i == item]
        zeros = [n for n, (_, w, _) in enumerate(mine) if w == 0]
        kept = mine[zeros[-1] + 1 :] if zeros else mine
        if not kept:
            continue
        latest[item] = kept[-1][0]
        if duplicates == "sum":
            expected[item] = sum(w for _, w, _ in kept)
        else:
            expected[item] = max(w for _, w, t in kept if t == kept[-1][2])
    order = sorted(expected, key=latest.__getitem__)
    assert list(found.items()) == [(item, expected[item]) for item in order]


# all events


def test_the_frame_is_a_log(store: EventStore) -> None:
    add(store, ("a", "view", 10), ("b", "purchase", 20), ("c", "view", 30))
    store.append([Event("bob", "a", "rating", 4.0, 25)])
    frame = store.frame(since=20, until=30)
    assert frame.to_dicts() == [
        {"user": "ann", "item": "b", "event": "purchase", "value": 1.0, "time": 20.0},
        {"user": "bob", "item": "a", "event": "rating", "value": 4.0, "time": 25.0},
    ]
    assert store.frame(since="2001-01-01").height == 0
    assert store.frame(until="1970-01-02").height == 4
    log = shoal.read(store.frame())
    assert (log.n_users, log.n_items, len(log)) == (2, 3, 4)
    assert log.history_of("ann") == ["a", "b", "c"]


def test_an_empty_store(store: EventStore) -> None:
    frame = store.frame()
    assert frame.columns == ["user", "item", "event", "value", "time"]
    assert frame.height == 0
    assert store.clicks() == []
    assert (store.count(), store.prune(1000), store.is_deleted([1])) == (0, 0, [False])
    facts = store.facts()
    assert (facts.events, facts.users, facts.oldest, facts.types) == (0, 0, None, {})


def test_events_come_in_pages(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.events.reading.PAGE", 7)
    store.append([Event(n, n, time=n) for n in range(20)])
    pages = store.pages()
    next(pages)
    sizes = [len(next(pages))]
    store.append([Event("later", 1, time=1)])  # not part of what was begun
    sizes += [len(page) for page in pages]
    assert sizes == [7, 7, 6]
    assert store.frame()["user"].to_list() == [*map(str, range(20)), "later"]


# lists that were shown


def test_clicks_count_items_of_lists_once(store: EventStore) -> None:
    show = store.impressions
    assert show("r1", "ann", ["a", "b", "c"], model="ease", version="1", time=100) == Receipt(
        1, lists=1
    )
    assert show("r1", "ann", ["x", "y"], model="ease", version="1", time=100) == Receipt(0, 1)
    show("r2", None, [1, 2, 3, 4, 5], model="ease", version="1", time=200)
    show("r3", "bob", ["a", "b"], model="ease", version="2", time=300)
    show("r4", "bob", [], model="popularity", version="1", time=300)
    clicks = [
        *(("ann", "a", "view", "r1"), ("ann", "a", "view", "r1"), ("ann", "a", "buy", "r1")),
        *(("ann", "b", "view", "r1"), ("x", 1, "view", "r2"), ("y", 1, "view", "r2")),
        ("ann", "not shown", "view", "r1"),
        ("ann", "a", "view", None),
        ("ann", "a", "view", "r9"),
    ]
    store.append([Event(u, i, kind, request_id=r) for u, i, kind, r in clicks])
    assert store.clicks() == [
        Clicks("ease", "1", "buy", 2, 8, 1, 1 / 8),
        Clicks("ease", "1", "view", 2, 8, 3, 3 / 8),
        Clicks("ease", "2", "buy", 1, 2, 0, 0.0),
        Clicks("ease", "2", "view", 1, 2, 0, 0.0),
        Clicks("popularity", "1", "buy", 1, 0, 0, 0.0),
        Clicks("popularity", "1", "view", 1, 0, 0, 0.0),
    ]
    assert store.clicks(since=150, until=250) == [Clicks("ease", "1", "view", 1, 5, 1, 0.2)]
    assert store.clicks(since=250, model="ease") == [Clicks("ease", "2", None, 1, 2, 0, 0.0)]


def test_a_list_that_cannot_be_stored(store: EventStore) -> None:
    for wrong in ({"items": ["a", ""]}, {"request_id": ""}, {"model": "\x07"}, {"time": -3}):
        given: dict[str, Any] = {"request_id": "r", "user": 1, "items": [1]}
        with pytest.raises(EventError):
            store.impressions(**{**given, "model": "m", "version": "1"} | wrong)
    assert store.facts().lists == 0


# deletion


def test_a_deleted_user_is_gone_and_remembered_by_a_hash(
    store: EventStore, open_store: Open
) -> None:
    add(store, ("a", "view", 10), ("b", "view", 20))
    store.append([Event("bob", "a"), Event("ann", "c", request_id="nameless")])
    for request, user in (("r1", "ann"), ("r2", "bob"), ("nameless", None), ("r4", None)):
        store.impressions(request, user, ["a"], model="m", version="1")
    before = time.time()
    assert store.delete_user("ann") == 3
    assert store.delete_user("nobody") == 0
    for reader in (store, open_store()):
        assert reader.history("ann") == {}
        assert reader.frame()["user"].to_list() == ["bob"]
        assert reader.facts().lists == 2
        assert reader.is_deleted(["ann", "bob", "nobody"]) == [True, False, True]
        times = reader.deletion_times(["ann", "bob"])
        assert list(times) == ["ann"]
        assert before <= times["ann"] <= time.time()


def test_what_is_kept_of_a_deleted_user_is_the_sha256_of_the_id(
    open_store: Open, where: str
) -> None:
    import sqlalchemy

    store = open_store()
    store.append([Event(1193, 1)])
    store.delete_user("1193")
    url = (
        where.replace("postgresql:", "postgresql+psycopg:")
        if "://" in where
        else f"sqlite:///{where}"
    )
    engine = sqlalchemy.create_engine(url)
    with engine.connect() as connection:
        rows = connection.execute(sqlalchemy.text("SELECT user_hash FROM shoal_deleted_users"))
        assert rows.scalars().all() == [hashlib.sha256(b"1193").hexdigest()]
    engine.dispose()


def test_after_a_deletion_later_events_count_and_earlier_ones_stay_out(store: EventStore) -> None:
    store.append([Event(7, "old")])
    store.delete_user(7)
    late = [Event(7, "old", time=time.time() - DAY), Event(8, "old", time=time.time() - DAY)]
    assert store.append(late) == Receipt(accepted=1, deleted=1)
    assert store.append([Event(7, "new")]) == Receipt(accepted=1)
    assert list(store.history(7)) == ["new"]
    assert store.is_deleted([7]) == [True]


def test_lists_from_before_a_deletion_stay_out_as_events_do(store: EventStore) -> None:
    store.append([Event("ann", "a")])
    store.delete_user("ann")
    before = time.time() - DAY
    lists = [
        ShownList("r1", "ann", ["a"], "ease", "1", before),
        ShownList("r2", " ann ", ["a"], "ease", "1", before, "autumn", "control"),
        ShownList("r3", "bob", ["a"], "ease", "1", before),
        ShownList("r4", None, ["a"], "ease", "1", before),
    ]
    click = Event("ann", "a", "click", time=before, request_id="r1", id="c1")
    expected = Receipt(accepted=2, duplicates=0, deleted=3, lists=2, deleted_lists=2)
    assert store.append([click], lists=lists) == expected
    again = Receipt(accepted=0, duplicates=2, deleted=2, lists=0, deleted_lists=2)
    assert store.append([], lists=lists) == again
    with store._opened().read() as connection:
        kept = connection.exec_driver_sql(
            "SELECT request_id, user_id FROM shoal_lists ORDER BY request_id"
        )
        assert [tuple(row) for row in kept] == [("r3", "bob"), ("r4", None)]
    alone = store.impressions("r5", "ann", ["a"], model="ease", version="1", time=before)
    assert alone == Receipt(deleted=1, deleted_lists=1)
    later = store.impressions("r6", "ann", ["a"], model="ease", version="1")
    assert later == Receipt(accepted=1, lists=1)  # of a new person


# retention


def test_prune_removes_what_is_older(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shoal.events.storing.PRUNED", 7)
    store.append([Event(n, "a", time=1000 + n) for n in range(30)])
    for n in range(30):
        store.impressions(f"r{n}", n, ["a"], model="m", version="1", time=1000 + n)
    assert store.prune(1020) == 20
    assert store.prune("1970-01-01T00:17:00Z") == 0  # 1,020 s
    facts = store.facts()
    assert (facts.events, facts.lists, facts.oldest, facts.newest) == (10, 10, 1020, 1029)


def test_old_events_are_removed_by_the_writer(open_store: Open) -> None:
    now = time.time()
    first = open_store()
    first.append([Event(1, "old", time=now - 11 * DAY), Event(1, "new", time=now - 9 * DAY)])
    first.close()
    store = open_store(retention_days=10)
    until = time.monotonic() + 10
    while store.count() == 2 and time.monotonic() < until:
        time.sleep(0.01)
    assert list(store.history(1)) == ["new"]


@pytest.mark.parametrize("days", [0, -1, float("nan"), float("inf")])
def test_a_retention_that_is_none(tmp_path: Path, days: float) -> None:
    with pytest.raises(DataError, match="retention_days="):
        EventStore(tmp_path / "e.db", retention_days=days)


def test_keys_are_kept_for_thirty_days_though_events_are_pruned(store: EventStore) -> None:
    events = [Event(1, 2, time=1000)]
    store.append(events, key="call")
    assert store.prune(2000) == 1
    assert store.append(events, key="call") == Receipt(duplicates=1)


def test_read_leaves_out_nothing_of_the_frame(store: EventStore, tmp_path: Path) -> None:
    """What `shoal.read` makes of the frame, and of a CSV file of it, has the same numbers."""
    store.append([Event(u, i, time=u * 100 + i) for u in range(5) for i in range(u + 1)])
    store.frame().write_csv(tmp_path / "log.csv")
    for log in (shoal.read(store.frame()), shoal.read(tmp_path / "log.csv")):
        assert (log.n_users, log.n_items, len(log)) == (5, 5, 15)
        assert log.item_counts.tolist() == [5, 4, 3, 2, 1]
    assert isinstance(store.frame(), pl.DataFrame)


def test_who_did_something_lately(store: EventStore) -> None:
    assert store.recent_users() == []
    store.append([Event("ann", "a", time=50), Event("bob", "a", time=90)])
    store.append([Event("ann", "b", time=20), Event("cid", "a", time=10)])
    # by what was stored last; the time is that of the user's latest event
    assert store.recent_users() == [("cid", 1, 10), ("ann", 2, 50), ("bob", 1, 90)]
    assert store.recent_users(n_events=2) == [("cid", 1, 10), ("ann", 1, 20)]
    with pytest.raises(EventError, match="give a whole number"):
        store.recent_users(n_events=0)
