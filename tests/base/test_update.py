"""Updates of closed-form models against a fit to the whole changed log, and against numpy."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import shoal
from shoal import artifact
from shoal.base import dual
from shoal.base.closed_form import ClosedForm
from shoal.base.declared import check_shapes, headers_of
from shoal.base.recommender import Recommender
from shoal.base.update import Change, update_pays
from shoal.base.weights import SharedInverse
from shoal.data.changes import changed_users, with_new_rows
from shoal.data.interactions import Interactions
from shoal.errors import ArtifactError, DataError, MemoryBudgetError, ModelError, NotFittedError
from shoal.kernels import woodbury
from shoal.models.dlae import DLAE
from shoal.models.ease import EASE
from shoal.models.edlae import EDLAE
from shoal.models.lae import LAE
from shoal.models.pruned_ease import PrunedEASE
from shoal.models.rdlae import RDLAE
from shoal.models.registry import by_name
from shoal.models.rlae import RLAE
from shoal.run import Run
from shoal.testing import from_dense
from shoal.testing.checks import assert_same_lists

Matrix = NDArray[np.float64]
ONE = Run(threads=1)
SEQUENCES = 4  # random sequences of updates of each model
STEPS = 10  # updates in a row
CLOSE = 1e-4  # of the largest |B|

FAMILY: list[ClosedForm] = [
    EASE(l2=20),
    LAE(l2=60),
    DLAE(l2=10, dropout=0.4),
    EDLAE(l2=10, dropout=0.3),
    RLAE(l2=15, xi=0.3),
    RDLAE(l2=15, xi=0.2, dropout=0.25),
    EASE(l2=20, alpha=0.3),
    EASE(l2=5, beta=0.7),
    RDLAE(l2=15, xi=0.2, dropout=0.5, alpha=0.4, beta=0.5),
]


def called(model: ClosedForm) -> str:
    return f"{model.name}-{model.alpha:g}-{model.beta:g}"


@dataclass
class Log:
    """A log that changes: the value of each pair, and the catalogue of all items so far."""

    valued: bool
    rng: np.random.Generator
    rows: dict[int, dict[int, float]] = field(default_factory=dict)

    def draw(self, items: list[int]) -> dict[int, float]:
        size = int(self.rng.integers(1, min(9, len(items))))
        chosen = self.rng.choice(items, size, replace=False)
        return {int(i): float(self.rng.integers(1, 5)) / 2 if self.valued else 1.0 for i in chosen}

    def of(self, users: list[int], *, values: str | None = None) -> Interactions | None:
        """The rows of some users, read from a frame; None if there are none."""
        table = [(u, i, v) for u in users for i, v in self.rows.get(u, {}).items()]
        if not table:
            return None
        frame = pl.DataFrame(table, schema=["user", "item", "value"], orient="row")
        return shoal.read(frame, values="keep" if self.valued else "binary")  # type: ignore[arg-type]


def start(valued: bool, seed: int, n_users: int = 60, n_items: int = 25) -> Log:
    log = Log(valued, np.random.default_rng(seed))
    for user in range(n_users):
        log.rows[user] = log.draw(list(range(100, 100 + n_items)))
    return log


def step(log: Log) -> tuple[Interactions | None, Interactions | None]:
    """Change the log at random: users added, changed, removed; sometimes with new items."""
    rng = log.rng
    items = sorted({i for row in log.rows.values() for i in row})
    if rng.random() < 0.4:
        items += [int(max(items)) + 1, int(min(items)) - 1]  # before and after the others
    users = [int(u) for u in log.rows]
    touched = [int(u) for u in rng.choice(users, int(rng.integers(0, 6)), replace=False)]
    before = log.of(touched)
    changed = []
    for user in touched:
        if rng.random() < 0.35:
            del log.rows[user]
            continue
        added = {} if rng.random() < 0.2 else log.draw(items)
        kept = {i: v for i, v in log.rows[user].items() if rng.random() < 0.8}
        log.rows[user] = (kept | added) or added or log.draw(items)
        changed.append(user)
    for user in range(max(users) + 1, max(users) + 1 + int(rng.integers(0, 4))):
        log.rows[user] = log.draw(items)
        changed.append(user)
    return log.of(changed), before


def over(items: Any, log: Interactions) -> Interactions:
    """A log over a catalogue, in which items without users may be left."""
    return log.onto_items(items)


def oracle(model: ClosedForm, log: Interactions) -> Matrix:
    """The weights by numpy in float64, from the formulas of the papers."""
    X = log.matrix.toarray().astype(float)
    d, c = np.maximum((X > 0).sum(axis=1), 1), np.maximum((X > 0).sum(axis=0), 1)
    p = getattr(model, "dropout", 0.0)
    ridge = model.l2 + p / (1 - p) * (X**2).sum(axis=0)
    P = np.linalg.inv(X.T @ (X * (d**-model.beta)[:, None]) + np.diag(ridge))
    if isinstance(model, EASE | EDLAE):
        scale = 1 / np.diag(P)
    else:
        xi = getattr(model, "xi", 1.0)
        scale = np.where(1 - ridge * np.diag(P) > xi, (1 - xi) / np.diag(P), ridge)
    B = np.eye(len(P)) - P * scale
    return B * (c**model.alpha)[:, None] / (c**model.alpha)


def assert_close(model: ClosedForm, log: Interactions, close: float = CLOSE) -> None:
    """The model is that of a fit to the whole log over its catalogue, and of numpy."""
    whole = over(model.items, log)
    fitted = type(model)(**model.model_dump()).fit(whole, run=ONE)
    expected, W = oracle(model, whole), np.asarray(model.weights)
    bound = close * np.abs(expected).max()
    np.testing.assert_allclose(W, expected, atol=bound)
    np.testing.assert_allclose(W, np.asarray(fitted.weights), atol=bound)
    np.testing.assert_array_equal(model.item_counts, fitted.item_counts)
    np.testing.assert_array_equal(model.known_items, fitted.known_items)
    seen = whole.indptr, whole.indices
    mine, theirs = (m.rank(whole.matrix, 10, seen, m.known_items) for m in (model, fitted))
    assert_same_lists(*mine, *theirs, tolerance=close)


@pytest.mark.parametrize("valued", [False, True])
@pytest.mark.parametrize("model", FAMILY, ids=called)
def test_many_updates_in_a_row_are_a_fit_to_the_whole_log(model: ClosedForm, valued: bool) -> None:
    for seed in range(SEQUENCES):
        log = start(valued, seed)
        everyone = log.of(list(log.rows))
        assert everyone is not None
        updated = type(model)(**model.model_dump()).fit(everyone, run=ONE)
        done = 0
        for _ in range(STEPS):
            after, before = step(log)
            if after is None and before is None:
                continue
            updated = updated.update(after, before=before, run=ONE)
            done += 1
        everyone = log.of(list(log.rows))
        assert everyone is not None
        assert updated.facts["updates"] == done > 5
        assert_close(updated, everyone)


def random_log(n_users: int = 80, n_items: int = 30, seed: int = 0) -> Interactions:
    dense = (np.random.default_rng(seed).random((n_users, n_items)) < 0.25).astype(float)
    dense[:, 0] = 1  # everyone has this one
    return from_dense(dense)


def users(log: Interactions, *codes: int) -> Interactions:
    return log.take_users(np.array(codes, np.int64))


def test_removing_what_was_added_gives_the_model_back() -> None:
    log = random_log()
    model = EDLAE(l2=10, dropout=0.3).fit(log.take_users(np.arange(60)), run=ONE)
    there = model.update(log.take_users(np.arange(60, 80)), run=ONE)
    back = there.update(None, before=log.take_users(np.arange(60, 80)), run=ONE)
    np.testing.assert_allclose(back.weights, model.weights, atol=1e-6)
    assert np.abs(np.asarray(there.weights) - np.asarray(model.weights)).max() > 1e-2
    assert_close(there, log)


def test_one_update_at_once_is_many_in_a_row() -> None:
    log = random_log(1400, 40)  # more rows than one block of corrections holds
    first = EASE(l2=10).fit(log.take_users(np.arange(100)), run=ONE)
    at_once = first.update(log.take_users(np.arange(100, 1400)), run=ONE)
    assert at_once.facts["updated_rank"] == 1300 > 2 * woodbury.BLOCK
    in_a_row = first
    for begin in range(100, 1400, 130):
        in_a_row = in_a_row.update(log.take_users(np.arange(begin, begin + 130)), run=ONE)
    assert in_a_row.facts["updates"] == 10
    np.testing.assert_allclose(in_a_row.weights, at_once.weights, atol=2e-5)
    assert_close(at_once, log)


def test_the_old_model_is_as_it_was_and_rows_that_stay_cost_nothing() -> None:
    log = random_log()
    model = EASE(l2=10).fit(log, run=ONE)
    before = {n: a.copy() for n, a in model.state().items()}
    more = replace(log.keep(log.user_codes != 3))
    updated = model.update(more, before=log, run=ONE)  # all users, of whom one is changed
    assert updated.facts["updated_rank"] == 1
    for name, array in model.state().items():
        np.testing.assert_array_equal(array, before[name])
    same = model.update(log, before=log, run=ONE)
    assert same.facts["updated_rank"] == 0
    np.testing.assert_allclose(same.weights, model.weights, atol=1e-6)


def test_an_item_that_loses_its_last_user_is_as_one_without_users() -> None:
    dense = random_log().matrix.toarray()
    dense[:, 7] = 0
    dense[[4, 9], 7] = 1
    log = from_dense(dense)
    model = RDLAE(l2=10, xi=0.2, dropout=0.3, alpha=0.3).fit(log, run=ONE)
    updated = model.update(None, before=users(log, 4, 9), run=ONE)
    assert updated.item_counts is not None
    assert updated.item_counts[7] == 0
    W = np.asarray(updated.weights)
    assert not np.delete(W[7], 7).any()
    assert not np.delete(W[:, 7], 7).any()
    assert not updated.known_items[7]
    assert_close(updated, users(log, *(u for u in range(80) if u not in (4, 9))))


def test_a_saved_model_is_updated_as_the_fitted_one_and_says_so(tmp_path: Path) -> None:
    log = random_log()
    model = EDLAE(l2=10, dropout=0.2, alpha=0.2).fit(log.take_users(np.arange(60)), run=ONE)
    artifact.save(model, tmp_path / "m")
    loaded = artifact.load(tmp_path / "m")
    more = log.take_users(np.arange(60, 80))
    one, two = model.update(more, run=ONE), loaded.update(more, run=ONE)
    artifact.save(two, tmp_path / "m")
    again = artifact.load(tmp_path / "m")
    assert isinstance(again, EDLAE)
    np.testing.assert_array_equal(again.weights, one.weights)
    assert again.facts == two.facts
    assert again.facts["updates"] == 1
    assert again.facts["updated_rank"] == 20 + log.n_items
    assert again.preparation == model.preparation
    np.testing.assert_array_equal(again.item_counts, log.item_counts)
    back = again.update(None, before=more, run=ONE)
    np.testing.assert_allclose(back.weights, model.weights, atol=1e-6)


def test_the_fingerprint_tells_what_was_done() -> None:
    log = random_log()
    model = EASE(l2=10).fit(log, run=ONE)
    again = EASE(l2=10).fit(log, run=ONE)
    gone = [m.update(None, before=users(log, 4), run=ONE) for m in (model, again)]
    assert gone[0].fingerprint == gone[1].fingerprint
    other = model.update(None, before=users(log, 5), run=ONE)
    back = gone[0].update(users(log, 4), run=ONE)
    prints = {m.fingerprint for m in (model, gone[0], other, back)}
    assert len(prints) == 4
    assert all(len(p) == 64 for p in prints)


def test_new_items_bring_their_attributes_and_old_ones_keep_theirs() -> None:
    rows = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "z"), ("c", "y"), ("c", "z")]
    log = shoal.read(pl.DataFrame(rows, schema=["user", "item"], orient="row"))
    log = log.with_item_table(pl.DataFrame({"item": ["x", "y", "z"], "title": ["X", "Y", "Z"]}))
    model = EASE(l2=1).fit(log, run=ONE)
    more = shoal.read(pl.DataFrame({"user": ["d", "d"], "item": ["x", "xx"]}))
    more = more.with_item_table(pl.DataFrame({"item": ["x", "xx"], "title": ["other", "XX"]}))
    updated = model.update(more, run=ONE)
    assert updated.item_table["item"].to_list() == ["x", "xx", "y", "z"]
    assert updated.item_table["title"].to_list() == ["X", "XX", "Y", "Z"]
    assert model.n_items == 3
    best = shoal.recommend(updated, ["x"], k=3).items
    assert best[0] in ("xx", "y", "z")


def test_models_of_a_grid_hold_p_itself_and_are_updated_too() -> None:
    log = random_log()
    old, more = log.take_users(np.arange(60)), log.take_users(np.arange(60, 80))
    grid = [{"l2": 10, "dropout": 0.3, "xi": xi} for xi in (0.0, 0.3)]
    for _, model in RDLAE.fit_grid(grid, old, run=ONE):
        assert isinstance(model, RDLAE)
        assert isinstance(model._weights, SharedInverse)
        assert_close(model.update(more, run=ONE), log)


def test_numbers_of_a_text_log_and_of_a_frame_are_the_same_items() -> None:
    log = random_log()
    model = EASE(l2=10).fit(log.take_users(np.arange(60)), run=ONE)
    more = log.take_users(np.arange(60, 80))
    texts = pl.DataFrame(
        {
            "user": pl.Series(more.users.take(more.user_codes)).cast(pl.String),
            "item": pl.Series(more.items.take(more.indices)).cast(pl.String),
        }
    )
    updated = model.update(shoal.read(texts), run=ONE)
    assert updated.items == model.items
    assert_close(updated, log)


# -- what is refused ------------------------------------------------------------------------


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
    assert not update_pays(10_000, 15_000, pairs)
    assert not update_pays(100, 10_000, 1e6)
    turns = [r for r in range(1, 20_000, 100) if not update_pays(10_000, r, pairs)]
    assert turns == list(range(turns[0], 20_000, 100))  # there is one turning point
    assert update_pays(10_000, turns[0], 1e13)  # XᵀX alone is a lot of work


def test_a_model_says_whether_an_update_pays() -> None:
    old = random_log(1500, 600)
    new = old.take_users(np.arange(5, 1500))
    before, after = changed_users(old, new)
    assert (before.n_users, after.n_users) == (5, 0)
    ease, edlae = EASE(l2=10).fit(old, run=ONE), EDLAE(l2=10, dropout=0.3).fit(old, run=ONE)
    assert ease.update_pays(before, after, new)
    assert not edlae.update_pays(before, after, new)  # almost all items change with them
    assert not ease.update_pays(old, after, new)  # everybody goes
    assert not EASE(l2=10, nonnegative=True).fit(old, run=ONE).update_pays(before, after, new)
    assert not by_name("popularity")().fit(old, run=ONE).update_pays(before, after, new)


def test_changed_users_are_those_whose_rows_differ() -> None:
    old = from_dense([[1, 1, 0], [0, 1, 1], [1, 0, 1], [0, 0, 1]])
    rows = [(1, 101), (2, 101), (2, 102), (3, 100), (3, 102), (9, 103)]
    new = shoal.read(pl.DataFrame(rows, schema=["user", "item"], orient="row"))
    before, after = changed_users(old, new)
    assert before.users.take([0, 1]) == [1, 4]  # 1 has lost an item, 4 is gone
    assert after.users.take([0, 1]) == [1, 9]
    assert before.items == after.items
    assert before.history_of(1) == [100, 101]
    assert after.history_of(1) == [101]
    assert len(before.users) == len(after.users) == 2
    valued = replace(old, values=np.array([1, 1, 2, 1, 1, 1, 1], np.float32))
    assert changed_users(old, valued)[0].users.take([0]) == [2]
    assert changed_users(valued, valued)[0].n_users == 0


@pytest.mark.parametrize("duplicates", ["last", "first", "sum"])
@pytest.mark.parametrize("values", ["binary", "keep", "log1p"])
def test_new_rows_join_old_ones_as_reading_both_does(duplicates: Any, values: Any) -> None:
    rng = np.random.default_rng(5)
    rows = pl.DataFrame(
        {
            "user": rng.integers(0, 12, 160),
            "item": rng.integers(0, 9, 160),
            "value": rng.integers(1, 6, 160).astype(float),
            "time": rng.permutation(160),
        }
    )
    options = {"values": values, "duplicates": duplicates}
    old, new = shoal.read(rows[:120], **options), shoal.read(rows[120:], **options)
    joined = with_new_rows(old, new, duplicates)
    whole = shoal.read(rows, **options)
    whole = whole.take_users(whole.users.match(new.users)).without_unused()
    assert joined.users == whole.users
    assert joined.items == whole.items
    np.testing.assert_array_equal(joined.indptr, whole.indptr)
    np.testing.assert_array_equal(joined.indices, whole.indices)
    if values == "binary":
        assert joined.values is None
    else:
        np.testing.assert_allclose(joined.values, whole.values, rtol=1e-6)
