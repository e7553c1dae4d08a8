"""Filters and neighbours: each setting on a sample of users, and the chosen ones on all."""

from __future__ import annotations

import time
from functools import cache
from typing import Any
from unittest.mock import patch

import shoal
from benchmarks.frontier.parts import FILES, PARTS, chosen, data_of, name_of, sample
from benchmarks.frontier.settings import AUTHORS, FILTERS, METRICS
from benchmarks.harness.results import Row
from shoal.base import low_pass
from shoal.kernels.arrays import Float
from shoal.models.registry import create
from shoal.run import Run

_compute = low_pass.singular_vectors  # what is replaced while a filter is fitted

RANK = 512  # singular vectors that all filters of a log share


def kind(label: str) -> str:
    """The model of a label: two of them are GF-CF, one as in its paper."""
    return label.removesuffix("-paper")


@cache
def _vectors(name: str, part: str) -> Float:
    return _compute("filters", data_of(name, part)[0], RANK, Run())


def fitted(dataset: str, part: str, label: str, given: Row) -> Any:
    """A fitted filter. Its singular vectors are computed once for a log, by its own code."""
    train = data_of(dataset, part)[0]

    def shared(_: str, __: Any, rank: int, ___: Run) -> Float:
        return _vectors(dataset, part)[:, :rank].copy()

    with patch.object(low_pass, "singular_vectors", shared):
        return create(kind(label), given).fit(train)


def _row(dataset: str, part: str, users: str, label: str, given: Row) -> Row:
    def make() -> Row:
        held_out = data_of(dataset, part)[1]
        model = fitted(dataset, part, label, given)
        began = time.perf_counter()
        on = held_out if users == "all" else sample(held_out)
        found = shoal.evaluate(model, on, list(METRICS)).to_dict()
        seconds = time.perf_counter() - began
        return {
            "metrics": found["metrics"], "users": on.n_users, "given": given,
            "seconds_per_1000": round(1000 * seconds / on.n_users, 3),
        }  # fmt: skip

    return FILES["filters"].once(
        name_of(dataset, users, label, given), make, lambda row: str(row["metrics"])
    )


def run(dataset: str) -> None:
    """Evaluate all settings on both parts, then the chosen and the authors' on all test users."""
    for label, grid in FILTERS[dataset].items():
        for part in PARTS:
            for given in grid:
                _row(dataset, part, part, label, given)
        authors = grid[:1] if label in AUTHORS[dataset] else []
        for given in (*chosen(dataset, label), *authors):
            _row(dataset, "test", "all", label, given)
