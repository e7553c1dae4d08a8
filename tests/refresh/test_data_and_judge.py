"""What a refresh learns from, and how it compares two models."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import shoal
from shoal.errors import DataError
from shoal.events import Event, EventStore
from shoal.refresh import Config
from shoal.refresh.data import gather, in_seconds, without_deleted
from shoal.refresh.fit import fitted_to_all
from shoal.refresh.judge import cut_at, scores

from .refresh_helpers import BEGIN, HOUR, taste_log

ONE = shoal.Run(threads=1)


class Deleted:
    """Stands for a store of events that knows when users were deleted."""

    def __init__(self, times: dict[str, float]) -> None:
        self.times = times

    def deletion_times(self, users: Iterable[Any]) -> dict[str, float]:
        return {user: self.times[user] for user in users if user in self.times}


def test_rows_of_deleted_users_are_left_out_up_to_their_deletion() -> None:
    frame = pl.DataFrame(
        {
            "user": ["a", "a", "b", "b", "c"],
            "item": ["x", "y", "x", "z", "w"],
            "time": [BEGIN + h for h in (1, 3, 1, 2, 3)],
        }
    )
    log = shoal.read(frame)
    kept, n = without_deleted(log, Deleted({"a": BEGIN + 2, "c": BEGIN + 9, "nobody": 1.0}))
    assert n == 2
    assert [kept.history_of(u) for u in ("a", "b")] == [["y"], ["x", "z"]]
    assert "c" not in kept.users.series
    assert "w" not in kept.items.series
    # without times all rows of the user go
    kept, n = without_deleted(shoal.read(frame.drop("time")), Deleted({"a": BEGIN + 2}))
    assert (n, len(kept)) == (1, 3)
    assert without_deleted(log, Deleted({})) == (log, 0)
    with pytest.raises(DataError, match="all users of the log were deleted"):
        without_deleted(log, Deleted(dict.fromkeys("abc", BEGIN + 9)))


@pytest.mark.parametrize("unit", [1, 1000, 10**6])
def test_times_of_a_log_come_in_seconds(unit: int) -> None:
    log = shoal.read(pl.DataFrame({"user": [1, 2], "item": [1, 2], "time": [BEGIN, BEGIN + 5]}))
    assert log.times is not None
    other = replace(log, times=log.times * unit)
    assert in_seconds(other).times.tolist() == [BEGIN, BEGIN + 5]  # type: ignore[union-attr]
    with pytest.raises(DataError, match="are no dates"):
        in_seconds(replace(log, times=np.array([1, 2])))


def test_events_are_learned_from_by_their_weights(
    configured: Callable[..., Config], tmp_path: Path
) -> None:
    with EventStore(tmp_path / "events.db") as store:
        later = BEGIN + 9000 * HOUR
        store.append(
            [
                Event("new", "0", "view", time=later),
                Event("new", "1", "purchase", time=later),
                Event("new", "2", "noise", time=later),
                Event("new", "99", "view", time=later),
                Event("u000", "0", "view", time=later),
                Event("u000", "0", "dislike", time=later + 1),
            ]
        )
    weights = {"view": 1, "purchase": 5, "dislike": 0}
    events = {"url": str(tmp_path / "events.db"), "weights": weights}
    gathered = gather(configured(events=events), ONE)
    log = gathered.log
    assert gathered.n_events == 4  # of u000 and item 0 the last one counts
    assert log.history_of("new") == [0, 1, 99]  # numbers, as in the log
    row = log.matrix[[int(log.users.lookup(["new"])[0])]].toarray()[0]
    assert row[log.items.lookup([0, 1, 99])].tolist() == [1, 5, 1]
    assert 0 not in log.history_of("u000")
    before = shoal.read(taste_log())
    assert set(log.history_of("u000")) == set(before.history_of("u000")) - {0}
    # without weights each event counts
    unweighted = gather(configured(events={"url": events["url"]}), ONE).log
    assert unweighted.values is None
    assert unweighted.history_of("new") == [0, 1, 2, 99]
    # and events alone are a log as well
    alone = gather(configured(log=None, events=events), ONE)
    assert alone.log.history_of("new") == ["0", "1", "99"]
    assert alone.log.n_users == 1


def test_a_policy_says_which_events_count(tmp_path: Path) -> None:
    """Both in the log and among the events of the service."""
    (tmp_path / "log.csv").write_text(
        f"user,item,event,time\na,x,buy,{BEGIN}\na,y,view,{BEGIN}\nb,y,buy,{BEGIN}\n"
    )
    (tmp_path / "p.yaml").write_text("training: {models: [{policy_type: ease, event_values: buy}]}")
    with EventStore(tmp_path / "events.db") as store:
        later = BEGIN + HOUR
        store.append([Event("a", "z", "buy", time=later), Event("b", "z", "view", time=later)])
    config = Config.model_validate(
        {
            "store": str(tmp_path / "store"),
            "log": {"path": str(tmp_path / "log.csv")},
            "events": {"url": str(tmp_path / "events.db")},
            "policy": str(tmp_path / "p.yaml"),
        }
    )
    assert config.unfitted().name == "ease"
    gathered = gather(config, ONE)
    assert gathered.n_events == 1
    assert gathered.log.history_of("a") == ["x", "z"]
    assert gathered.log.history_of("b") == ["y"]


def test_a_deleted_user_is_gone_from_the_next_log(
    configured: Callable[..., Config], tmp_path: Path
) -> None:
    url = str(tmp_path / "events.db")
    with EventStore(url) as store:
        store.append([Event("u001", "21"), Event("u002", "1")])
        store.delete_user("u001")
    gathered = gather(configured(events={"url": url}), ONE)
    assert gathered.n_deleted == 1
    assert "u001" not in gathered.log.users.series
    assert "u002" in gathered.log.users.series


def test_an_event_database_that_is_not_there_is_said(
    configured: Callable[..., Config], tmp_path: Path
) -> None:
    with pytest.raises(shoal.ShoalError, match=r"none\.db"):
        gather(configured(events={"url": str(tmp_path / "none.db")}), ONE)


def test_scores_are_those_of_evaluate() -> None:
    log = shoal.read(taste_log())
    assert log.times is not None
    cut = cut_at(log, float(np.quantile(log.times, 0.9)))
    model = shoal.EASE(l2=10).fit(cut.before, run=ONE)
    for metric in ("ndcg@10", "recall@5", "hit_rate@3", "mrr@10"):
        expected = shoal.evaluate(model, cut.held_out, metric).per_user[metric]
        assert np.array_equal(scores(model, cut.held_out, metric, ONE), expected)


def test_items_that_a_model_does_not_know_count_as_missed() -> None:
    """The model knows x, y and z; of the two users, one went on to a new item as well."""
    old = pl.DataFrame({"user": [1, 1, 1, 2, 2, 2, 3, 3], "item": list("xyzxyzxy")})
    model = shoal.Popularity().fit(shoal.read(old))
    times = {"x": 0, "y": 9, "new": 9}
    frame = pl.DataFrame({"user": [1, 1, 1, 2, 2], "item": ["x", "y", "new", "x", "y"]})
    frame = frame.with_columns(time=pl.col("item").replace_strict(times))
    cut = cut_at(shoal.read(frame, columns={"time": "time"}), 5)
    # both get y, z: the first user's other item is never found
    assert scores(model, cut.held_out, "recall@2", ONE).tolist() == [0.5, 1.0]
    assert scores(model, cut.held_out, "recall@100", ONE).tolist() == [0.5, 1.0]


def test_an_update_gives_what_a_fit_gives() -> None:
    log = shoal.read(taste_log(n_users=400))
    assert log.times is not None
    cut = cut_at(log, float(np.quantile(log.times, 0.999)))
    fitted = shoal.EASE(l2=10).fit(cut.before, run=ONE)
    model, rank = fitted_to_all(shoal.EASE(l2=10), fitted, cut.before, log, ONE)
    assert rank == 2 * np.unique(log.user_codes[log.times >= cut.time]).size
    expected = shoal.EASE(l2=10).fit(log, run=ONE)
    assert np.abs(model.weights - expected.weights).max() < 1e-4  # type: ignore[attr-defined]
    assert np.array_equal(model.item_counts, expected.item_counts)  # type: ignore[arg-type]
    # where most users have changed, a fit is less work
    cut = cut_at(log, float(np.quantile(log.times, 0.5)))
    fitted = shoal.EASE(l2=10).fit(cut.before, run=ONE)
    assert fitted_to_all(shoal.EASE(l2=10), fitted, cut.before, log, ONE)[1] == 0
    knn = shoal.ItemKNN().fit(cut.before, run=ONE)
    assert fitted_to_all(shoal.ItemKNN(), knn, cut.before, log, ONE)[1] == 0
