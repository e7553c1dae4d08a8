"""AutoRec and DeepRec: patterns found again, and no leak."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

import shoal
from shoal.base.rating import RatingRecommender
from shoal.data.interactions import CSR, Interactions
from shoal.errors import DataError, HistoryError, ModelError, NotFittedError
from shoal.experiments.tuning.best_epochs import with_best_epochs
from shoal.experiments.tuning.tune import tune
from shoal.models.autorec import IAutoRec, UAutoRec
from shoal.models.deeprec import DeepRec
from shoal.splitting.ratings import RatingSplit, split_ratings
from shoal.splitting.split import split as split_ranking
from shoal.testing.contract import from_dense
from shoal.training.batches import Batch

from .rating_helpers import ONE, SMALL, batch_of, camps, table

# -- what is learned ------------------------------------------------------------------------

LEARNERS: list[RatingRecommender] = [
    IAutoRec(factors=6, l2=0.01, n_epochs=200),
    UAutoRec(factors=6, l2=0.01, n_epochs=200, optimiser="rprop", lr=0.03),
    UAutoRec(factors=6, l2=0.01, n_epochs=200, optimiser="adam", lr=0.02, batch_size=20),
    DeepRec(hidden="16-8", dropout=0.1, n_epochs=150, lr=0.02, batch_size=20, decay=1.0),
]


@pytest.mark.parametrize("at", range(4))
def test_a_pattern_is_found_again_where_it_was_hidden(at: int) -> None:
    whole, shown = camps()
    model = type(LEARNERS[at])(**LEARNERS[at].model_dump()).fit(from_dense(shown), run=ONE)
    users, items = np.nonzero(shown == 0)
    errors = model.rate(users, items) - whole[users, items]
    # who says 3 is wrong by 1.5; by minibatches it depends on the rounding how near one comes
    minibatches = at > 1
    assert np.abs(errors).mean() < (0.4 if minibatches else 0.1)
    if not model.by_item:  # someone new, who has rated as the second camp does
        new = model.score(CSR(np.where(np.arange(20) < 12, whole[[1]], 0).astype(np.float32)))[0]
        assert np.abs(new[12:] - whole[1, 12:]).mean() < (0.6 if minibatches else 0.3)


def test_the_epoch_that_rates_best_is_kept() -> None:
    parts = split_ratings(from_dense(table(60, 20)), test=0.2, validation=0.2)
    assert parts.validation is not None
    model = UAutoRec(factors=30, l2=0.001, n_epochs=120, patience=0, lr=0.01)
    model.fit(parts.train, parts.validation, ONE)
    curve = [-row["neg_rmse"] for row in model.curve]
    assert model.facts["best_epoch"] == np.argmin(curve) + 1 < 120  # then it learns by heart
    assert model.facts["validation_rmse"] == min(curve)
    truth = parts.validation.values
    predicted = model.rate(parts.validation.user_codes, parts.validation.indices)
    assert np.sqrt(np.mean((predicted - truth) ** 2)) == pytest.approx(min(curve), rel=1e-5)


def test_a_model_for_all_ratings_takes_its_epochs_from_held_out_ones() -> None:
    log = from_dense(table(60, 20))
    chosen = with_best_epochs(UAutoRec(factors=30, l2=0.001, n_epochs=120, lr=0.01), log, ONE)
    assert isinstance(chosen, UAutoRec)
    assert 1 <= chosen.n_epochs < 120
    assert chosen.patience == 0


@pytest.mark.parametrize("at", range(3))
def test_predictions_stay_within_the_range_of_the_ratings(at: int) -> None:
    X = table(30, 12)
    X[X == 1] = 2
    model = type(SMALL[at])(**SMALL[at].model_dump() | {"n_epochs": 3}).fit(from_dense(X), run=ONE)
    users, items = (grid.ravel() for grid in np.indices(X.shape))
    predicted = model.rate(users, items)
    assert predicted.dtype == np.float32
    assert predicted.min() >= 2
    assert predicted.max() <= 5


@pytest.mark.parametrize("at", range(3))
def test_ratings_of_known_users_are_what_the_network_says(at: int) -> None:
    """The tables that are kept, against the network on the training rows."""
    X = table(30, 12)
    model = type(SMALL[at])(**SMALL[at].model_dump() | {"n_epochs": 3})
    log = from_dense(X)
    if model.by_item:
        kept: list[Any] = []
        tabulate = type(model)._tabulate
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                type(model), "_tabulate", lambda m: (tabulate(m), kept.append(m._network))[0]
            )
            model.fit(log, run=ONE)
        batch = batch_of(X.T)
        with torch.inference_mode():
            whole = model._scores(kept[-1], batch).numpy().T
    else:
        whole = model.fit(log, run=ONE).score(log.matrix)
    users, items = (grid.ravel() for grid in np.indices(X.shape))
    expected = whole.ravel().clip(1, 5)
    np.testing.assert_allclose(model.rate(users, items), expected, rtol=1e-4, atol=1e-4)


# -- no leak --------------------------------------------------------------------------------


def each_once() -> Interactions:
    """A log in which every rating is another number, so that a number says which one it is."""
    log = from_dense(table(60, 20))
    return replace(log, values=np.linspace(1, 5, len(log), dtype=np.float32))


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> set[float]:
    """All values that were made into batches: what networks can see."""
    values: set[float] = set()
    real = Batch.of

    def spy(*arguments: Any) -> Batch:
        batch = real(*arguments)
        values.update(batch.values.tolist())
        return batch

    monkeypatch.setattr(Batch, "of", staticmethod(spy))
    return values


@pytest.mark.parametrize("at", range(3))
def test_no_held_out_rating_enters_the_network(at: int, seen: set[float]) -> None:
    parts = split_ratings(each_once(), "random", test=0.2, validation=0.2)
    assert parts.validation is not None
    model = type(SMALL[at])(**SMALL[at].model_dump() | {"n_epochs": 4})
    model.fit(parts.train, parts.validation, ONE)
    shoal.evaluate_ratings(model, parts, ONE)
    shoal.evaluate_ratings(model, parts, ONE, part="validation")
    shoal.predict(model, 1, [100, 101])
    assert seen == set(parts.train.values.tolist())


@pytest.mark.parametrize("at", range(3))
def test_other_test_ratings_change_no_prediction(at: int) -> None:
    log = each_once()
    parts = split_ratings(log, "random", test=0.2)
    held_out = np.isin(log.values, parts.test.values)
    other = split_ratings(
        replace(log, values=np.where(held_out, 6 - log.values, log.values)), "random", test=0.2
    )

    def predictions(parts: RatingSplit) -> tuple[Any, float]:
        model = type(SMALL[at])(**SMALL[at].model_dump() | {"n_epochs": 4})
        model.fit(parts.train, parts.validation, ONE)
        users, items = (grid.ravel() for grid in np.indices((60, 20)))
        return model.rate(users, items), shoal.evaluate_ratings(model, parts)["rmse"]

    (one, rmse), (two, other_rmse) = predictions(parts), predictions(other)
    np.testing.assert_array_equal(one, two)
    assert rmse != other_rmse


# -- in the user's own ids ------------------------------------------------------------------


def named() -> Interactions:
    rng = np.random.default_rng(0)
    rows = [(f"u{u:02}", f"i{i}", int(rng.integers(1, 6))) for u in range(20) for i in range(u % 9)]
    frame = pl.DataFrame(rows, schema=["user", "item", "rating"], orient="row")
    titles = pl.DataFrame({"item": [f"i{i}" for i in range(8)], "title": [*"abcdefgh"]})
    return shoal.read(frame, items=titles, values="keep")


@pytest.mark.parametrize("at", range(3))
def test_a_folder_predicts_as_before_without_the_log(at: int, tmp_path: Path) -> None:
    log = named()
    model = type(SMALL[at])(**SMALL[at].model_dump() | {"n_epochs": 3}).fit(log, run=ONE)
    before = shoal.predict(model, "u07", ["i3", "i0"])
    folder = shoal.save(model, tmp_path / "m")
    assert "users.parquet" in {p.name for p in folder.iterdir()}
    loaded = shoal.load(folder)
    assert loaded.users == log.users
    assert shoal.predict(loaded, "u07", ["i3", "i0"]) == before
    assert [r.item for r in before] == ["i3", "i0"]
    assert before[0].attributes == {"title": "d"}
    assert before.ratings == [r.rating for r in before]
    assert "i3  " in str(before)
    if not model.by_item:
        history = {"i1": 5.0, "i2": 1.0}
        assert shoal.recommend(loaded, history, 3).items == shoal.recommend(model, history, 3).items


def test_cold_ones_are_marked() -> None:
    parts = split_ratings(named(), "random", test=0.5, validation=0)
    counts = np.diff(parts.train.indptr)
    assert (counts == 0).any()
    cold = parts.train.users.take(np.flatnonzero(counts == 0))[0]
    found = shoal.predict(UAutoRec(factors=3, n_epochs=2).fit(parts.train), cold, ["i1", "i2"])
    assert [r.cold for r in found] == [True, True]
    assert found.ratings == [pytest.approx(float(parts.train.values.mean()))] * 2
    assert "(cold)" in str(found)
    three = UAutoRec(factors=3, n_epochs=2, cold=3.0).fit(parts.train)
    assert shoal.predict(three, cold, ["i1"]).ratings == [3.0]


def test_questions_that_have_no_answer_are_refused() -> None:
    log = named()
    model = IAutoRec(factors=3, n_epochs=2).fit(log)
    with pytest.raises(HistoryError, match="user 'ghost' is not among the 17"):
        shoal.predict(model, "ghost", ["i1"])
    with pytest.raises(HistoryError, match=r"1 of 2 items are not in the catalogue of 8: 'nope'"):
        shoal.predict(model, "u03", ["i1", "nope"])
    with pytest.raises(HistoryError, match="is one text"):
        shoal.predict(model, "u03", "i1")
    with pytest.raises(HistoryError, match="no item was asked for"):
        shoal.predict(model, "u03", [])
    with pytest.raises(ModelError, match="ease ranks items and predicts no ratings"):
        shoal.predict(shoal.EASE().fit(log), "u03", ["i1"])
    with pytest.raises(NotFittedError):
        shoal.predict(IAutoRec(), "u03", ["i1"])
    with pytest.raises(ModelError, match="not for histories"):
        shoal.recommend(model, ["i1"], 2)


@pytest.mark.parametrize("kind", [IAutoRec, UAutoRec, DeepRec])
def test_data_without_ratings_are_refused(kind: type[RatingRecommender]) -> None:
    with pytest.raises(DataError, match=r"hold none: read the log with values='keep'"):
        kind().fit(from_dense(table() > 0))
    threes = from_dense(table())
    with pytest.raises(DataError, match="these are all 3"):
        kind().fit(replace(threes, values=np.full(len(threes), 3, np.float32)))


def test_validation_must_be_ratings_of_the_same_users_and_items() -> None:
    log = from_dense(table())
    parts = split_ratings(log)
    model = UAutoRec(factors=2, n_epochs=2)
    with pytest.raises(DataError, match="a split for ranking"):
        model.fit(log, split_ranking(log, "weak").validation)
    with pytest.raises(DataError, match="over other users or items"):
        model.fit(parts.train, from_dense(table(29, 12)))
    assert parts.validation is not None
    with pytest.raises(DataError, match="holds no ratings"):
        model.fit(parts.train, replace(parts.validation, values=None))
    bad = parts.validation.values.copy()
    bad[2] = np.nan
    with pytest.raises(DataError, match="NaN"):
        model.fit(parts.train, replace(parts.validation, values=bad))
    with pytest.raises(ModelError, match="tuning is by metrics of rankings"):
        tune("u-autorec", log, split_ranking(log, "weak").validation)


def test_layers_are_written_with_dashes() -> None:
    assert DeepRec(hidden="256").hidden == "256"
    for wrong in ("512,512", "", "0-3", "a"):
        with pytest.raises(ModelError, match="hidden="):
            DeepRec(hidden=wrong)


def test_a_person_with_ratings_of_their_own_is_rated_like_a_user_with_the_same() -> None:
    """A training user's own ratings, given as a history, are what the network read of them."""
    log = named()
    for model in (UAutoRec(factors=3, n_epochs=5), DeepRec(hidden="5-4-5", n_epochs=5)):
        model.fit(log)
        ratings = log.only_user(7)
        own = dict(zip(log.items.take(ratings.indices), ratings.values.tolist(), strict=True))
        known = shoal.predict(model, log.users.take([7])[0], ["i0", "i3", "i5"])
        found = shoal.predict(model, None, ["i0", "i3", "i5"], history=own | {"nope": 4.0})
        assert found.ratings == pytest.approx(known.ratings, rel=1e-5)
        assert [r.attributes for r in found] == [r.attributes for r in known]
        assert (found.user, found.unknown) == (None, ("nope",))
        assert (found.low, found.high) == (known.low, known.high)
        assert all(found.low <= r.rating <= found.high for r in found)


def test_a_person_of_whom_nothing_is_known_is_cold() -> None:
    log = named()
    model = UAutoRec(factors=3, n_epochs=2).fit(log)
    for history in ({}, {"nope": 4.0}):
        found = shoal.predict(model, None, ["i1", "i2"], history=history)
        assert [r.cold for r in found] == [True, True]
        assert found.ratings == pytest.approx([float(log.values.mean())] * 2)


def test_ratings_that_cannot_be_read_are_refused() -> None:
    model = UAutoRec(factors=3, n_epochs=2).fit(named())
    with pytest.raises(HistoryError, match="not both"):
        shoal.predict(model, "u07", ["i1"], history={"i2": 4.0})
    with pytest.raises(HistoryError, match="holds no ratings"):
        shoal.predict(model, None, ["i1"], history=["i2"])
    with pytest.raises(HistoryError, match="NaN or infinite"):
        shoal.predict(model, None, ["i1"], history={"i2": float("nan")})
    with pytest.raises(ModelError, match="not for histories"):
        shoal.predict(IAutoRec(factors=3, n_epochs=2).fit(named()), None, ["i1"], history={"i2": 4})
