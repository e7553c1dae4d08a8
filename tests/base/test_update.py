"""Updates of closed-form models against a fit to the whole changed log, and against numpy."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import shoal
from shoal import artifact
from shoal.base.closed_form import ClosedForm
from shoal.base.weights import SharedInverse
from shoal.data.interactions import Interactions
from shoal.kernels import woodbury
from shoal.models.dlae import DLAE
from shoal.models.ease import EASE
from shoal.models.edlae import EDLAE
from shoal.models.lae import LAE
from shoal.models.rdlae import RDLAE
from shoal.models.rlae import RLAE
from shoal.testing import from_dense
from shoal.testing.checks import assert_same_lists

from .update_helpers import ONE, random_log, users

Matrix = NDArray[np.float64]
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
