"""What is stored, once and durably, and what is refused; on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shoal.errors import ShoalError
from shoal.events import Event, EventError, EventStore, EventsUnavailable, Receipt
from shoal.events.checks import checked_text

from .conftest import Open


def test_events_come_back_as_they_were_given(store: EventStore, open_store: Open) -> None:
    before = time.time()
    receipt = store.append(
        [
            Event("ann", "book", "rating", 4.5, 1_000_000_000.25, "list-1", "id-1"),
            Event("ann", "Čapek: R.U.R. 🤖", "purchase", time=datetime(2001, 9, 9, tzinfo=UTC)),
            Event("ann", "pen"),
            Event("bob", "book", time="2001-09-10T00:00:00+02:00"),
        ]
    )
    assert receipt == Receipt(accepted=4)
    for reader in (store, open_store()):  # a second store reads from the disk
        pen, rated, bought = reader.user("ann")
        assert (pen.item, pen.type, pen.value, pen.request_id) == ("pen", "view", None, None)
        assert before <= pen.time <= time.time()
        assert rated == Event("ann", "book", "rating", 4.5, 1_000_000_000.25, "list-1", "id-1")
        # 2001-09-09 is 11,574 days after 1970-01-01
        assert (bought.item, bought.time) == ("Čapek: R.U.R. 🤖", 11_574 * 86_400.0)
        assert [e.time for e in reader.user("bob")] == [11_575 * 86_400.0 - 7200]
        assert reader.count() == 4
        assert reader.ping()


def test_ids_are_text(store: EventStore) -> None:
    uuid = UUID("12345678-1234-5678-1234-567812345678")
    store.append([Event(1193, 661), Event("1193", " 662 "), Event(np.int64(1193), uuid)])
    assert set(store.history(1193)) == {"661", "662", str(uuid)}
    assert store.history("1193") == store.history(1193)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"user": ""}, "user is empty"),
    ({"user": "  "}, "user is empty"),
    ({"user": None}, "user is None: give text"),
    ({"user": True}, "user is True: give text"),
    ({"user": 1.5}, r"user is 1\.5: give text"),
    ({"user": "u" * 257}, "user has 257 characters"),
    ({"item": "a\x00b"}, "item is 'a.x00b': control characters"),
    ({"item": "a\nb"}, "control characters"),
    ({"item": "\ud800"}, "control characters"),
    ({"type": "t" * 65}, "type has 65 characters"),
    ({"type": ""}, "type is empty"),
    ({"value": float("nan")}, "value is nan"),
    ({"value": float("inf")}, "value is inf"),
    ({"value": "5"}, "value is '5': give a number"),
    ({"time": float("nan")}, "time is nan: give a finite number"),
    ({"time": float("-inf")}, "time is -inf: give a finite number"),
    ({"time": -1}, "before 1970"),
    ({"time": "yesterday"}, "time is 'yesterday'.*ISO date"),
    ({"time": 1_700_000_000_000}, "milliseconds"),
    ({"time": [1]}, r"time is \[1\]"),
    ({"request_id": ""}, "request_id is empty"),
    ({"id": "i" * 300}, "id has 300 characters"),
]


@pytest.mark.parametrize(("wrong", "message"), BAD)
def test_what_cannot_be_stored_is_refused_whole(wrong: dict[str, Any], message: str) -> None:
    from shoal.events.checks import event_rows

    good = {"user": 1, "item": 2}
    with pytest.raises(EventError, match=message):
        event_rows([Event(**good | wrong)], time.time())


def test_a_bad_event_among_good_ones_is_named_and_none_is_stored(store: EventStore) -> None:
    with pytest.raises(EventError, match="item of event 2 is empty"):
        store.append([Event(1, 2), Event(1, ""), Event(1, 3)])
    assert store.count() == 0


def test_times_up_to_a_day_ahead_are_taken(store: EventStore) -> None:
    now = time.time()
    store.append([Event(1, 2, time=now + 86_000)])
    with pytest.raises(EventError, match="more than a day in the future"):
        store.append([Event(1, 2, time=now + 87_000)])
    assert store.count() == 1


def test_types_without_a_weight_are_refused(open_store: Open) -> None:
    store = open_store(weights={"view": 1, "purchase": 5})
    store.append([Event(1, 2, "purchase")])
    with pytest.raises(EventError, match="type is 'click': give one of view, purchase"):
        store.append([Event(1, 3, "click")])


@pytest.mark.parametrize("weights", [{}, {"view": -1}, {"view": float("nan")}, {"": 1}])
def test_weights_that_are_none(weights: dict[str, float], open_store: Open) -> None:
    with pytest.raises(ShoalError, match="weight"):
        open_store(weights=weights)


def test_no_event_at_all(store: EventStore) -> None:
    assert store.append([]) == Receipt()


# the same again


def test_a_call_with_the_same_key_is_stored_once(store: EventStore, open_store: Open) -> None:
    events = [Event(1, 2), Event(1, 2), Event(3, 4, "purchase", 2.5)]
    assert store.append(events, key="call-1") == Receipt(accepted=3)
    assert store.append(events, key="call-1") == Receipt(duplicates=3)
    store.close()
    again = open_store()  # as after a restart
    assert again.append(events, key="call-1") == Receipt(duplicates=3)
    assert again.append(events, key="call-2") == Receipt(accepted=3)
    assert again.count() == 6


def test_a_key_that_was_used_for_other_events_is_refused(store: EventStore) -> None:
    store.append([Event(1, 2)], key="call")
    with pytest.raises(EventError, match="'call' was used before for other events"):
        store.append([Event(1, 3)], key="call")
    assert store.history(1) == {"2": 1.0}


def test_an_event_with_the_same_id_is_stored_once(store: EventStore) -> None:
    first = [Event(1, 2, id="a"), Event(1, 3, id="b"), Event(1, 4)]
    assert store.append(first) == Receipt(accepted=3)
    second = [Event(1, 3, id="b"), Event(1, 5, id="c"), Event(1, 5, id="c"), Event(1, 4)]
    assert store.append(second) == Receipt(accepted=2, duplicates=2)
    assert store.count() == 5
    assert list(store.history(1)) == ["2", "3", "5", "4"]


def test_the_same_call_from_two_stores_at_once(store: EventStore, open_store: Open) -> None:
    stores = [store, open_store()]
    for round_ in range(10):
        together = threading.Barrier(2)
        events = [Event(f"user {round_}", item) for item in range(20)]

        def send(target: EventStore, events: list[Event] = events, n: int = round_) -> Receipt:
            together.wait(10)  # noqa: B023
            return target.append(events, key=f"call {n}")

        with ThreadPoolExecutor(2) as pool:
            receipts = list(pool.map(send, stores))
        assert sorted(r.accepted for r in receipts) == [0, 20]
        assert sorted(r.duplicates for r in receipts) == [0, 20]
    assert store.count() == 200


# many threads


def test_many_threads_lose_nothing(store: EventStore) -> None:
    def send(thread: int) -> int:
        return sum(store.append([Event(thread, n)]).accepted for n in range(25))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(send, range(8))) == 200
    assert store.count() == 200
    for thread in range(8):
        assert set(store.history(thread)) == {str(n) for n in range(25)}


def test_a_call_that_is_refused_does_not_spoil_those_beside_it(store: EventStore) -> None:
    """All are in one transaction if they come at the same time."""
    store.append([Event(1, 2)], key="used")
    errors: list[Exception] = []

    def send(number: int) -> None:
        try:
            store.append([Event("many", number)], key="used" if number % 4 == 0 else None)
        except EventError as error:
            errors.append(error)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(send, range(64)))
    assert len(errors) == 16
    assert store.count() == 1 + 48


def test_what_was_acknowledged_is_seen_at_once_by_another_store(
    store: EventStore, open_store: Open
) -> None:
    reader = open_store()
    for number in range(30):
        store.append([Event("ann", number)])
        assert list(reader.history("ann"))[-1] == str(number)


def test_a_store_that_was_closed(store: EventStore) -> None:
    store.close()
    store.close()
    for call in (lambda: store.append([Event(1, 2)]), lambda: store.history(1), store.count):
        with pytest.raises(EventsUnavailable, match="was closed"):
            call()
    assert not store.ping()


@given(text=st.text(max_size=300))
def test_any_text_is_an_id_that_comes_back_or_is_refused(text: str) -> None:
    try:
        kept = checked_text(text, "user")
    except EventError:
        stripped = text.strip()
        bad = any(ord(c) < 32 or 127 <= ord(c) < 160 or 0xD800 <= ord(c) < 0xE000 for c in stripped)
        assert bad or not stripped or len(stripped) > 256
    else:
        assert kept == text.strip()
        assert kept.encode().decode() == kept
