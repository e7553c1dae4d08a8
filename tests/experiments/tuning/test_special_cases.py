"""What models say that they contain, against fits of both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shoal.base.ranges import Range
from shoal.experiments.tuning import Budget, search
from shoal.experiments.tuning.special_cases import as_settings_of, special_cases
from shoal.models.registry import by_name, models

from .tuning_helpers import ONE, small_split

CASES = [(name, inner) for name, kind in models().items() for inner in special_cases(kind)]
METRIC = "ndcg@10"


def test_there_are_special_cases() -> None:
    assert ("rdlae", "ease") in CASES
    assert ("dlae", "lae") in CASES
    assert ("l3ae", "edlae") in CASES


@pytest.mark.parametrize(("outer", "inner"), CASES)
def test_a_model_has_the_scores_of_what_it_contains(outer: str, inner: str) -> None:
    split = small_split()
    if by_name(outer).reads_vectors:
        assert split.train.item_counts.all()  # so both models know the same items
        vectors = np.random.default_rng(1).normal(size=(split.train.n_items, 3))
        log = split.train.with_vectors(split.train.items.take(range(split.train.n_items)), vectors)
        split = replace(split, train=log)
    names = set(by_name(inner).model_fields) & set(by_name(outer).model_fields)
    given = {"l2": 40.0, "alpha": 0.2, "beta": 0.3, "dropout": 0.25, "xi": 0.15}
    settings = {name: value for name, value in given.items() if name in names}
    contained = by_name(inner)(**settings).fit(split.train, run=ONE)
    translated = as_settings_of(by_name(outer), inner, settings)
    assert translated is not None
    container = by_name(outer)(**translated).fit(split.train, run=ONE)
    assert split.validation is not None
    histories = split.validation.history.matrix
    mine, theirs = container.score(histories), contained.score(histories)
    np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
@pytest.mark.parametrize("shared", [True, False])
def test_their_defaults_are_always_among_the_trials(sampler: str, shared: bool) -> None:
    split = small_split()
    found = search(
        "rdlae",
        split.train,
        split.validation,
        budget=Budget(1),
        metric=METRIC,
        sampler=sampler,
        shared=shared,
        run=ONE,
    )
    tried = [trial.settings for trial in found.trials]
    for name in by_name("rdlae").contains:
        settings = as_settings_of(by_name("rdlae"), name, {})
        assert settings is not None
        assert by_name("rdlae")(**settings).model_dump() in tried
    assert any("special case" in note for note in found.notes)
    sources = {trial.source for trial in found.trials}
    assert {"default", "special case (ease)", "special case (lae)"} <= sources
    for trial in found.trials:
        if trial.source == "special case (ease)":
            assert (trial.settings["dropout"], trial.settings["xi"]) == (0, 0)


def test_but_not_where_something_else_is_fixed() -> None:
    split = small_split()
    found = search(
        "rdlae",
        split.train,
        split.validation,
        budget=Budget(2),
        space={"l2": Range(1, 100, "log")},
        fixed={"xi": 0.4, "dropout": 0.2},
        metric=METRIC,
        run=ONE,
    )
    assert {trial.settings["xi"] for trial in found.trials} == {0.4}
    assert {trial.settings["dropout"] for trial in found.trials} == {0.2}


def test_a_hyper_parameter_that_is_lacking_cannot_be_translated() -> None:
    assert as_settings_of(by_name("cease"), "ease", {"alpha": 0.2}) is None  # DAN's, not CEASE's
    assert as_settings_of(by_name("rdlae"), "ease", {"nonnegative": True}) is None
    assert as_settings_of(by_name("rdlae"), "ease", {"l2": 7}) == {
        "l2": 7.0,
        "alpha": 0.0,
        "beta": 0.0,
        "dropout": 0,
        "xi": 0,
    }
