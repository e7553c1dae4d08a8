"""Updates of closed-form models against a fit to the whole changed log, and against numpy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

import shoal
from shoal.base.closed_form import ClosedForm
from shoal.data.interactions import Interactions
from shoal.models.dlae import DLAE
from shoal.models.ease import EASE
from shoal.models.edlae import EDLAE
from shoal.models.lae import LAE
from shoal.models.rdlae import RDLAE
from shoal.models.rlae import RLAE
from shoal.run import Run
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
