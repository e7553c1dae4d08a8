"""Every split: the same draw for the same seed, and nothing held out ever seen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from pydantic import PrivateAttr

from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR, Interactions
from shoal.data.items import item_frame
from shoal.evaluation.evaluate import evaluate
from shoal.kernels.arrays import State
from shoal.run import Run
from shoal.splitting.held_out import Split
from shoal.splitting.split import split, split_given

from .split_helpers import Pair, folds, in_two, items, log_of, pairs, random_log

KINDS: dict[str, Callable[[Interactions, int], Split]] = {
    "strong": lambda log, seed: split(log, "strong", seed=seed, test=12, validation=9),
    "weak": lambda log, seed: split(log, "weak", seed=seed),
    "leave-last": lambda log, seed: split(log, "leave-last", seed=seed, last=2),
    "time": lambda log, seed: split(log, "time", seed=seed),
    "mult-vae": lambda log, seed: split(log, "strong", seed=seed, test=12, protocol="mult-vae"),
    "given": lambda log, seed: split_given(*in_two(log), validation=0.2, seed=seed),
}


def everything(found: Split) -> list[set[Pair]]:
    parts = [pairs(found.train)]
    for fold in folds(found):
        parts += [pairs(fold.history), pairs(fold.target)]
    return parts


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

    def _fit(self, interactions: Interactions, run: Run) -> None:
        self._fitted_on.append(interactions)

    def _score(self, histories: CSR) -> NDArray[np.float32]:
        self._seen.append(histories.copy())
        return np.zeros(histories.shape, np.float32)

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
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
    assert item_frame(split_given(one, other).train).to_dicts() == [
        {"item": "a", "title": "A", "year": 1},
        {"item": "b", "title": "B", "year": None},
        {"item": "c", "title": None, "year": 3},
    ]
    assert item_frame(log_of("1ab 2b")).to_dict(as_series=False) == {"item": ["a", "b"]}
