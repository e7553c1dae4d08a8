"""The models of each family, and the settings that are tried: as many for each."""

from __future__ import annotations

import numpy as np

from benchmarks.harness.grids import grid
from benchmarks.harness.results import Row
from shoal.data.interactions import Interactions

BUDGET = 12  # settings of each model
AUTOENCODER, FILTER, BOTH, FLOOR = "autoencoder", "graph filter", "both in one", "floor"


def _with(rows: list[Row], *more: Row) -> list[Row]:
    """Each row with each of several additions."""
    return [row | other for row in rows for other in more]


DENOISING = {"dropout": [0.3, 0.55, 0.8], "beta": [0.2, 0.7], "alpha": [0.1, 0.35], "ridge": [0.2]}
MEMBERS = ("edlae", "gf-cf")
LOW_PASS = ({"zeta": 0.2, "factors": 256}, {"zeta": 0.5, "factors": 64})
FAMILIES: dict[str, tuple[str, list[Row]]] = {
    "ease": (AUTOENCODER, grid(ridge=[0.5, 2.0, 8.0], beta=[0.0, 0.5], alpha=[0.0, 0.3])),
    "edlae": (AUTOENCODER, grid(**DENOISING)),
    "rdlae": (AUTOENCODER, grid(**DENOISING, xi=[0.3])),
    "gf-cf": (
        FILTER,
        _with(
            grid(b=[0.0, 0.4], beta=[0.5, 1.0]),
            {"alpha": 0.3, "factors": 256},
            {"alpha": 0.3, "factors": 64},
            {"alpha": 1.0, "factors": 64},
        ),
    ),
    "turbo-cf": (
        FILTER,
        grid(a=[0.4, 0.55, 0.7], s=[0.5, 0.75, 1.0], filter=[1])
        + grid(a=[0.55], s=[0.5, 0.75, 1.0], filter=[2]),
    ),
    "rp3beta": (FILTER, grid(alpha=[0.7, 1.0, 1.3], beta=[0.2, 0.4, 0.6, 0.8])),
    "chebycf": (FILTER, _with(grid(flatness=[1.5, 5.0, 12.0], b=[0.0, 0.4]), *LOW_PASS)),
    "bspm": (
        FILTER,
        grid(time=[1.0, 2.5], zeta=[0.2, 0.6], factors=[64, 256])
        + grid(solver=["euler"], average=[True], time=[1.2], zeta=[0.3, 0.9], factors=[64, 256]),
    ),
    "low-pass-rdlae": (
        BOTH,
        _with(
            grid(dropout=[0.3, 0.55, 0.8], beta=[0.5], zeta=[0.05, 0.2], ridge=[0.2]),
            {"alpha": 0.1, "factors": 256, "xi": 0.0},
            {"alpha": 0.35, "factors": 64, "xi": 0.0},
        ),
    ),
    "blend": (BOTH, [{}]),  # of MEMBERS with their own best settings
    "item-knn": (FLOOR, grid(k=[50, 100, 200, 400], shrink=[0.0, 10.0, 50.0])),
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
