"""Splits of one log, kind by kind: sizes as asked, and what is refused."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from shoal.data.interactions import Interactions
from shoal.data.read import read
from shoal.errors import DataError
from shoal.splitting.held_out import Split
from shoal.splitting.split import split

from .split_helpers import Pair, folds, items, of_user, pairs, random_log, users


def times(log: Interactions) -> dict[Pair, Any]:
    assert log.times is not None
    named = zip(log.users.take(log.user_codes), log.items.take(log.indices), strict=True)
    return dict(zip(named, log.times.tolist(), strict=True))


# -- strong ---------------------------------------------------------------------------------


def test_strong_holds_out_whole_users() -> None:
    log = random_log()
    found = split(log, "strong", seed=4, test=12, validation=9)
    assert found.validation is not None
    groups = [users(found.train), users(found.validation.history), users(found.test.history)]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    assert not groups[1] & groups[2]
    assert len(groups[0]) == log.n_users - 21
    assert len(groups[1]) + found.validation.dropped == 9
    assert len(groups[2]) + found.test.dropped == 12
    assert pairs(found.train) == {(u, i) for u, i in pairs(log) if u in groups[0]}
    assert set(items(found.train)) == {i for _, i in pairs(found.train)}

    known = set(items(found.train))
    for fold in folds(found):
        history, target = pairs(fold.history), pairs(fold.target)
        for user in users(fold.history):
            all_items = of_user(pairs(log), user) & known
            held_out = of_user(target, user)
            assert of_user(history, user) | held_out == all_items
            assert len(held_out) == max(1, round(0.2 * len(all_items)))


def test_strong_sizes_as_shares() -> None:
    log = random_log(n_users=80)
    found = split(log, "strong", test=0.25, validation=0, target_share=0.5)
    assert found.validation is None
    assert found.test.n_users + found.test.dropped == 20
    assert found.train.n_users == 60
    for user in users(found.test.target):
        n, n_target = (
            len(of_user(pairs(found.test.history), user)),
            len(of_user(pairs(found.test.target), user)),
        )
        assert abs(n - n_target) <= 1


def test_strong_drops_and_counts_users_of_whom_nothing_can_be_held_out() -> None:
    # everybody has one item
    log = read(pl.DataFrame({"user": range(40), "item": [k % 2 for k in range(40)]}))
    with pytest.raises(DataError, match="no user has both a history and a held-out item"):
        split(log, "strong", test=10, validation=0)
    more = pl.DataFrame({"user": range(0, 40, 2), "item": [(k + 1) % 2 for k in range(0, 40, 2)]})
    both = read(
        pl.concat([more, pl.DataFrame({"user": range(40), "item": [k % 2 for k in range(40)]})])
    )
    found = split(both, "strong", seed=1, test=20, validation=0)
    held = set(range(40)) - users(found.train)
    assert users(found.test.history) == {u for u in held if u % 2 == 0}
    assert found.test.dropped == sum(u % 2 for u in held) > 0


# -- weak -----------------------------------------------------------------------------------


def test_weak_holds_out_a_share_of_every_user() -> None:
    log = random_log()
    found = split(log, "weak", seed=2, test=0.3, validation=0.2)
    assert found.validation is not None
    train, target = pairs(found.train), pairs(found.test.target)
    middle = pairs(found.validation.target)
    assert train | middle | target == pairs(log)
    assert len(train) + len(middle) + len(target) == len(log)
    assert pairs(found.test.history) == {
        p for p in train | middle if p[0] in users(found.test.target)
    }
    assert pairs(found.validation.history) == {
        p for p in train if p[0] in users(found.validation.target)
    }
    for user in users(log):
        n = len(of_user(pairs(log), user))
        assert len(of_user(target, user)) == (0 if n == 1 else max(1, round(0.3 * n)))
    alone = sum(len(of_user(pairs(log), u)) == 1 for u in users(log))
    assert found.test.dropped == alone > 0


def test_weak_without_validation() -> None:
    found = split(random_log(), "weak", validation=0)
    assert found.validation is None
    assert not pairs(found.train) & pairs(found.test.target)


# -- leave-last -----------------------------------------------------------------------------


@pytest.mark.parametrize("last", [1, 2])
@pytest.mark.parametrize("with_validation", [True, False])
def test_leave_last_leaves_the_latest(last: int, with_validation: bool) -> None:
    log = random_log()
    found = split(log, "leave-last", last=last, validation=None if with_validation else 0)
    when = times(log)
    for user in users(log):
        in_time = sorted(of_user(pairs(log), user), key=lambda i, u=user: when[u, i])  # type: ignore[misc]
        held = 2 * last if with_validation else last
        if len(in_time) <= held:
            assert of_user(pairs(found.train), user) == set(in_time)
            assert user not in users(found.test.target)
            continue
        assert of_user(pairs(found.test.target), user) == set(in_time[-last:])
        assert of_user(pairs(found.test.history), user) == set(in_time[:-last])
        assert of_user(pairs(found.train), user) == set(in_time[:-held])
        if with_validation:
            assert found.validation is not None
            assert of_user(pairs(found.validation.target), user) == set(in_time[-held:-last])
            assert of_user(pairs(found.validation.history), user) == set(in_time[:-held])
    assert (found.validation is not None) == with_validation
    assert found.test.dropped == log.n_users - found.test.n_users > 0


# -- time -----------------------------------------------------------------------------------


def test_time_cuts_at_two_moments() -> None:
    log = random_log()
    found = split(log, "time", test=0.2, validation=0.1)
    assert found.validation is not None
    when = times(log)
    train = pairs(found.train)
    n = len(log)  # the times are 0 ... n - 1
    first, second = (max(when[p] for p in some) + 1 for some in (train, known_before(found)))
    assert train == {p for p in when if when[p] < first}
    assert abs(first - 0.7 * n) <= 1
    assert abs(second - 0.8 * n) <= 1
    for fold, begin, end in ((found.validation, first, second), (found.test, second, n)):
        before = {u for (u, _), t in when.items() if t < begin}
        within = {(u, i) for (u, i), t in when.items() if begin <= t < end}
        assert pairs(fold.target) == {(u, i) for u, i in within if u in before}
        expected = {u for u, _ in within} & before
        assert pairs(fold.history) == {
            (u, i) for (u, i), t in when.items() if t < begin and u in expected
        }
        assert fold.dropped == log.n_users - len(expected)
    assert {u for (u, _), t in when.items() if t >= second} - users(found.test.history)


def known_before(found: Split) -> set[Pair]:
    assert found.validation is not None
    return pairs(found.test.history) | pairs(found.validation.target) | pairs(found.train)


def test_time_without_validation_and_with_ties() -> None:
    found = split(random_log(), "time", validation=0)
    assert found.validation is None
    assert max(times(found.train).values()) < min(times(found.test.target).values())
    log = read(
        pl.DataFrame({"user": [1, 2, 1, 2, 1, 2], "item": list("abbacd"), "ts": [1, 1, 2, 2, 2, 2]})
    )
    tied = split(log, "time", test=0.5, validation=0)
    assert set(times(tied.train).values()) == {1}
    assert set(times(tied.test.target).values()) == {2}


# -- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "options", "complaint"),
    [
        ("random", {}, "no split 'random'; there are strong, weak, leave-last, time"),
        ("strong", {"test": 60}, "leaves -6 to train on"),
        ("strong", {"test": 0}, "into 6 validation and 0 test users"),
        ("strong", {"test": 30, "validation": 29}, "leaves 1 to train on"),
        ("strong", {"test": -1}, "test=-1: give a share between 0 and 1, or a number"),
        ("strong", {"test": 1.0}, "test=1.0: give a share"),
        ("strong", {"test": 2.5}, "test=2.5: give a share"),
        ("strong", {"validation": float("nan")}, "validation=nan: give a share"),
        ("strong", {"target_share": 0}, "target_share=0: must lie between 0 and 1"),
        ("strong", {"target_share": 1}, "target_share=1: must lie"),
        ("strong", {"protocol": "ials"}, "no protocol 'ials'; there is 'mult-vae'"),
        ("weak", {"protocol": "mult-vae"}, "'mult-vae' is a strong split"),
        ("strong", {"protocol": "mult-vae", "test": 30}, "30 users each of 60 leave none"),
        ("strong", {"protocol": "mult-vae", "test": 0}, "0 users each"),
        ("weak", {"test": 0}, "weak split: test 0"),
        ("weak", {"test": 0.6, "validation": 0.4}, "must add to < 1"),
        ("weak", {"test": 5}, "must add to < 1"),
        ("time", {"test": 0}, "time split: test 0"),
        ("time", {"test": 0.5, "validation": 0.5}, "must add to < 1"),
        ("leave-last", {"last": 0}, "last=0, give 1 or more"),
        ("leave-last", {"last": 50}, "no user has both"),
    ],
)
def test_silly_sizes(kind: Any, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        split(random_log(), kind, **options)


@pytest.mark.parametrize("kind", ["leave-last", "time"])
def test_no_times(kind: Any) -> None:
    log = random_log(columns={"time": "none"})
    with pytest.raises(DataError, match=f"the {kind} split needs times.*columns={{'time'"):
        split(log, kind)


def test_one_moment_cannot_be_cut() -> None:
    log = read(pl.DataFrame({"user": [1, 2, 1], "item": [1, 2, 2], "ts": [5, 5, 5]}))
    with pytest.raises(DataError, match="no cut leaves both"):
        split(log, "time")


def test_a_column_of_ranks_has_no_time_split() -> None:
    rows = pl.DataFrame(
        {"user": [1, 1, 1, 2, 2, 2], "item": [1, 2, 3, 1, 2, 3], "pos": [0, 1, 2] * 2}
    )
    log = read(rows)
    assert log.times_are_ranks
    assert any("order of each user's own interactions" in note for note in log.notes)
    with pytest.raises(DataError, match="Use leave-last"):
        split(log, "time")
    assert split(log, "leave-last", validation=0).test.n_users == 2
    assert not read(rows.rename({"pos": "timestamp"})).times_are_ranks
