"""What updates of closed-form models refuse, what they cost, and when they pay."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import shoal
from shoal import artifact
from shoal.base import dual
from shoal.base.declared import check_shapes, headers_of
from shoal.base.recommender import Recommender
from shoal.base.update import Change, update_pays
from shoal.data.changes import changed_users
from shoal.errors import ArtifactError, DataError, MemoryBudgetError, ModelError, NotFittedError
from shoal.models.ease import EASE
from shoal.models.edlae import EDLAE
from shoal.models.pruned_ease import PrunedEASE
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.testing import from_dense

from .update_helpers import ONE, random_log, users


def test_models_that_cannot_be_updated_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    log = random_log()
    few = users(log, 0, 1)
    refused: list[tuple[Recommender, str]] = [
        (EASE(l2=10, nonnegative=True), "changes the weights after the inverse"),
        (PrunedEASE(l2=10), "changes the weights after the inverse"),
        (by_name("popularity")(), "popularity takes new users by a fit only"),
        (by_name("slim")(), "slim takes new users by a fit only"),
    ]
    for model, why in refused:
        with pytest.raises(ModelError, match=why):
            model.fit(log, run=ONE).update(few, run=ONE)
    with pytest.raises(NotFittedError, match="has not been fitted"):
        EASE().update(few)
    monkeypatch.setattr(dual, "chosen", lambda *_: True)
    by_users = EASE(l2=10).fit(log, run=ONE)
    assert by_users.facts["dual"] == 1
    with pytest.raises(ModelError, match="solved for users"):
        by_users.update(few, run=ONE)


def test_a_model_that_an_older_shoal_saved_needs_one_more_fit(tmp_path: Path) -> None:
    log = random_log()
    model = EASE(l2=10).fit(log, run=ONE)
    older = EASE(l2=10)
    older.restore({"weights": np.asarray(model.weights)})
    older.restore_catalogue(
        model.items, model.item_table, model.fingerprint, {}, item_counts=model.item_counts
    )
    artifact.save(older, tmp_path / "m")
    loaded = artifact.load(tmp_path / "m")  # has the weights alone
    np.testing.assert_array_equal(loaded.score(log.matrix), model.score(log.matrix))
    with pytest.raises(ModelError, match="an older shoal"):
        loaded.update(users(log, 0), run=ONE)
    assert not model.reason_to_refit()


def test_a_part_of_what_is_kept_is_no_model(tmp_path: Path) -> None:
    model = EASE(l2=10).fit(random_log(), run=ONE)
    for name in ("squares", "inverse_diagonal", "probe", "probe_product"):
        state = {n: a for n, a in model.state().items() if n != name}
        with pytest.raises(ArtifactError, match=f"{name}' is missing"):
            check_shapes(model.state_spec(state, model.n_items), headers_of(state), {"n_items": 30})


def test_rows_that_were_never_there_are_not_removed() -> None:
    log = random_log()
    model = EASE(l2=10).fit(log, run=ONE)
    stranger = from_dense(np.ones((1, 31)))  # one item more than the model has
    with pytest.raises(DataError, match="item 130 of the rows to be removed is none"):
        model.update(None, before=stranger, run=ONE)
    dense = log.matrix.toarray()
    dense[:, 5] = 0
    model = EASE(l2=10).fit(from_dense(dense), run=ONE)
    with pytest.raises(DataError, match="more rows of item 105"):
        model.update(None, before=users(log, *range(80)), run=ONE)
    rare = np.zeros((40, 30))
    rare[:, :3] = 1
    once = EASE(l2=0.5).fit(from_dense(np.vstack([rare, np.eye(30)])), run=ONE)
    two = np.zeros((1, 30))
    two[0, [10, 11]] = 1  # of two users who have one each: what is left would be indefinite
    with pytest.raises(ModelError, match="not all in the training data"):
        once.update(None, before=from_dense(two), run=ONE)


def test_bad_logs_are_refused() -> None:
    log = random_log()
    model = EASE(l2=10).fit(replace(log, preparation={"values": "binary"}), run=ONE)
    nobody = log.take_users(np.empty(0, np.int64))
    with pytest.raises(DataError, match="nothing to update with"):
        model.update(None, run=ONE)
    for given in ({"log": nobody}, {"log": nobody, "before": nobody}):
        with pytest.raises(DataError, match="no row to add or to remove"):
            model.update(**given, run=ONE)
    with pytest.raises(DataError, match="no interaction is left"):
        model.update(None, before=log, run=ONE)
    values = np.ones(len(log), np.float32)
    values[3] = np.nan
    for given in (
        {"log": replace(log, values=values)},
        {"log": log, "before": replace(log, values=values)},
    ):
        with pytest.raises(DataError, match="NaN"):
            model.update(**given, run=ONE)
    kept = replace(users(log, 3), preparation={"values": "keep"})
    with pytest.raises(DataError, match=r"values='binary', and this one .* values='keep'"):
        model.update(kept, run=ONE)
    words = shoal.read(pl.DataFrame({"user": ["a", "a"], "item": ["x", "y"]}))
    with pytest.raises(DataError, match="'x' is no id like those"):
        model.update(words, run=ONE)
    huge = replace(users(log, 3), values=np.full(len(users(log, 3)), 1e16, np.float32))
    with pytest.raises(ModelError, match="too large for float32"):
        model.update(huge, run=ONE)


def test_a_result_that_is_not_accurate_is_refused() -> None:
    log = random_log()
    model = EASE(l2=10).fit(log, run=ONE)
    assert model._kept is not None
    model._kept = replace(model._kept, diagonal=model._kept.diagonal * np.float32(1.01))
    with pytest.raises(ModelError, match=r"off by 0\.\d+, .*: fit it again"):
        model.update(users(log, 3), run=ONE)


def test_the_memory_is_refused_before_it_is_taken_and_no_more_is_taken() -> None:
    log = random_log(1200, 900)
    model = EASE(l2=300).fit(log, run=ONE)
    with pytest.raises(MemoryBudgetError, match=r"900 items needs \d.* the budget is 1.0 MB"):
        model.update(None, before=users(log, 3), run=Run(memory=10**6))
    few = users(log, *range(600))
    model.update(None, before=few, run=ONE)  # kernels are there
    tracemalloc.start()
    model.update(None, before=few, run=ONE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    change = Change.of(
        "ease", model.items, log.item_counts, model._kept.squares, few.take_users([]), few,
        l2=300.0, dropout=0.0, beta=0.0,
    )  # fmt: skip
    assert peak <= change.bytes_needed() <= 1.5 * peak


def test_an_update_pays_until_it_is_as_much_work_as_a_fit() -> None:
    """n = 10,000: a fit takes n³ = 10¹² flops, an update of rank r takes r·10⁸."""
    pairs = 1e9
    assert update_pays(10_000, 1, pairs)
    assert update_pays(10_000, 2_000, pairs)
    assert not update_pays(10_000, 30_000, pairs)
    assert not update_pays(100, 10_000, 1e6)
    turns = [r for r in range(1, 20_000, 100) if not update_pays(10_000, r, pairs)]
    assert turns == list(range(turns[0], 20_000, 100))  # there is one turning point
    assert update_pays(10_000, turns[0], 1e13)  # XᵀX alone is a lot of work


def test_a_model_says_whether_an_update_pays() -> None:
    old = random_log(1500, 1500, share=0.05)
    new = old.take_users(np.arange(5, 1500))
    before, after = changed_users(old, new)
    assert (before.n_users, after.n_users) == (5, 0)
    ease, edlae = EASE(l2=10).fit(old, run=ONE), EDLAE(l2=10, dropout=0.3).fit(old, run=ONE)
    assert ease.update_pays(before, after, new)
    assert edlae.update_pays(old.take_users(np.array([3])), after, new)
    few = old.take_users(np.arange(0, 60)), after, old.take_users(np.arange(60, 1500))
    assert ease.update_pays(*few)
    assert not edlae.update_pays(*few)  # almost all items change with them
    assert not ease.update_pays(old, after, new)  # everybody goes
    assert not EASE(l2=10, nonnegative=True).fit(old, run=ONE).update_pays(before, after, new)
    assert not by_name("popularity")().fit(old, run=ONE).update_pays(before, after, new)
