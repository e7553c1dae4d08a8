"""Settings drawn at random: the same as ever for a seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import shoal
from shoal.base.ranges import Choices, Range
from shoal.errors import ModelError
from shoal.experiments.tuning import Budget, search
from shoal.experiments.tuning.random import draw
from shoal.models.registry import by_name

from .tuning_helpers import ONE, small_split


def by_hand(seed: int, count: int) -> list[dict[str, float]]:
    """What `draw` is documented to do for EASE: one uniform number for each declared range."""
    rng = np.random.default_rng(seed)
    drawn: list[dict[str, float]] = [{}]
    for _ in range(count - 1):
        l2 = float(f"{10 * 1000 ** rng.random():.3g}")
        alpha, beta = (float(f"{high * rng.random():.3g}") for high in (0.5, 1))
        drawn.append({"l2": l2, "alpha": alpha, "beta": beta})
    return drawn


def test_the_same_for_a_seed() -> None:
    assert draw(by_name("ease"), 6, 3, {}) == by_hand(3, 6)


def test_others_stay_the_same_where_some_are_not_drawn() -> None:
    only = draw(by_name("ease"), 4, 3, {}, only=["alpha"])
    assert only == [{n: v for n, v in one.items() if n == "alpha"} for one in by_hand(3, 4)]
    with pytest.raises(ModelError, match="declares no range for nonnegative"):
        draw(by_name("ease"), 4, 3, {}, only=["nonnegative"])


def test_what_is_fixed_is_not_drawn() -> None:
    for settings in draw(by_name("ease"), 4, 0, {"l2": 7}):
        assert settings["l2"] == 7
    everything = {"l2": 7, "alpha": 0, "beta": 0}
    assert draw(by_name("ease"), 4, 0, everything) == [everything]


def test_a_search_tries_what_is_drawn() -> None:
    split = small_split()
    found = search(
        "ease",
        split.train,
        split.validation,
        budget=Budget(4),
        metric="ndcg@10",
        sampler="random",
        shared=False,
        run=ONE,
    )
    assert [t.settings for t in found.trials] == [
        by_name("ease")(**one).model_dump() for one in by_hand(0, 4)
    ]
    assert [t.source for t in found.trials] == ["default", "drawn", "drawn", "drawn"]


def test_factors_end_at_the_number_of_items() -> None:
    split = small_split()
    found = search(
        "spectral-ease",
        split.train,
        split.validation,
        budget=Budget(4),
        space={"factors": Range(50, 5000, whole=True)},
        metric="ndcg@10",
        sampler="random",
        run=ONE,
    )
    drawn = [t.settings["factors"] for t in found.trials if t.source == "drawn"]
    assert drawn == [split.train.n_items] * 3


def test_choices_are_drawn() -> None:
    split = small_split()
    found = search(
        "item-knn",
        split.train,
        split.validation,
        budget=Budget(12),
        space={"k": Choices((5, 20))},
        metric="ndcg@10",
        sampler="random",
        run=ONE,
    )
    assert {t.settings["k"] for t in found.trials if t.source == "drawn"} == {5, 20}


@pytest.mark.parametrize("name", ["slim", "pruned-ease"])
def test_models_that_share_in_their_own_way_do_so(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    split = small_split()
    kind = by_name(name)
    asked: list[int] = []
    original = kind.fit_grid

    def counting(settings: Any, *rest: Any) -> Any:
        asked.append(len(settings))
        return original(settings, *rest)

    counting.__func__ = None  # type: ignore[attr-defined]
    monkeypatch.setattr(kind, "fit_grid", counting)
    found = search(
        name,
        split.train,
        split.validation,
        budget=Budget(4),
        metric="ndcg@10",
        sampler="random",
        run=ONE,
    )
    assert asked == [4]
    assert [t.settings for t in found.trials] == [
        kind(**one).model_dump() for one in draw(kind, 4, 0, {})
    ]
    for trial in found.trials:
        model = kind(**trial.settings).fit(split.train, run=ONE)
        assert split.validation is not None
        alone = shoal.evaluate(model, split.validation, "ndcg@10", ONE)["ndcg@10"]
        assert trial.score == pytest.approx(alone, abs=2e-3)
