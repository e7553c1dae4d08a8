"""Random filters and boosts, against their trees evaluated in plain Python; and costly texts.

`benchmarks/serving/expressions.py` writes them, and runs many more of them.
"""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.serving import expression_trees, expressions
from shoal.errors import HistoryError
from shoal.inference.filters import item_factors, item_mask

MODEL = expressions.model()
LIMITS = {"long or-chain", "list", "huge list", "parentheses", "many products", "many functions"}


@pytest.mark.parametrize("kind", expressions.KINDS)
def test_random_expressions(kind: str) -> None:
    row = expressions.fuzz(kind, 150)
    assert (row["wrong"], row["crash"], row["faults"]) == (0, 0, [])
    assert row["answered"] + row["refused"] == 150


@settings(max_examples=150)
@given(st.text(max_size=60))
def test_any_text_is_answered_or_refused(text: str) -> None:
    assert expressions.answered(MODEL, text) in ("answered", "refused")


@settings(max_examples=100)
@given(st.integers(0, 10**9))
def test_a_filter_means_its_tree(seed: int) -> None:
    rng = random.Random(seed)
    tree = expression_trees.condition_tree(rng, 4)
    try:
        mask = item_mask(MODEL, text := expression_trees.written(tree, rng))
    except HistoryError as error:
        assert "at most 2,000 are read" in str(error)  # noqa: PT017
        return
    wanted = [expression_trees.fulfils(tree, row) is True for row in expression_trees.ROWS]
    assert mask.tolist() == wanted, text


@pytest.mark.parametrize("name", expressions.BOMBS)
def test_costly_texts_are_answered_or_refused_soon(name: str) -> None:
    begin = time.perf_counter()
    outcome = expressions.answered(MODEL, expressions.BOMBS[name])  # type: ignore[arg-type]
    assert time.perf_counter() - begin < 1
    assert outcome == "refused" or name not in LIMITS


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_a_limit_is_named(name: str) -> None:
    for evaluate in (item_mask, item_factors):
        with pytest.raises(HistoryError, match=r"at most|nests more|more than"):
            evaluate(MODEL, expressions.BOMBS[name])


def test_the_trees_are_evaluated_as_a_person_would() -> None:
    """The oracle itself: NULL logic as in SQL, for rows with an empty year."""
    row = expression_trees.ROWS[3]  # without a year; price 0, not known whether in stock
    year = ("compare", ">", ("column", "year"), ("number", 1))
    free = ("compare", "=", ("column", "price"), ("number", 0))
    assert expression_trees.fulfils(year, row) is None
    assert expression_trees.fulfils(("not", year), row) is None
    assert expression_trees.fulfils(("or", year, free), row) is True
    assert expression_trees.fulfils(("and", year, ("not", free)), row) is False
    assert expression_trees.number_of(("/", ("number", 1), ("column", "price")), row) is None
    assert expression_trees.number_of(("min", ("column", "year"), ("number", 4)), row) == 4
    assert expression_trees.number_of(("counted", year), row) == 0
