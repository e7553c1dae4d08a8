"""Refreshes one after the other: what is published, what is refused, and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.artifact import Store
from shoal.artifact.locks import locked
from shoal.errors import DataError
from shoal.events import Event, EventStore
from shoal.refresh import Config, Outcome
from shoal.refresh.work import refresh
from shoal.run import Silent

from .refresh_helpers import BEGIN, HOUR, taste_log

ONE = shoal.Run(threads=1)


def refreshed(config: Config) -> Outcome:
    return refresh(config, Silent())


def journal(config: Config) -> list[dict[str, object]]:
    path = Path(config.store) / "refresh.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_first_refresh_publishes_and_the_same_again_does_nothing(
    configured: Callable[..., Config],
) -> None:
    config = configured()
    outcome = refreshed(config)
    assert outcome.published
    assert (outcome.previous, outcome.live) == (None, None)
    assert "first version" in outcome.reason
    assert (outcome.users, outcome.items, outcome.interactions) == (200, 40, 2400)
    assert outcome.candidate is not None
    assert 0 < outcome.candidate <= 1
    store = Store(config.store)
    assert store.current() == outcome.version
    version = store.version(store.current())
    assert version.metrics is not None
    assert version.metrics["metrics"]["hit_rate@10"]["mean"] == outcome.candidate
    training = version.metrics["training"]  # of the last fit alone, to all of the log
    assert (training["users"], training["interactions"]) == (200, 2400)
    assert 0 < training["seconds"] <= outcome.seconds["fit"] + 0.001
    assert training["trained_until"] == taste_log()["time"].max()
    # the published model knows everything, also what was held out
    expected = shoal.EASE(l2=10).fit(shoal.read(taste_log()), run=ONE)
    assert np.allclose(store.load().weights, expected.weights, atol=1e-4)  # type: ignore[attr-defined]
    again = refreshed(config)
    assert again.status == "unchanged"
    assert again.version == outcome.version
    assert len(store.versions()) == 1
    assert [entry["status"] for entry in journal(config)] == ["published", "unchanged"]


def test_a_worse_candidate_is_refused_with_the_reason(configured: Callable[..., Config]) -> None:
    good = refreshed(configured())
    # popularity mixes the two tastes: half of its list is never right
    worse = refreshed(configured(model="popularity", settings={}))
    assert worse.status == "refused"
    assert worse.version == worse.previous == good.version
    assert worse.candidate is not None
    assert worse.live is not None
    assert worse.difference is not None
    assert worse.candidate < 0.98 * worse.live
    assert worse.difference == pytest.approx(worse.candidate - worse.live)
    assert worse.compared_with == "the live version's settings, fitted to the same data"
    assert f"hit_rate@10 {worse.candidate:.4f} beside {worse.live:.4f}" in worse.reason
    assert "worse, the margin allows 2.0% less" in worse.reason
    store = Store(configured().store)
    assert store.current() == good.version
    assert len(store.versions()) == 1
    # a margin that allows it, or no comparison, publishes the same model
    generous = {"margin": 0.9}
    assert refreshed(configured(generous, model="popularity", settings={})).published
    assert store.load().name == "popularity"
    back = refreshed(configured({"compare": False}))
    assert back.published
    assert "without comparing" in back.reason


def test_the_live_version_is_asked_about_what_it_has_not_seen(
    configured: Callable[..., Config], log_file: Path
) -> None:
    """Enough happens after the first refresh: that alone is held out, and it is asked itself."""
    frame = taste_log().sort("time")
    at = BEGIN + 1500 * HOUR
    frame.filter(pl.col("time") < at).write_csv(log_file)
    first = refreshed(configured())
    assert first.published
    frame.write_csv(log_file)
    second = refreshed(configured({"share": 0.5}))
    assert second.published
    assert second.compared_with == "the live version"
    trained_until = frame.filter(pl.col("time") < at)["time"].max()
    new = frame.filter(pl.col("time") > trained_until)
    known = frame.filter(pl.col("time") <= trained_until)["user"].unique()
    assert second.users_compared == new.filter(pl.col("user").is_in(known))["user"].n_unique()
    # same settings, and both fitted to what came before: the same lists
    assert second.live == second.candidate
    assert second.difference == 0
    # a later cut than that of the live version: it is asked as well, and the candidate knows more
    frame.filter(pl.col("time") < at).write_csv(log_file)
    refreshed(configured({"compare": False}, settings={"l2": 11.0}))
    frame.write_csv(log_file)
    third = refreshed(configured({"share": 0.05}))
    assert third.compared_with == "the live version"


def test_a_model_that_was_not_published_by_a_refresh_is_compared_by_its_settings(
    configured: Callable[..., Config],
) -> None:
    config = configured()
    store = Store(config.store, create=True)
    log = shoal.read(taste_log())
    store.publish(shoal.EASE(l2=1e-4).fit(log, run=ONE))
    outcome = refreshed(config)
    assert outcome.compared_with == "the live version's settings, fitted to the same data"
    assert outcome.live is not None


def test_a_log_that_has_shrunk_is_refused(
    configured: Callable[..., Config], log_file: Path
) -> None:
    first = refreshed(configured())
    taste_log(n_users=90).write_csv(log_file)
    outcome = refreshed(configured())
    assert outcome.status == "refused"
    assert "1,080 interactions, and the live version was fitted to 2,400" in outcome.reason
    assert Store(configured().store).current() == first.version
    assert refreshed(configured({"least_share": 0.4})).published


def test_too_few_users_to_compare_on_are_said(configured: Callable[..., Config]) -> None:
    assert refreshed(configured({"least_users": 1000})).published  # nothing to compare with yet
    outcome = refreshed(configured({"least_users": 1000}, settings={"l2": 20.0}))
    assert outcome.status == "refused"
    assert "too few to compare on (evaluation.least_users is 1,000)" in outcome.reason


def test_logs_without_times_are_published_first_and_then_not_compared(
    configured: Callable[..., Config], log_file: Path
) -> None:
    taste_log().drop("time").write_csv(log_file)
    first = refreshed(configured())
    assert first.published
    assert "the log has no times" in first.notes[-1]
    with pytest.raises(DataError, match=r"evaluation\.compare: false"):
        refreshed(configured(settings={"l2": 20.0}))
    assert refreshed(configured({"compare": False}, settings={"l2": 20.0})).published


def test_old_versions_are_removed(configured: Callable[..., Config]) -> None:
    outcomes = [
        refreshed(configured({"compare": False}, settings={"l2": float(v)}, keep=2))
        for v in range(10, 14)
    ]
    names = [outcome.version for outcome in outcomes]
    assert [outcome.removed for outcome in outcomes] == [[], [], names[:1], names[1:2]]
    assert [v.name for v in Store(configured().store).versions()] == [names[3], names[2]]


def test_a_user_who_asked_for_it_is_gone_from_the_next_model(
    configured: Callable[..., Config], tmp_path: Path
) -> None:
    url = str(tmp_path / "events.db")
    later = BEGIN + 2100 * HOUR
    with EventStore(url) as store:
        store.append([Event("secretive", "777", time=later), Event("u002", "5", time=later)])
    config = configured({"compare": False}, events={"url": url})
    first = refreshed(config)
    assert (first.events, first.users, first.deleted_users) == (2, 201, 0)
    model = shoal.load(config.store)
    assert model.items.lookup([777])[0] >= 0
    with EventStore(url) as store:
        store.delete_user("secretive")
        store.delete_user("u000")
    second = refreshed(config)
    assert (second.events, second.users, second.deleted_users) == (1, 199, 1)
    model = shoal.load(config.store)
    assert model.items.lookup([777])[0] < 0
    gone = taste_log().filter(pl.col("user") != "u000")
    counts = dict(gone.group_by("item").len().iter_rows())
    counts[5] += 5 not in gone.filter(pl.col("user") == "u002")["item"]
    assert model.item_counts is not None
    assert dict(zip(model.items.take(range(40)), model.item_counts.tolist(), strict=True)) == counts


def test_a_fault_leaves_the_live_version_and_is_written_down(
    configured: Callable[..., Config], log_file: Path
) -> None:
    first = refreshed(configured())
    log_file.write_text("user,item,time\nu1,1\n")
    with pytest.raises(DataError):
        refreshed(configured())
    assert Store(configured().store).current() == first.version
    assert journal(configured())[-1]["status"] == "failed"
    assert "log.csv" in str(journal(configured())[-1]["error"])


def test_two_refreshes_of_one_store_never_run_at_once(configured: Callable[..., Config]) -> None:
    config = configured()
    store = Store(config.store, create=True)
    with (
        locked(store.path / "REFRESH", wait=0, purpose="it is refreshed"),
        pytest.raises(shoal.ShoalError, match="is in use: it is refreshed by process"),
    ):
        refreshed(config)
    assert refreshed(config).published


def test_a_broken_live_version_is_replaced(configured: Callable[..., Config]) -> None:
    config = configured()
    first = refreshed(config)
    assert first.version is not None
    (Path(config.store) / first.version / "arrays.safetensors").write_bytes(b"x")
    second = refreshed(config)
    assert second.published
    assert shoal.load(config.store).name == "ease"
