"""Which family a rule of thumb expects for a log, and what a comparison says of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from shoal.experiments.comparison.conclude import conclude
from shoal.experiments.comparison.family import AUTOENCODERS, FILTERS
from shoal.models.registry import models
from tests.experiments.comparison.invented import cell

BASE = np.linspace(0.2, 0.6, 100)  # values of users
NOISE = 0.01 * np.tile([-1.0, 1.0], 50)


def facts(**changed: float) -> dict[str, Any]:
    """Facts of a log of 1,000 users and 500 items, some of them changed."""
    data = {"name": "log", "users": 1000, "items": 500, "interactions": 20_000, "density": 0.04}
    return data | {"median_history": 18.0} | changed


DENSE, SPARSE = facts(), facts(items=50_000, density=0.0004, median_history=5.0)


def family_of(data: dict[str, Any], *cells: Any) -> dict[str, Any]:
    found = conclude(cells, data=data).to_dict()["verdict"]
    assert (found["family"]["text"] in found["lines"]) == bool(found["family"]["text"])
    return dict(found["family"])


def test_the_rule_names_models_that_there_are() -> None:
    assert set(AUTOENCODERS + FILTERS) <= set(models())
    assert not set(AUTOENCODERS) & set(FILTERS)


@pytest.mark.parametrize(
    ("data", "gain", "agrees", "words"),
    [
        (DENSE, +0.05, True, "so it is here (edlae minus gf-cf: +0.0500"),
        (DENSE, -0.05, False, "here it is the other way round (edlae minus gf-cf: −0.0500"),
        (SPARSE, +0.05, False, "here it is the other way round (edlae minus gf-cf: +0.0500"),
        (SPARSE, -0.05, True, "so it is here (edlae minus gf-cf: −0.0500"),
        (SPARSE, 0.0, None, "here it could be chance (edlae minus gf-cf: +0.0000"),
    ],
)
def test_a_comparison_says_whether_the_expected_family_is_ahead(
    data: dict[str, Any], gain: float, agrees: bool | None, words: str
) -> None:
    differences = gain + NOISE
    found = family_of(data, cell("edlae", BASE + differences), cell("gf-cf", BASE))
    assert found["expected"] == ("autoencoder" if data is DENSE else "filter")
    assert (found["autoencoder"], found["filter"]) == ("edlae", "gf-cf")
    assert found["agrees"] is agrees
    assert words in found["text"]
    share = "4" if data is DENSE else "0.04"
    start = f"For a log that holds {share} % of all pairs of a user and an item, a rule of thumb "
    assert found["text"].startswith(start)
    wanted = stats.ttest_1samp(differences, 0)
    interval = wanted.confidence_interval()
    assert found["ci95"] == pytest.approx([interval.low, interval.high])
    assert found["p"] == pytest.approx(wanted.pvalue, abs=1e-12)


def test_the_best_model_of_each_family_counts() -> None:
    found = family_of(
        DENSE,
        cell("ease", BASE),
        cell("rdlae", BASE + 0.02 + NOISE),
        cell("turbo-cf", BASE + 0.01 + NOISE),
        cell("gf-cf", BASE - 0.01),
        cell("item-knn", BASE + 0.1),  # of neither family
    )
    assert (found["autoencoder"], found["filter"], found["agrees"]) == ("rdlae", "turbo-cf", True)


def test_what_was_not_compared_is_said() -> None:
    found = family_of(SPARSE, cell("ease", BASE))
    assert (found["expected"], found["agrees"], found["filter"]) == ("filter", None, None)
    assert found["text"].endswith("; no graph filter was compared.")
    found = family_of(SPARSE, cell("item-knn", BASE))
    assert found["text"].endswith("; no linear autoencoder and no graph filter was compared.")


@pytest.mark.parametrize("data", [{}, {"name": "log"}, facts(items=0, interactions=0, density=0)])
def test_without_the_facts_of_the_log_nothing_is_expected(data: dict[str, Any]) -> None:
    found = family_of(data, cell("ease", BASE), cell("gf-cf", BASE - 0.1))
    assert (found["expected"], found["text"]) == (None, "")
