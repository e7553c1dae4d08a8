"""Decisions, and the version that is live with them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

import shoal
from shoal.artifact import Store
from shoal.errors import ArtifactError, DataError, EventsUnavailable
from shoal.events import EventStore
from shoal.online import Experiment, Variant
from shoal.online.promotion import promote, undo


@pytest.fixture
def events(tmp_path: Path) -> Iterator[EventStore]:
    with EventStore(tmp_path / "events.db") as store:
        yield store


@pytest.fixture
def models(tmp_path: Path) -> Store:
    """A store with three versions, the newest of which is live."""
    log = shoal.read(pl.DataFrame({"user": [1, 1, 2, 2, 3], "item": [0, 1, 1, 2, 1]}))
    store = Store(tmp_path / "models", create=True)
    for strength in (1.0, 2.0, 3.0):
        store.publish(shoal.EASE(l2=strength).fit(log))
    return store


def experiment_with(version: str) -> Experiment:
    halves = {
        "control": Variant(share=0.5),
        "other": Variant(share=0.25, version=version),
        "elsa": Variant(share=0.25, model="elsa"),
    }
    return Experiment(name="autumn", variants=halves)


def test_a_version_is_made_live_and_the_one_before_again(events: EventStore, models: Store) -> None:
    newest, _, oldest = (version.name for version in models.versions())
    experiment = experiment_with(oldest)
    done = promote(events, experiment, "other", models)
    assert (done.variant, done.before, done.activated) == ("other", None, oldest)
    assert promote(events, experiment, "other", models).activated is None  # it is live already
    assert events.promotion("autumn") == "other"
    done = undo(events, experiment, models)
    assert (done.variant, done.before, done.activated) == (None, "other", newest)
    assert (events.promotion("autumn"), models.current()) == (None, newest)


def test_undoing_leaves_a_version_that_was_made_live_since(
    events: EventStore, models: Store
) -> None:
    _, middle, oldest = (version.name for version in models.versions())
    experiment = experiment_with(oldest)
    promote(events, experiment, "other", models)
    models.activate(middle)
    assert undo(events, experiment, models).activated is None
    assert models.current() == middle


def test_what_remains_to_be_done_is_said(events: EventStore) -> None:
    experiment = experiment_with("20260101-000000")
    assert promote(events, experiment, "control").notes == ()
    done = promote(events, experiment, "other")
    assert "shoal activate STORE 20260101-000000" in done.notes[0]
    assert done.before == "control"
    assert "shoal rollback STORE" in undo(events, experiment).notes[0]
    assert "serve the model elsa as the main one" in promote(events, experiment, "elsa").notes[0]


def test_nothing_is_decided_if_the_version_cannot_be_live(
    events: EventStore, models: Store
) -> None:
    with pytest.raises(ArtifactError, match="has no version 'gone'"):
        promote(events, experiment_with("gone"), "other", models)
    with pytest.raises(DataError, match=r"no variant 'othr'.*did you mean other\?"):
        promote(events, experiment_with("gone"), "othr", models)
    assert events.promotion("autumn") is None
    with pytest.raises(DataError, match="nothing to undo"):
        undo(events, experiment_with("gone"), models)


def test_a_decision_that_cannot_be_stored_says_what_is_live(
    events: EventStore, models: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, oldest = (version.name for version in models.versions())

    def refuse(*_: object) -> None:
        raise EventsUnavailable("events.db: the disk is full")

    monkeypatch.setattr(events, "promote", refuse)
    with pytest.raises(EventsUnavailable, match=f"version {oldest} is live now, but.*disk is full"):
        promote(events, experiment_with(oldest), "other", models)
