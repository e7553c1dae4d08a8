"""Lists of experiments, the clicks in them, and what was decided."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import text

from shoal.events import Event, EventError, EventStore, ShownList, experiment_lists
from shoal.events.event import ExperimentList

from .conftest import Open
from .test_migrations import VERSION_1, run


def shown(request: str, user: object, items: list[str], variant: str, time: float) -> ShownList:
    return ShownList(request, user, items, "ease", "1", time, "autumn", variant)


def test_lists_come_user_by_user_with_what_was_clicked(store: EventStore) -> None:
    store.append(
        [
            Event("bob", "a", "click", None, 20, "r1", "1"),
            Event("bob", "a", "click", None, 21, "r1", "2"),
            Event("bob", "z", "click", None, 22, "r1"),
            Event("bob", "b", "view", None, 23, "r1"),
            Event("ann", "b", "click", None, 24, "r2"),
            Event("ann", "a", "click", None, 25),
        ],
        lists=[
            shown("r1", "bob", ["a", "b"], "control", 10),
            shown("r2", "ann", ["b"], "diverse", 11),
            shown("r3", "bob", ["c"], "control", 12),
            shown("r4", None, ["a"], "control", 13),
            ShownList("r5", "bob", ["d"], "ease", "1", 14, "winter", "control"),
            ShownList("r6", "bob", ["d"], "ease", "1", 15),
        ],
    )
    bobs = [
        ExperimentList("bob", "control", 10.0, ("a", "b"), frozenset({"a", "z"})),
        ExperimentList("bob", "control", 12.0, ("c",), frozenset()),
    ]
    anns = ExperimentList("ann", "diverse", 11.0, ("b",), frozenset({"b"}))
    nobodys = ExperimentList(None, "control", 13.0, ("a",), frozenset())
    assert list(store.experiment_lists("autumn")) == [nobodys, anns, *bobs]
    assert list(store.experiment_lists("autumn", since=11, until=13)) == [anns, bobs[1]]
    assert list(store.experiment_lists("autumn", "view"))[2].clicked == {"b"}
    assert [row.variant for row in store.experiment_lists("winter")] == ["control"]
    assert list(store.experiment_lists("spring")) == []
    assert store.experiments() == ["autumn", "winter"]
    assert store.experiment_counts() == {"autumn": 4, "winter": 1}


def test_pages_of_any_length_give_the_same(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = ["Ann", "ann", "Zoë", "zoe", "ÿ", "_", "😀", "a b", "a-b", None, "10", "9"]
    store.append(
        [Event("x", f"i{n}", "click", None, 50, f"r{n}") for n in range(0, 60, 3)],
        lists=[shown(f"r{n}", users[n % 12], [f"i{n}"], "control", n) for n in range(60)],
    )
    expected = list(store.experiment_lists("autumn"))
    assert len(expected) == 60
    assert sum(bool(row.clicked) for row in expected) == 20
    order = [row.user for row in expected]
    assert len(set(order)) == 12  # each user's lists follow each other
    assert sum(a != b for a, b in pairwise(order)) == 11
    for user in users:
        times = [row.time for row in expected if row.user == user]
        assert times == sorted(times)
    for page in (1, 2, 5, 60):
        monkeypatch.setattr(experiment_lists, "PAGE", page)
        assert list(store.experiment_lists("autumn")) == expected


def test_what_is_stored_meanwhile_is_left_out(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment_lists, "PAGE", 1)
    store.append([], lists=[shown("r1", "ann", ["a"], "control", 1)])
    reading = store.experiment_lists("autumn")
    first = next(reading)
    store.append([], lists=[shown("r2", "bob", ["a"], "control", 2)])
    assert [first, *reading] == [ExperimentList("ann", "control", 1.0, ("a",), frozenset())]


def test_a_list_is_stored_once_with_its_first_variant(store: EventStore) -> None:
    for variant in ("control", "diverse"):
        receipt = store.impressions(
            "r1", "ann", ["a"], model="ease", version="1", experiment="autumn", variant=variant
        )
        assert receipt.accepted == (variant == "control")
    assert [row.variant for row in store.experiment_lists("autumn")] == ["control"]


@pytest.mark.parametrize(
    ("experiment", "variant", "told"),
    [
        ("autumn", None, "go together"),
        (None, "control", "go together"),
        ("x" * 65, "control", "experiment has 65 characters"),
        ("autumn", "a\x07b", "control characters are not allowed"),
        ("autumn", "", "variant is empty"),
    ],
)
def test_names_that_are_none_are_refused(
    store: EventStore, experiment: str | None, variant: str | None, told: str
) -> None:
    with pytest.raises(EventError, match=told):
        store.impressions(
            "r1", "ann", ["a"], model="m", version="1", experiment=experiment, variant=variant
        )
    assert store.facts().lists == 0


def test_decisions_are_kept_in_their_order(store: EventStore, open_store: Open) -> None:
    assert store.promotion("autumn") is None
    store.promote("autumn", None)
    assert store.promotions("autumn") == []
    store.promote("autumn", "diverse")
    store.promote("autumn", "diverse")  # once more changes nothing
    assert open_store().promotion("autumn") == "diverse"
    assert store.promotion("winter") is None
    store.promote("autumn", "control")
    store.promote("autumn", None)
    assert open_store().promotion("autumn") is None
    decided = store.promotions("autumn")
    assert [decision.variant for decision in decided] == ["diverse", "control", None]
    assert decided[0].time <= decided[1].time <= decided[2].time
    with pytest.raises(EventError, match="variant is empty"):
        store.promote("autumn", " ")


def test_deletion_and_retention_cover_experiments(store: EventStore) -> None:
    store.append(
        [Event("ann", "a", "click", None, 11, "r1")],
        lists=[
            shown("r1", "ann", ["a"], "control", 10),
            shown("r2", "bob", ["a"], "control", 11),
            shown("r3", "bob", ["a"], "control", 100),
        ],
    )
    store.promote("autumn", "control")
    store.delete_user("ann")
    assert [row.user for row in store.experiment_lists("autumn")] == ["bob", "bob"]
    store.prune(50)
    assert [row.time for row in store.experiment_lists("autumn")] == [100]
    assert store.promotion("autumn") == "control"  # a decision is nobody's data


VERSION_2 = """
INSERT INTO shoal_schema_version VALUES (2, 1700000001.0);
CREATE TABLE shoal_lists (
    id INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL UNIQUE,
    user_id TEXT,
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    time DOUBLE PRECISION NOT NULL,
    shown TEXT NOT NULL
);
CREATE INDEX shoal_lists_time ON shoal_lists (time);
CREATE INDEX shoal_lists_user ON shoal_lists (user_id) WHERE user_id IS NOT NULL;
ALTER TABLE shoal_events ADD COLUMN request_id TEXT;
CREATE INDEX shoal_events_request ON shoal_events (request_id) WHERE request_id IS NOT NULL;
INSERT INTO shoal_lists VALUES (1, 'old', 'ann', 'ease', '1', 1600000000.0, '["661"]');
UPDATE shoal_events SET request_id = 'old' WHERE id = 2;
"""


def test_version_2_becomes_the_newest(where: str, open_store: Open) -> None:
    """Tables as shoal made them before there were experiments, with a list and a rating of it."""
    script = VERSION_1.read_text() + VERSION_2
    if "://" in where:
        identity = "BIGINT GENERATED BY DEFAULT AS IDENTITY (START 4) PRIMARY KEY"
        script = script.replace("id INTEGER PRIMARY KEY", f"id {identity}")
    run(where, script)
    store = open_store()
    assert store.facts().schema_version == 3
    (old,) = store.clicks()
    assert (old.lists, old.clicks, old.type) == (1, 1, "rating")
    assert store.experiments() == []
    store.append([], lists=[shown("new", "bob", ["1"], "control", 1700000000)])
    assert [row.user for row in store.experiment_lists("autumn")] == ["bob"]
    store.promote("autumn", "control")
    assert store.promotion("autumn") == "control"


def test_pages_are_read_by_the_index(tmp_path: Path) -> None:
    """Without it, each page would sort all lists of the experiment."""
    EventStore(tmp_path / "events.db").close()
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'events.db'}")
    query = """EXPLAIN QUERY PLAN SELECT * FROM shoal_lists WHERE experiment = 'autumn' AND id <= 9
        AND user_id IS NOT NULL AND (user_id, id) > ('a', 3) ORDER BY user_id, id LIMIT 10"""
    with engine.connect() as connection:
        plan = " ".join(str(row) for row in connection.execute(text(query)))
    engine.dispose()
    assert "shoal_lists_experiment" in plan
    assert "TEMP B-TREE" not in plan
