"""What every model must do, as tests that a model's author inherits.

from shoal.testing import RecommenderContract

class TestMine(RecommenderContract):
    def model(self):
        return Mine(l2=10)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ValidationError

from shoal import artifact
from shoal.data.interactions import CSR, Interactions
from shoal.data.split import HeldOut
from shoal.errors import DataError, MemoryBudgetError, ModelError, NotFittedError
from shoal.evaluation.evaluate import evaluate
from shoal.models import registry
from shoal.models.contract import Recommender
from shoal.recommending import recommend
from shoal.run import Run
from shoal.testing.toys import N_ITEMS, N_USERS, from_dense, two_groups

__all__ = ["N_ITEMS", "N_USERS", "RecommenderContract", "from_dense"]

UNSEEN = 7  # an item that nobody touches


def _random(n_users: int = N_USERS, *, valued: bool = False, seed: int = 0) -> NDArray[np.float64]:
    """Taste in three dimensions, about a third of the table filled, one item empty."""
    rng = np.random.default_rng(seed)
    taste = rng.normal(size=(n_users, 3)) @ np.random.default_rng(99).normal(size=(3, N_ITEMS))
    dense = (taste + rng.normal(size=taste.shape) > 0.7).astype(np.float64)
    dense[:, UNSEEN] = 0
    if valued:
        dense *= rng.integers(1, 6, size=dense.shape)
    return dense


def _rows(dense: NDArray[Any]) -> CSR:
    return CSR(dense.astype(np.float32))


def _close(a: NDArray[Any], b: NDArray[Any], tolerance: float) -> None:
    """Compare scores; the error is relative to the largest score of its row."""
    scale = np.abs(b).max(axis=1, keepdims=True, initial=1e-12)
    worst = float(np.max(np.abs(a - b) / scale, initial=0))
    assert worst <= tolerance, f"scores differ by {worst:.2g} of the row's largest score"


def _arrays_in(thing: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Everything that holds data and can be reached from a model, with the way to it."""
    if id(thing) in seen or isinstance(thing, type | str | bytes | int | float | None):
        return
    seen.add(id(thing))
    if isinstance(thing, np.ndarray | pl.Series | pl.DataFrame | Interactions | HeldOut):
        yield path, thing
        return
    inner: dict[Any, Any] = {}
    if isinstance(thing, sp.sparray | sp.spmatrix):
        inner = {n: getattr(thing, n) for n in ("data", "indices", "indptr") if hasattr(thing, n)}
        yield path, np.empty(tuple(thing.shape), np.void)  # for its shape
    elif isinstance(thing, dict):
        inner = thing
    elif isinstance(thing, list | tuple | set | frozenset):
        if len(thing) == N_USERS:
            yield path, np.empty(N_USERS, np.void)
        inner = dict(enumerate(thing))
    else:
        inner = dict(getattr(thing, "__dict__", {}))
        if isinstance(thing, BaseModel):
            inner |= thing.__pydantic_private__ or {}
    for name, value in inner.items():
        yield from _arrays_in(value, f"{path}.{name}", seen)


class RecommenderContract:
    """Tests that every model passes. Inherit, and say how to make your model.

    Set `personalised` to False for a model that gives everyone the same list, and `exact` to False
    for one whose fit depends on the order of the data (stochastic gradient descent).
    """

    personalised: bool = True
    exact: bool = True
    tolerance: ClassVar[float] = 1e-5

    def model(self) -> Recommender:
        """Make an unfitted model."""
        raise NotImplementedError("a contract test says how to make its model")

    # -- data ------------------------------------------------------------------------------

    def log(self, dense: ArrayLike) -> Interactions:
        """`from_dense`, for a model that is `ordered` with times: a random order for each user."""
        log = from_dense(dense)
        if not self.model().ordered:
            return log
        return replace(log, times=np.random.default_rng(4).permutation(len(log)))

    def data(self) -> Interactions:
        """Training data; override for a model that takes values only, or binary data only."""
        return self.log(_random(valued=True))

    def histories(self) -> CSR:
        """Users that the model has never seen."""
        return _rows(_random(11, seed=1))

    def _fitted(self, data: Interactions | None = None, run: Run | None = None) -> Recommender:
        return self.model().fit(self.data() if data is None else data, run=run or Run(threads=1))

    # -- scores ----------------------------------------------------------------------------

    def test_scores_are_float32_of_the_right_shape_for_unknown_users(self) -> None:
        scores = self._fitted().score(self.histories())
        assert scores.dtype == np.float32
        assert scores.shape == (11, N_ITEMS)
        assert np.isfinite(scores).all()

    def test_a_batch_gives_what_single_histories_give(self) -> None:
        model, rows = self._fitted(), self.histories()
        singly = np.concatenate([model.score(rows[[u]]) for u in range(rows.shape[0])])
        _close(singly, model.score(rows), 1e-6)

    def test_scoring_leaves_its_input_as_it_was(self) -> None:
        rows = self.histories()
        before = rows.toarray()
        model = self._fitted()
        first = model.score(rows)
        np.testing.assert_array_equal(rows.toarray(), before)
        np.testing.assert_array_equal(model.score(rows), first)

    def test_an_empty_history_is_answered(self) -> None:
        scores = self._fitted().score(_rows(np.zeros((3, N_ITEMS))))
        assert scores.shape == (3, N_ITEMS)
        assert np.isfinite(scores).all()

    def test_no_history_at_all_is_an_empty_block(self) -> None:
        assert self._fitted().score(_rows(np.zeros((0, N_ITEMS)))).shape == (0, N_ITEMS)

    def test_an_item_without_training_users_does_no_harm(self) -> None:
        data = self.data()
        assert data.item_counts[UNSEEN] == 0
        only_it = _rows(np.eye(N_ITEMS)[[UNSEEN]])
        assert np.isfinite(self._fitted(data).score(only_it)).all()

    def test_a_training_user_without_items_does_no_harm(self) -> None:
        dense = _random()
        dense[3] = 0
        assert np.isfinite(self._fitted(self.log(dense)).score(self.histories())).all()

    def test_histories_of_another_catalogue_are_refused(self) -> None:
        with pytest.raises(DataError, match=f"{N_ITEMS} items"):
            self._fitted().score(_rows(np.zeros((1, N_ITEMS + 1))))

    # -- the fit ---------------------------------------------------------------------------

    def test_a_second_fit_gives_the_same_bits(self) -> None:
        rows = self.histories()
        np.testing.assert_array_equal(self._fitted().score(rows), self._fitted().score(rows))

    def test_fitting_again_forgets_the_first_data(self) -> None:
        rows = self.histories()
        again = self._fitted(self.log(_random(seed=3))).fit(self.data(), run=Run(threads=1))
        np.testing.assert_array_equal(again.score(rows), self._fitted().score(rows))

    def test_renamed_items_give_renamed_scores(self) -> None:
        if not self.exact:
            pytest.skip("the fit depends on the order of the data")
        dense = _random(valued=True)
        at = np.random.default_rng(2).permutation(N_ITEMS)
        rows = self.histories().toarray()
        there = self._fitted(self.log(dense[:, at])).score(_rows(rows[:, at]))
        _close(there, self._fitted(self.log(dense)).score(_rows(rows))[:, at], self.tolerance)

    def test_the_order_of_training_users_does_not_matter(self) -> None:
        if not self.exact:
            pytest.skip("the fit depends on the order of the data")
        dense = _random(valued=True)
        at = np.random.default_rng(2).permutation(N_USERS)
        rows = self.histories()
        there = self._fitted(self.log(dense[at])).score(rows)
        _close(there, self._fitted(self.log(dense)).score(rows), self.tolerance)

    def test_the_number_of_threads_does_not_matter(self) -> None:
        if not self.exact:
            pytest.skip("sums in another order differ by rounding, which training steps amplify")
        one, two = (self._fitted(run=Run(threads=t)).score(self.histories()) for t in (1, 2))
        _close(two, one, self.tolerance)

    def test_the_training_data_are_left_as_they_were(self) -> None:
        data = self.data()
        before = data.fingerprint()
        model = self._fitted(data)
        assert data.fingerprint() == before == model.fingerprint

    def test_the_order_of_a_history_counts_where_the_model_says_so(self) -> None:
        model = self._fitted()
        items = [100, 104, 109, 101, 117]
        one, other = (recommend(model, h, 10) for h in (items, items[::-1]))
        same = [(r.item, r.score) for r in one] == [(r.item, r.score) for r in other]
        assert same != (model.ordered and self.personalised)

    def test_the_order_of_time_is_needed_where_the_model_says_so(self) -> None:
        if not self.model().ordered:
            pytest.skip("the model reads no order")
        log = replace(self.data(), times=None)
        with pytest.raises(DataError, match=r"no times.*--columns time="):
            self._fitted(log)
        held_out = HeldOut(log, log, log.item_counts, "toy")
        with pytest.raises(DataError, match=r"no times.*--columns time="):
            evaluate(self._fitted(), held_out, "ndcg@10")

    def test_recommends_within_community(self) -> None:
        """People of a group get the rest of their group first."""
        if not self.personalised:
            pytest.skip("the same list for everyone")
        model = self._fitted(self.log(two_groups()))
        for side in (0, 1):
            group = [100 + j for j in range(side, N_ITEMS, 2)]
            for begin in (0, 4, 7):
                history = group[begin : begin + 4]
                first = recommend(model, history, len(group) - len(history)).items
                assert sorted(first) == [i for i in group if i not in history]

    # -- what is kept ----------------------------------------------------------------------

    def test_state_and_restore_give_the_same_scores(self) -> None:
        model, rows = self._fitted(), self.histories()
        other = type(model)(**model.model_dump())
        other.restore({name: array.copy() for name, array in model.state().items()})
        other.adopt(model.items, model.item_table, model.fingerprint, model.facts)
        assert other.fitted
        np.testing.assert_array_equal(other.score(rows), model.score(rows))

    def test_a_model_folder_gives_the_same_scores(self, tmp_path: Path) -> None:
        model, rows = self._fitted(), self.histories()
        if registry.models().get(model.name) is not type(model):
            pytest.skip("not registered by name, so it cannot be loaded")
        artifact.save(model, tmp_path / "model")
        loaded = artifact.load(tmp_path / "model")
        assert type(loaded) is type(model)
        assert loaded.model_dump() == model.model_dump()
        assert (loaded.items, loaded.facts) == (model.items, model.facts)
        assert loaded.fingerprint == model.fingerprint
        np.testing.assert_array_equal(loaded.score(rows), model.score(rows))

    def test_the_state_is_plain_arrays(self) -> None:
        state = self._fitted().state()
        assert state
        for name, array in state.items():
            assert isinstance(array, np.ndarray), name
            assert array.dtype.kind in "biuf", f"{name} is of type {array.dtype}"

    def test_no_training_data_are_kept(self) -> None:
        model = self._fitted()
        for name, array in model.state().items():
            assert N_USERS not in array.shape, f"state {name!r} has one row or column per user"
            assert N_USERS + 1 not in array.shape, f"state {name!r} indexes the users"
        for path, held in _arrays_in(model, model.name, set()):
            assert not isinstance(held, Interactions | HeldOut), f"{path} is a log"
            assert N_USERS not in held.shape, f"{path} has one row or column per user"
            assert N_USERS + 1 not in held.shape, f"{path} indexes the users"

    # -- what is refused -------------------------------------------------------------------

    @pytest.mark.parametrize("bad", [np.nan, -1.0, np.inf])
    def test_values_that_are_no_weights_are_refused(self, bad: float) -> None:
        data = self.log(_random(valued=True))
        assert data.values is not None
        values = data.values.copy()
        values[5] = bad
        user, item = data.user_codes[5] + 1, data.indices[5] + 100
        with pytest.raises(DataError, match=f"of user {user} and item {item}"):
            self._fitted(replace(data, values=values))

    def test_no_data_and_a_single_item_are_refused(self) -> None:
        with pytest.raises(DataError, match="no interaction"):
            self._fitted(self.log(np.zeros((3, N_ITEMS))))
        with pytest.raises(DataError, match="one item only"):
            self._fitted(self.log(np.ones((3, 1))))

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_a_history_that_is_no_number_is_refused(self, bad: float) -> None:
        rows = self.histories()
        rows.data[2] = bad
        with pytest.raises(DataError, match="NaN or infinite"):
            self._fitted().score(rows)

    def test_scores_need_a_fit(self) -> None:
        model = self.model()
        assert not model.fitted
        with pytest.raises(NotFittedError, match=model.name):
            model.score(self.histories())
        with pytest.raises(NotFittedError):
            _ = model.items
        with pytest.raises(NotFittedError):
            _ = model.item_table

    def test_too_little_memory_is_refused_before_any_work(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = self.model()

        def no_work(*_: Any) -> None:
            raise AssertionError("the fit began in spite of the budget")

        monkeypatch.setattr(type(model), "_fit", no_work)
        with pytest.raises(MemoryBudgetError, match=r"the budget is 1\.0 kB"):
            model.fit(self.data(), run=Run(memory=1000))
        assert not model.fitted

    # -- hyper-parameters ------------------------------------------------------------------

    def test_an_unknown_hyper_parameter_is_refused(self) -> None:
        with pytest.raises(ModelError, match="no_such_thing"):
            type(self.model())(no_such_thing=1)

    def test_hyper_parameters_cannot_be_changed(self) -> None:
        model = self.model()
        for name in type(model).model_fields:
            with pytest.raises(ValidationError, match="frozen"):
                setattr(model, name, getattr(model, name))

    def test_defaults_are_valid(self) -> None:
        kind = type(self.model())
        assert kind(**kind().model_dump()).model_dump() == kind().model_dump()

    def test_hyper_parameters_are_explained_and_their_ranges_valid(self) -> None:
        kind = type(self.model())
        for name, declared in kind.model_fields.items():
            assert declared.description, f"{name} has no line of help"
            extra: Any = declared.json_schema_extra or {}
            if "search" not in extra:
                continue
            low, high = extra["search"]
            assert low < high, f"{name}: an empty range"
            assert extra["scale"] in ("linear", "log")
            assert extra["scale"] == "linear" or low > 0, f"{name}: no logarithm of {low}"
            for end in (low, high):
                kind(**{name: end})  # raises if it lies out of bounds

    def test_it_has_a_name_and_a_docstring(self) -> None:
        kind = type(self.model())
        assert kind.__dict__.get("name"), "a model needs a class attribute `name`"
        assert kind.name == kind.name.lower().strip()
        assert "__doc__" in kind.__dict__
        assert kind.__doc__

    # -- recommendations -------------------------------------------------------------------

    def test_items_of_the_history_are_never_recommended(self) -> None:
        model, rows = self._fitted(), self.histories()
        for u in range(rows.shape[0]):
            history = model.items.take(rows[[u]].indices)
            rest = [i for i in model.items.take(np.arange(N_ITEMS)) if i not in history]
            found = recommend(model, history, N_ITEMS)
            assert sorted(found.items) == rest
            assert "history" in found.shortfall

    def test_scores_of_recommendations_fall(self) -> None:
        model = self._fitted()
        found = recommend(model, model.items.take([0, 3, 5]), 10)
        scores = [r.score for r in found]
        assert scores == sorted(scores, reverse=True)
        assert [r.rank for r in found] == list(range(1, 11))

    def test_contributions_add_up_to_the_score(self) -> None:
        model, rows = self._fitted(), self.histories()
        if not model.explains:
            pytest.skip("the model has no exact reasons")
        scores = model.score(rows)
        for u in range(rows.shape[0]):
            row = rows[[u]]
            for item in range(N_ITEMS):
                parts = model.contributions(row.indices, row.data, item).astype(np.float64)
                assert parts.shape == row.indices.shape
                assert abs(parts.sum() - scores[u, item]) <= 1e-5 * max(np.abs(parts).sum(), 1e-9)
