"""Searches of a comparison: what can be shared is, and a model is never below what it contains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shoal
from shoal.base.ranges import Range
from shoal.errors import ModelError
from shoal.experiments.comparison import searching
from shoal.experiments.comparison.entrant import Entrant
from shoal.experiments.comparison.searching import search_together
from shoal.experiments.tuning.trials import Budget
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.splitting.held_out import Split
from tests.experiments.comparison.test_groups import log_of

ONE = Run(threads=1)
METRIC = "ndcg@10"


def parts() -> Split:
    log = log_of()
    vectors = np.random.default_rng(0).normal(size=(log.n_items, 4)).astype(np.float32)
    return shoal.split(replace(log, item_vectors=vectors), "strong", validation=0.3)


def entrant(name: str, label: str = "", **settings: Any) -> Entrant:
    return Entrant(label or name, by_name(name), settings)


def searched(first: Entrant, *others: Entrant, **more: Any) -> Mapping[str, Any]:
    entrants = [*others, first]
    given = {"budget": Budget(3), "sampler": "random", "run": ONE} | more
    return search_together(first, entrants, parts(), METRIC, **given)


def test_models_that_share_inverses_are_searched_at_once() -> None:
    found = searched(entrant("ease"), entrant("rdlae"), entrant("item-knn"), entrant("lae"))
    assert set(found) == {"ease", "rdlae", "lae"}
    best = {label: one.best.score for label, one in found.items()}
    assert best["rdlae"] >= max(best["ease"], best["lae"]) - 1e-9
    assert set(searched(entrant("item-knn"), entrant("ease"))) == {"item-knn"}


def test_a_model_is_searched_after_those_it_contains(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    search = searching.search

    def noted(kind: Any, *given: Any, **more: Any) -> Any:
        order.append(kind.name)
        return search(kind, *given, **more)

    monkeypatch.setattr(searching, "search", noted)
    # add-ease contains ease; here the ranges leave it no chance but to take over what ease found
    bad = Entrant("texts", by_name("add-ease"), {}, {"l2": Range(1.0, 1000.0, "log")})
    found = searched(bad, entrant("ease", "plain"), budget=Budget(6))
    assert order == ["ease", "add-ease"]
    assert set(found) == {"plain", "texts"}


def test_two_entrants_of_a_model_that_another_one_contains_are_both_searched() -> None:
    # each of the two is in the group of rdlae, and contained in it beside the other
    narrow = Entrant("narrow", by_name("ease"), {}, {"l2": Range(10.0, 100.0, "log")})
    entrants = [narrow, entrant("ease", "wide"), entrant("rdlae")]
    for first in entrants:
        others = [e for e in entrants if e is not first]
        assert set(searched(first, *others)) >= {first.label}
    assert set(searched(entrants[2], *entrants[:2])) == {"narrow", "wide", "rdlae"}


def test_the_best_of_a_special_case_is_among_the_trials() -> None:
    # add-ease has no α and no β, so only EASE without them is a special case of it
    plain = entrant("ease", alpha=0.0, beta=0.0)
    ease = searched(plain, budget=Budget(8))["ease"]
    found = searched(entrant("add-ease"), plain, budget=Budget(2), known={"ease": ease})
    assert set(found) == {"add-ease"}
    assert found["add-ease"].best.score >= ease.best.score
    assert any(t.source == "special case (ease)" for t in found["add-ease"].trials)


def test_one_that_cannot_be_fitted_does_not_cost_the_others_their_search(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise ModelError("lae cannot be fitted")

    monkeypatch.setattr(searching, "search_family", refused)
    assert set(searched(entrant("ease"), entrant("lae"))) == {"ease"}


def test_two_of_one_model_are_searched_one_by_one() -> None:
    found = searched(entrant("ease", "first", alpha=0.0), entrant("ease", "second", alpha=0.2))
    assert set(found) == {"first"}
    assert {trial.settings["alpha"] for trial in found["first"].trials} == {0.0}


def test_two_of_one_model_have_studies_of_their_own(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    plain = entrant("rdlae", "rdlae-plain", alpha=0.0, beta=0.0)
    other, whole = entrant("ease"), entrant("rdlae")
    given = {"storage": tmp_path / "study.sqlite", "sampler": "tpe"}
    first = searched(plain, other, whole, **given)
    assert set(first) == {"rdlae-plain", "ease"}
    found = searched(whole, plain, other, known=first, **given)
    assert set(found) == {"rdlae"}
    assert {trial.settings["alpha"] for trial in first["rdlae-plain"].trials} == {0.0}


def test_a_study_goes_on_from_its_file(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    given = {"storage": tmp_path / "study.sqlite", "study": "mine", "sampler": "tpe"}
    first = searched(entrant("item-knn"), budget=Budget(2), **given)["item-knn"]
    again = searched(entrant("item-knn"), budget=Budget(4), **given)["item-knn"]
    assert len(again.trials) == 4
    assert [t.settings for t in again.trials[:2]] == [t.settings for t in first.trials]
