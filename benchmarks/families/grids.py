"""The models of each family, and the settings that are tried: as many for each."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from benchmarks.harness.results import Row
from shoal.data.interactions import Interactions

BUDGET = 24  # settings of each model
AUTOENCODER, FILTER, BOTH, FLOOR = "autoencoder", "graph filter", "both in one", "floor"


def settings(**values: list[Any]) -> list[Row]:
    """All combinations."""
    return [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]


def _with(rows: list[Row], *more: Row) -> list[Row]:
    """Each row with each of several additions."""
    return [row | other for row in rows for other in more]


DENOISING = settings(dropout=[0.25, 0.45, 0.65, 0.8], beta=[0.2, 0.7], ridge=[0.2])
FAMILIES: dict[str, tuple[str, list[Row]]] = {
    "ease": (
        AUTOENCODER,
        settings(ridge=[0.5, 1.5, 5.0, 15.0], beta=[0.0, 0.5], alpha=[0.0, 0.2, 0.4]),
    ),
    "edlae": (AUTOENCODER, _with(DENOISING, {"alpha": 0.0}, {"alpha": 0.2}, {"alpha": 0.4})),
    "rdlae": (
        AUTOENCODER,
        _with(
            DENOISING,
            {"alpha": 0.0, "xi": 0.3},
            {"alpha": 0.2, "xi": 0.3},
            {"alpha": 0.4, "xi": 0.3},
        ),
    ),
    "gf-cf": (FILTER, settings(alpha=[0.0, 0.1, 0.3, 0.6, 1.0, 2.0], factors=[32, 64, 128, 256])),
    "turbo-cf": (
        FILTER,
        settings(a=[0.4, 0.5, 0.6, 0.7], s=[0.5, 0.75, 1.0, 1.3], filter=[1])
        + settings(a=[0.5, 0.6], s=[0.5, 0.75, 1.0, 1.3], filter=[2]),
    ),
    "item-knn": (FLOOR, settings(k=[20, 50, 100, 200, 400, 800], shrink=[0.0, 5.0, 20.0, 80.0])),
    "popularity": (FLOOR, [{}]),
}


def given(row: Row, train: Interactions) -> Row:
    """A setting as the model takes it.

    `ridge` is the ridge λ as a multiple of the mean diagonal entry of G' = Xᵀ diag(d_u^−β) X, so
    that one grid fits logs of all sizes: with binary data the diagonal sums to Σ_u d_u^(1−β).
    """
    row = dict(row)
    if "ridge" in row:
        lengths = np.diff(train.indptr)
        diagonal = float((lengths[lengths > 0] ** (1.0 - row.get("beta", 0.0))).sum())
        row["l2"] = float(f"{row.pop('ridge') * diagonal / train.n_items:.3g}")
    return row
