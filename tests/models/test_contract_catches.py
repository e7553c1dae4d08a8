"""The contract is only worth something if models that break it fail."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from pydantic import PrivateAttr

from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR, Interactions
from shoal.data.size import Size
from shoal.models.ease import EASE
from shoal.models.popularity import Popularity
from shoal.run import Run
from shoal.testing import RecommenderContract
from shoal.testing.checks import assert_same_lists


class KeepsTheLog(Popularity):
    _log: Any = PrivateAttr(None)

    def _fit(self, interactions: Interactions, run: Run) -> None:
        super()._fit(interactions, run)
        self._log = {"for later": [interactions]}


class KeepsTheMatrix(KeepsTheLog):
    def _fit(self, interactions: Interactions, run: Run) -> None:
        super()._fit(interactions, run)
        self._log = interactions.matrix


class KeepsTheExtents(KeepsTheLog):
    def _fit(self, interactions: Interactions, run: Run) -> None:
        super()._fit(interactions, run)
        self._log = interactions.indptr


class Transposed(EASE):
    name: ClassVar[str] = "transposed"

    def _finish(self, B: NDArray[np.float32]) -> dict[str, float]:
        facts = super()._finish(B)
        B[:] = B.T.copy()
        return facts

    def contributions(
        self, history: NDArray[np.int32], weights: NDArray[np.float32], item: int
    ) -> NDArray[np.float32]:
        return weights * self.state()["weights"][item, history]


class WritesInItsInput(EASE):
    def _score(self, histories: CSR) -> NDArray[np.float32]:
        scores = super()._score(histories)
        histories.data[:] = 0
        return scores


class NormalisesTheBatch(EASE):
    def _score(self, histories: CSR) -> NDArray[np.float32]:
        scores = super()._score(histories)
        return scores / np.float32(np.abs(scores).max(initial=1e-9))


class DividesByTheHistory(EASE):
    def _score(self, histories: CSR) -> NDArray[np.float32]:
        with np.errstate(all="ignore"):
            return super()._score(histories) / np.diff(histories.indptr)[:, None].astype("f4")


class ScoresInDouble(EASE):
    def _score(self, histories: CSR) -> NDArray[Any]:
        return super()._score(histories).astype(np.float64)


class PrefersEarlyItems(EASE):
    def _score(self, histories: CSR) -> NDArray[np.float32]:
        return super()._score(histories) + np.arange(histories.shape[1], dtype=np.float32)


class ForgetsItsMemory(EASE):
    def bytes_to_fit(self, size: Size) -> int:
        return 0


class IsDifferentEachTime(Popularity):
    def _fit(self, interactions: Interactions, run: Run) -> None:
        self._counts = np.random.default_rng().random(interactions.n_items).astype(np.float32)


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (KeepsTheLog, "test_no_training_data_are_kept"),
        (KeepsTheMatrix, "test_no_training_data_are_kept"),
        (KeepsTheExtents, "test_no_training_data_are_kept"),
        (Transposed, "test_contributions_add_up_to_the_score"),
        (WritesInItsInput, "test_scoring_leaves_its_input_as_it_was"),
        (NormalisesTheBatch, "test_a_batch_gives_what_single_histories_give"),
        (DividesByTheHistory, "test_an_empty_history_is_answered"),
        (ScoresInDouble, "test_scores_are_float32_of_the_right_shape_for_unknown_users"),
        (PrefersEarlyItems, "test_renamed_items_give_renamed_scores"),
        (PrefersEarlyItems, "test_recommends_within_community"),
        (Popularity, "test_recommends_within_community"),
        (IsDifferentEachTime, "test_a_second_fit_gives_the_same_bits"),
        (KeepsTheLog, "test_it_has_a_name_and_a_docstring"),
    ],
)
def test_a_model_that_breaks_the_contract_fails(broken: type[Recommender], test: str) -> None:
    class Contract(RecommenderContract):
        def model(self) -> Recommender:
            return broken()

    with pytest.raises(AssertionError):
        getattr(Contract(), test)()


@pytest.mark.parametrize("broken", [Popularity, PrefersEarlyItems])
def test_the_margin_of_trained_models_lets_no_wrong_model_pass(broken: type[Recommender]) -> None:
    class Contract(RecommenderContract):
        exact = False

        def model(self) -> Recommender:
            return broken()

    with pytest.raises(AssertionError):
        Contract().test_recommends_within_community()


LIST = [4, 7, 2], [0.9, 0.5, 0.5 - 1e-7]


@pytest.mark.parametrize(
    ("items", "scores"),
    [
        ([4, 7, 2], [0.9, 0.5, 0.5]),
        ([4, 2, 7], [0.9, 0.5, 0.5]),  # a tie but for rounding
        ([4, 7, 9], [0.9, 0.5, 0.5]),  # another item that is as good as the last
    ],
)
def test_lists_that_rounding_explains_are_the_same(items: list[int], scores: list[float]) -> None:
    assert_same_lists(items, scores, *LIST)


@pytest.mark.parametrize(
    ("items", "scores"),
    [
        ([7, 4, 2], [0.9, 0.5, 0.5]),  # scores of other items
        ([7, 4, 2], [0.5, 0.9, 0.5]),  # out of order
        ([4, 7, 9], [0.9, 0.5, 0.4]),  # an item that is worse than the one left out
        ([9, 7, 2], [0.9, 0.5, 0.5]),  # the best one is missing
        ([4, 7, -1], [0.9, 0.5, -np.inf]),  # a shorter list
        ([4, 7, 2], [0.9, 0.5, 0.4999]),  # another score
    ],
)
def test_lists_that_rounding_does_not_explain_differ(items: list[int], scores: list[float]) -> None:
    with pytest.raises(AssertionError):
        assert_same_lists(items, scores, *LIST)


def test_a_model_that_does_not_count_its_memory_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    class Contract(RecommenderContract):
        def model(self) -> Recommender:
            return ForgetsItsMemory()

    with pytest.raises(AssertionError, match="in spite of the budget"):
        Contract().test_too_little_memory_is_refused_before_any_work(monkeypatch)
