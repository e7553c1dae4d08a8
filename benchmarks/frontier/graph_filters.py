"""Filters and neighbours: each setting on a sample of users, and the chosen ones on all."""

from __future__ import annotations

import time
from typing import Any

import shoal
from benchmarks.frontier.parts import FILES, PARTS, chosen, data_of, name_of, sample
from benchmarks.frontier.settings import AUTHORS, FILTERS, METRICS
from benchmarks.harness.results import Row
from benchmarks.harness.vectors import SharedVectors
from shoal.models.registry import create

SHARED = SharedVectors(512)  # as many as a filter asks for


def kind(label: str) -> str:
    """The model of a label: two of them are GF-CF, one as in its paper."""
    return label.removesuffix("-paper")


def fitted(dataset: str, part: str, label: str, given: Row) -> Any:
    """A fitted filter; all filters of a log share its singular vectors."""
    with SHARED:
        return create(kind(label), given).fit(data_of(dataset, part)[0])


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
