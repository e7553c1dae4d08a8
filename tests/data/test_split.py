"""Splits: sizes as asked, the same draw for the same seed, and nothing held out ever seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.typing import NDArray
from pydantic import PrivateAttr

from shoal.data.interactions import Interactions
from shoal.data.read import read
from shoal.data.split import HeldOut, Split, given, item_frame, split
from shoal.errors import DataError
from shoal.evaluation.evaluate import evaluate
from shoal.models.contract import CSR, Arrays, Recommender
from shoal.run import Run

Pair = tuple[Any, Any]


def random_log(seed: int = 0, n_users: int = 60, n_items: int = 30, **options: Any) -> Interactions:
    """Users u0, u1, ... with 1 to 12 items, at distinct times, rows shuffled."""
    return read(random_frame(seed, n_users, n_items), **options)


def random_frame(seed: int, n_users: int, n_items: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = [
        (3 * u, f"i{i}")
        for u in range(n_users)
        for i in rng.choice(n_items, rng.integers(1, 13), replace=False)
    ]
    order, times = rng.permutation(len(rows)), rng.permutation(len(rows))
    return pl.DataFrame(
        {
            "user": [rows[k][0] for k in order],
            "item": [rows[k][1] for k in order],
            "time": [int(times[k]) for k in order],
        }
    )


def pairs(log: Interactions) -> set[Pair]:
    return set(zip(log.users.take(log.user_codes), log.items.take(log.indices), strict=True))


def times(log: Interactions) -> dict[Pair, Any]:
    assert log.times is not None
    named = zip(log.users.take(log.user_codes), log.items.take(log.indices), strict=True)
    return dict(zip(named, log.times.tolist(), strict=True))


def users(log: Interactions) -> set[Any]:
    return set(log.users.take(np.arange(log.n_users)))


def items(log: Interactions) -> list[Any]:
    return log.items.take(np.arange(log.n_items))


def of_user(some: set[Pair], user: Any) -> set[Any]:
    return {i for u, i in some if u == user}


def folds(found: Split) -> list[HeldOut]:
    return [fold for fold in (found.validation, found.test) if fold is not None]


def everything(found: Split) -> list[set[Pair]]:
    parts = [pairs(found.train)]
    for fold in folds(found):
        parts += [pairs(fold.history), pairs(fold.target)]
    return parts


KINDS: dict[str, Callable[[Interactions, int], Split]] = {
    "strong": lambda log, seed: split(log, "strong", seed=seed, test=12, validation=9),
    "weak": lambda log, seed: split(log, "weak", seed=seed),
    "leave-last": lambda log, seed: split(log, "leave-last", seed=seed, last=2),
    "time": lambda log, seed: split(log, "time", seed=seed),
    "mult-vae": lambda log, seed: split(log, "strong", seed=seed, test=12, protocol="mult-vae"),
    "given": lambda log, seed: given(*in_two(log), validation=0.2, seed=seed),
}


def in_two(log: Interactions) -> tuple[Interactions, Interactions]:
    """Cut a log as two files would be: every third interaction is for the test."""
    third = np.arange(len(log)) % 3 == 2
    return log.keep(~third).without_unused(), log.keep(third).without_unused()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 1])
def test_every_split_is_sound(kind: str, seed: int) -> None:
    log = random_log(seed)
    found = KINDS[kind](log, seed)
    whole, train = pairs(log), pairs(found.train)
    assert folds(found)
    for fold in folds(found):
        history, target = pairs(fold.history), pairs(fold.target)
        assert not history & target
        assert not target & train
        assert history | target <= whole
        assert fold.history.users == fold.target.users
        assert fold.history.items == fold.target.items == found.train.items
        assert (np.diff(fold.history.indptr) > 0).all()
        assert (np.diff(fold.target.indptr) > 0).all()
        np.testing.assert_array_equal(fold.train_counts, found.train.item_counts)
        assert fold.n_users == fold.history.n_users
    if found.validation is not None:
        assert not pairs(found.validation.target) & pairs(found.test.target)
    again = KINDS[kind](random_log(seed), seed)
    assert everything(again) == everything(found)


@pytest.mark.parametrize("kind", ["strong", "weak", "given"])
def test_another_seed_draws_otherwise(kind: str) -> None:
    log = random_log()
    assert everything(KINDS[kind](log, 0)) != everything(KINDS[kind](log, 1))


@pytest.mark.parametrize("kind", ["leave-last", "time", "mult-vae"])
def test_these_do_not_depend_on_the_seed(kind: str) -> None:
    log = random_log()
    assert everything(KINDS[kind](log, 0)) == everything(KINDS[kind](log, 1))


class Recording(Recommender):
    """A model that recommends nothing in particular and remembers all it was shown."""

    name = "recording"

    _fitted_on: list[Interactions] = PrivateAttr(default_factory=list)
    _seen: list[CSR] = PrivateAttr(default_factory=list)

    def _fit(self, interactions: Interactions, validation: HeldOut | None, run: Run) -> None:
        self._fitted_on.append(interactions)

    def _score(self, histories: CSR) -> NDArray[np.float32]:
        self._seen.append(histories.copy())
        return np.zeros(histories.shape, np.float32)

    def state(self) -> Arrays:
        return {}

    def restore(self, state: Arrays) -> None:
        pass


@pytest.mark.parametrize("kind", KINDS)
def test_no_held_out_pair_reaches_a_model(kind: str) -> None:
    found = KINDS[kind](random_log(3), 3)
    for fold in folds(found):
        model = Recording()
        model.fit(found.train)
        evaluate(model, fold, ["recall@5"])
        held_out = fold.target.matrix.toarray() > 0
        shown = np.vstack([block.toarray() for block in model._seen])
        assert shown.shape == held_out.shape  # every user was asked for, once
        assert not ((shown != 0) & held_out).any()
        assert (shown != 0).any(axis=1).all()
        (fitted_on,) = model._fitted_on
        assert not pairs(fitted_on) & pairs(fold.target)


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


# -- given ----------------------------------------------------------------------------------


def log_of(text: str, **options: Any) -> Interactions:
    """``"1ab 2c"``: user 1 has items a and b, user 2 has c."""
    rows = [(int(word[0]), item) for word in text.split() for item in word[1:]]
    return read(pl.DataFrame(rows, schema=["user", "item"], orient="row"), **options)


def test_given_files() -> None:
    found = given(log_of("1ab 2bc 3ad"), log_of("1bx 2a 3d 4ab"))
    assert items(found.train) == ["a", "b", "c", "d", "x"]
    assert pairs(found.train) == pairs(log_of("1ab 2bc 3ad"))
    assert found.validation is None
    # 1b and 3d are known already; then 3 has nothing to find, and 4 is unknown
    assert pairs(found.test.target) == {(1, "x"), (2, "a")}
    assert pairs(found.test.history) == {(1, "a"), (1, "b"), (2, "b"), (2, "c")}
    assert found.test.dropped == 2
    assert found.test.train_counts.tolist() == [2, 2, 1, 1, 0]


def test_given_with_validation() -> None:
    train, test = in_two(random_log())
    found = given(train, test, validation=0.25, seed=1)
    assert found.validation is not None
    cut = pairs(found.validation.target)
    assert pairs(found.train) | cut == pairs(train)
    assert not pairs(found.train) & cut
    for user in users(train):
        n = len(of_user(pairs(train), user))
        assert len(of_user(cut, user)) == (0 if n == 1 else max(1, round(0.25 * n)))
    plain = given(train, test)
    # what is cut off for validation is history again at test
    assert pairs(found.test.history) == pairs(plain.test.history)
    assert pairs(found.test.target) == pairs(plain.test.target)
    assert pairs(found.validation.history) == {
        p for p in pairs(found.train) if p[0] in users(found.validation.target)
    }


def test_given_files_that_do_not_fit_together() -> None:
    train = log_of("1ab 2bc")
    with pytest.raises(DataError, match="no user of the test file stands in the training file"):
        given(train, log_of("7ab 8bc"))
    for share in (-0.1, 1, 3, float("nan")):
        with pytest.raises(DataError, match="give a share of each user's items below 1"):
            given(train, train, validation=share)
    with pytest.raises(DataError, match="no user has both"):
        given(train, train)


def test_given_joins_number_ids_with_text_ids_as_text() -> None:
    """What two CSV files give when one of them happens to have numbers only."""
    train = read(pl.DataFrame({"user": [1, 1, 2, 2], "item": [10, 11, 11, 12]}))
    test = read(pl.DataFrame({"user": [1, 2], "item": ["x1", "10"]}))
    found = given(train, test)
    assert found.train.items.take(range(4)) == ["10", "11", "12", "x1"]
    assert pairs(found.test.target) == {(1, "x1"), (2, "10")}
    assert pairs(found.test.history) == {(1, "10"), (1, "11"), (2, "11"), (2, "12")}


def test_given_matches_users_across_text_and_numbers() -> None:
    test = pl.DataFrame({"user": ["1", "2"], "item": ["c", "a"]})
    found = given(log_of("1ab 2bc"), read(test))
    assert len(found.test.target) == 2


def test_titles_survive_every_split() -> None:
    names = pl.DataFrame(
        {"item": [f"i{k}" for k in range(30)], "title": [f"Title {k}" for k in range(30)]}
    )
    log = random_log(items=names)
    for make in KINDS.values():
        found = make(log, 0)
        for part in (found.train, found.test.history, found.test.target):
            assert item_frame(part).rows() == [(i, f"Title {i[1:]}") for i in items(part)]
    one = log_of("1ab 2bc", items=pl.DataFrame({"item": ["a", "b"], "title": ["A", "B"]}))
    other = log_of("1c 2a", items=pl.DataFrame({"item": ["a", "c"], "year": [1, 3]}))
    assert item_frame(given(one, other).train).to_dicts() == [
        {"item": "a", "title": "A", "year": 1},
        {"item": "b", "title": "B", "year": None},
        {"item": "c", "title": None, "year": 3},
    ]
    assert item_frame(log_of("1ab 2b")).to_dict(as_series=False) == {"item": ["a", "b"]}


# -- the published recipe, written anew in pandas -------------------------------------------


def liang(log: pd.DataFrame, n_held: int) -> dict[str, set[Pair]]:
    """Liang et al. 2018, step by step; `log` has columns user and item, in file order."""
    # as their notebook does, sorted unique ids, then one permutation
    ids = np.array(sorted(log["user"].unique()), dtype=object)
    generator = np.random.RandomState(98765)
    ids = ids[generator.permutation(ids.size)]
    groups = {
        "train": ids[: ids.size - 2 * n_held],
        "validation": ids[ids.size - 2 * n_held : ids.size - n_held],
        "test": ids[ids.size - n_held :],
    }
    train = log[log["user"].isin(groups["train"])]
    vocabulary = set(train["item"].unique())
    found = {"train": set(train[["user", "item"]].itertuples(index=False, name=None))}
    for name in ("validation", "test"):
        generator = np.random.RandomState(98765)
        plays = log[log["user"].isin(groups[name]) & log["item"].isin(vocabulary)]
        history, target = set(), set()
        for user, group in plays.groupby("user", sort=True):
            played = group["item"].tolist()
            held = np.zeros(len(played), dtype=bool)
            if len(played) >= 5:
                held[generator.choice(len(played), size=int(0.2 * len(played)), replace=False)] = (
                    True
                )
            target |= {(user, i) for i, h in zip(played, held, strict=True) if h}
            history |= {(user, i) for i, h in zip(played, held, strict=True) if not h}
        evaluated = {u for u, _ in target}
        found[f"{name} history"] = {p for p in history if p[0] in evaluated}
        found[f"{name} target"] = target
        found[f"{name} dropped"] = {(u, None) for u in set(groups[name]) - evaluated}
    return found


def assert_as_published(log: Interactions, published: dict[str, set[Pair]], n_held: int) -> None:
    found = split(log, "strong", test=n_held, protocol="mult-vae")
    assert found.validation is not None
    assert pairs(found.train) == published["train"]
    for name, fold in (("validation", found.validation), ("test", found.test)):
        assert pairs(fold.history) == published[f"{name} history"]
        assert pairs(fold.target) == published[f"{name} target"]
        assert fold.dropped == len(published[f"{name} dropped"])


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("text", [False, True])
def test_mult_vae_in_the_order_of_the_file(seed: int, text: bool) -> None:
    frame = random_frame(seed, 90, 40)
    if text:  # whose order is not that of the numbers
        frame = frame.cast({"user": pl.String})
    log = read(frame, file_order=True)
    assert_as_published(log, liang(frame.to_pandas(), 20), 20)


@pytest.mark.parametrize("seed", [0, 1])
def test_mult_vae_in_canonical_order(seed: int) -> None:
    frame = random_frame(seed, 90, 40)
    in_order = frame.sort("user", "item")
    assert_as_published(read(frame), liang(in_order.to_pandas(), 20), 20)
    shuffled = liang(frame.to_pandas(), 20)
    with pytest.raises(AssertionError):  # the order does matter
        assert_as_published(read(frame), shuffled, 20)


def test_mult_vae_on_movielens_1m(shoal_data: Callable[[str], Path]) -> None:
    path = shoal_data("ml-1m") / "interactions.parquet"
    log = read(path, min_value=4, min_user_items=5, file_order=True)
    frame = pd.read_parquet(path)
    frame = frame[frame["rating"] > 3.5]
    frame = frame[frame.groupby("user")["item"].transform("size") >= 5]
    assert_as_published(log, liang(frame[["user", "item"]], 500), 500)


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
