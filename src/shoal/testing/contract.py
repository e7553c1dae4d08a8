"""What every model must do, as tests that the author of a model inherits.

from shoal.testing import RecommenderContract

class TestMine(RecommenderContract):
    def model(self):
        return Mine(l2=10)
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import ArrayLike
from pydantic import ValidationError

from shoal import artifact
from shoal.base.declared import check_shapes, check_values, headers_of
from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR, Interactions
from shoal.errors import DataError, MemoryBudgetError, ModelError, NotFittedError
from shoal.evaluation.evaluate import evaluate
from shoal.inference.recommend import recommend
from shoal.models import registry
from shoal.run import Run
from shoal.splitting.held_out import HeldOut
from shoal.testing.checks import UNSEEN, arrays_in, assert_close, once, random_dense, rows_of
from shoal.testing.toys import N_ITEMS, N_USERS, from_dense, two_groups, two_kinds

__all__ = ["N_ITEMS", "N_USERS", "RecommenderContract", "from_dense"]


class RecommenderContract:
    """Tests that every model passes. Inherit from it, and override `model` to make your model.

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
        """Convert a table with `from_dense`; add times or item vectors if the model reads them."""
        log, model = from_dense(dense), self.model()
        if model.ordered:
            log = replace(log, times=np.random.default_rng(4).permutation(len(log)))
        if model.reads_vectors:
            log = replace(log, item_vectors=two_kinds(log.n_items))
        return log

    def data(self) -> Interactions:
        """Make training data; override for a model that takes only values or only binary data."""
        return self.log(random_dense(valued=True))

    def histories(self) -> CSR:
        """Make histories of 11 users that the model was not trained on."""
        return rows_of(random_dense(11, seed=1))

    def _fitted(self, data: Interactions | None = None, run: Run | None = None) -> Recommender:
        return self.model().fit(self.data() if data is None else data, run=run or Run(threads=1))

    def _shared(self) -> Recommender:
        """Return a model that is fitted once for all tests that only ask it something."""
        return once((type(self), repr(self.model())), self._fitted)

    # -- scores ----------------------------------------------------------------------------

    def test_scores_are_float32_of_the_right_shape_for_unknown_users(self) -> None:
        scores = self._shared().score(self.histories())
        assert scores.dtype == np.float32
        assert scores.shape == (11, N_ITEMS)
        assert np.isfinite(scores).all()

    def test_a_batch_gives_what_single_histories_give(self) -> None:
        model, rows = self._shared(), self.histories()
        singly = np.concatenate([model.score(rows[[u]]) for u in range(rows.shape[0])])
        assert_close(singly, model.score(rows), 1e-6)

    def test_scoring_leaves_its_input_as_it_was(self) -> None:
        rows = self.histories()
        before = rows.toarray()
        model = self._shared()
        first = model.score(rows)
        np.testing.assert_array_equal(rows.toarray(), before)
        np.testing.assert_array_equal(model.score(rows), first)

    def test_an_empty_history_is_answered(self) -> None:
        scores = self._shared().score(rows_of(np.zeros((3, N_ITEMS))))
        assert scores.shape == (3, N_ITEMS)
        assert np.isfinite(scores).all()

    def test_no_history_at_all_is_an_empty_block(self) -> None:
        assert self._shared().score(rows_of(np.zeros((0, N_ITEMS)))).shape == (0, N_ITEMS)

    def test_an_item_without_training_users_does_no_harm(self) -> None:
        assert self.data().item_counts[UNSEEN] == 0
        assert np.isfinite(self._shared().score(rows_of(np.eye(N_ITEMS)[[UNSEEN]]))).all()

    def test_a_training_user_without_items_does_no_harm(self) -> None:
        dense = random_dense()
        dense[3] = 0
        assert np.isfinite(self._fitted(self.log(dense)).score(self.histories())).all()

    def test_histories_of_another_catalogue_are_refused(self) -> None:
        with pytest.raises(DataError, match=f"{N_ITEMS} items"):
            self._shared().score(rows_of(np.zeros((1, N_ITEMS + 1))))

    # -- the fit ---------------------------------------------------------------------------

    def test_a_second_fit_gives_the_same_bits(self) -> None:
        rows = self.histories()
        np.testing.assert_array_equal(self._fitted().score(rows), self._shared().score(rows))

    def test_fitting_again_forgets_the_first_data(self) -> None:
        rows = self.histories()
        again = self._fitted(self.log(random_dense(seed=3))).fit(self.data(), run=Run(threads=1))
        np.testing.assert_array_equal(again.score(rows), self._shared().score(rows))

    def test_renamed_items_give_renamed_scores(self) -> None:
        if not self.exact:
            pytest.skip("the fit depends on the order of the data")
        dense = random_dense(valued=True)
        order = np.random.default_rng(2).permutation(N_ITEMS)
        rows = self.histories().toarray()
        renamed = self.log(dense[:, order])
        if renamed.item_vectors is not None:
            renamed = replace(renamed, item_vectors=renamed.item_vectors[order])
        scores = self._fitted(renamed).score(rows_of(rows[:, order]))
        expected = self._fitted(self.log(dense)).score(rows_of(rows))
        assert_close(scores, expected[:, order], self.tolerance)

    def test_the_order_of_training_users_does_not_matter(self) -> None:
        if not self.exact:
            pytest.skip("the fit depends on the order of the data")
        dense = random_dense(valued=True)
        order = np.random.default_rng(2).permutation(N_USERS)
        rows = self.histories()
        reordered = self._fitted(self.log(dense[order])).score(rows)
        assert_close(reordered, self._fitted(self.log(dense)).score(rows), self.tolerance)

    def test_the_number_of_threads_does_not_matter(self) -> None:
        if not self.exact:
            pytest.skip("sums in another order differ by rounding, which training steps amplify")
        with_one, with_two = (
            self._fitted(run=Run(threads=t)).score(self.histories()) for t in (1, 2)
        )
        assert_close(with_two, with_one, self.tolerance)

    def test_the_training_data_are_left_as_they_were(self) -> None:
        data = self.data()
        before = data.fingerprint()
        model = self._fitted(data)
        assert data.fingerprint() == before == model.fingerprint

    def test_the_order_of_a_history_counts_where_the_model_says_so(self) -> None:
        model = self._shared()
        items = [100, 104, 109, 101, 117]
        forward, backward = (recommend(model, h, 10) for h in (items, items[::-1]))
        same = [(r.item, r.score) for r in forward] == [(r.item, r.score) for r in backward]
        assert same != (model.ordered and self.personalised)

    def test_the_order_of_time_is_needed_where_the_model_says_so(self) -> None:
        if not self.model().ordered:
            pytest.skip("the model reads no order")
        log = replace(self.data(), times=None)
        with pytest.raises(DataError, match=r"no times.*--columns time="):
            self._fitted(log)
        held_out = HeldOut(log, log, log.item_counts, "toy")
        with pytest.raises(DataError, match=r"no times.*--columns time="):
            evaluate(self._shared(), held_out, "ndcg@10")

    def test_vectors_are_needed_where_the_model_says_so(self) -> None:
        if self.model().reads_vectors:
            with pytest.raises(DataError, match=r"reads item vectors.*--vectors"):
                self._fitted(replace(self.data(), item_vectors=None))

    def test_recommends_within_community(self) -> None:
        """Users of a group get the other items of their group first.

        A few training steps need not have come to the end, and where they are depends on the
        processor's rounding: a quarter of such a list may be of the other group. By popularity
        alone, the smaller group would get the other group only.
        """
        if not self.personalised:
            pytest.skip("the same list for everyone")
        model = self._fitted(self.log(two_groups()))
        for side in (0, 1):
            group = [100 + j for j in range(side, N_ITEMS, 2)]
            for begin in (0, 4, 7):
                history = group[begin : begin + 4]
                rest = [i for i in group if i not in history]
                first = recommend(model, history, len(rest)).items
                strangers = sorted(set(first) - set(rest))
                assert len(first) == len(rest)
                assert len(strangers) <= (0 if self.exact else len(rest) // 4), strangers

    # -- what is kept ----------------------------------------------------------------------

    def test_state_and_restore_give_the_same_scores(self) -> None:
        model, rows = self._shared(), self.histories()
        restored = type(model)(**model.model_dump())
        restored.restore({name: array.copy() for name, array in model.state().items()})
        restored.restore_catalogue(model.items, model.item_table, model.fingerprint, model.facts)
        assert restored.fitted
        np.testing.assert_array_equal(restored.score(rows), model.score(rows))

    def test_a_model_folder_gives_the_same_scores(self, tmp_path: Path) -> None:
        model, rows = self._shared(), self.histories()
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
        state = self._shared().state()
        assert state
        for name, array in state.items():
            assert isinstance(array, np.ndarray), name
            assert array.dtype.kind in "biuf", f"{name} is of type {array.dtype}"

    def test_the_state_is_as_the_model_declares_it(self) -> None:
        model = self._shared()
        state, sizes = model.state(), {"n_items": N_ITEMS}
        spec = model.state_spec(frozenset(state), N_ITEMS)
        check_values(spec, state, check_shapes(spec, headers_of(state), sizes) if spec else sizes)

    def test_no_training_data_are_kept(self) -> None:
        model = self._fitted()
        sizes = set() if model.keeps_histories else {N_USERS, N_USERS + 1}
        for name, array in model.state().items():
            assert not sizes & {*array.shape}, f"state {name!r} has one row or column per user"
        for path, held in arrays_in(model, model.name, set()):
            assert not isinstance(held, Interactions | HeldOut), f"{path} is a log"
            assert not sizes & {*held.shape}, f"{path} has one row or column per user"

    # -- what is refused -------------------------------------------------------------------

    @pytest.mark.parametrize("bad", [np.nan, -1.0, 0.0, np.inf])
    def test_values_that_are_no_weights_are_refused(self, bad: float) -> None:
        if bad <= 0 and self.model().task == "rating":
            pytest.skip("a rating may be zero or negative")
        data = self.log(random_dense(valued=True))
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
            self._shared().score(rows)

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
        model, rows = self._shared(), self.histories()
        for u in range(rows.shape[0]):
            history = model.items.take(rows[[u]].indices)
            known = model.items.take(np.flatnonzero(model.known_items))
            remaining = [i for i in known if i not in history]
            recommended = recommend(model, history, N_ITEMS)
            assert sorted(recommended.items) == remaining
            assert "history" in recommended.shortfall

    def test_scores_of_recommendations_fall(self) -> None:
        model = self._shared()
        recommended = recommend(model, model.items.take([0, 3, 5]), 10)
        scores = [r.score for r in recommended]
        assert scores == sorted(scores, reverse=True)
        assert [r.rank for r in recommended] == list(range(1, 11))

    def test_contributions_add_up_to_the_score(self) -> None:
        model, rows = self._shared(), self.histories()
        if not model.explains:
            pytest.skip("the model has no exact reasons")
        scores = model.score(rows)
        for u in range(rows.shape[0]):
            row = rows[[u]]
            for item in range(N_ITEMS):
                parts = model.contributions(row.indices, row.data, item).astype(np.float64)
                assert parts.shape == row.indices.shape
                # a score may be only rounding error, with parts that are all zero
                scale = max(np.abs(parts).sum(), 0.1 * np.abs(scores[u]).max(), 1e-9)
                assert abs(parts.sum() - scores[u, item]) <= 1e-5 * scale

    def test_vectors_give_the_scores_of_what_is_not_in_the_history(self) -> None:
        model, rows = self._shared(), self.histories()
        if not model.has_vectors:
            with pytest.raises(ModelError, match="has no vectors"):
                model.vectors()
            with pytest.raises(ModelError, match="has no vectors"):
                model.user_vectors(rows)
            return
        V, U = model.vectors(), model.user_vectors(rows)
        assert V.dtype == U.dtype == np.float32
        assert V.shape == (N_ITEMS, U.shape[1])
        outside = rows.toarray() == 0
        scores = np.where(outside, model.score(rows), 0)
        assert_close(np.where(outside, U @ V.T, 0), scores, 1e-5)

    def test_lists_are_those_of_the_scores(self) -> None:
        model, rows = self._shared(), self.histories()
        seen = rows.indptr.astype(np.int64), rows.indices.astype(np.int32)
        allowed = np.arange(N_ITEMS) % 4 > 0
        items, best = model.rank(rows, N_ITEMS, seen, allowed)
        scores = model.score(rows)
        for u in range(rows.shape[0]):
            chosen = items[u][items[u] >= 0]
            remaining = set(np.flatnonzero(allowed)) - set(rows[[u]].indices.tolist())
            assert set(chosen.tolist()) == remaining
            assert_close(best[[u], : chosen.size], scores[[u]][:, chosen], 1e-5)
            assert (np.diff(best[u, : chosen.size]) <= 0).all()
