"""The reference: EASE in float64 by np.linalg.inv, and the lists of the first users by it.

    python reference.py --data DIR --l2 300 --k 100

Writes DIR/reference-<l2>.npz: `first` (200, k) for the first users, `held_out` (200, k) for the
first held-out users.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

KEPT = 200  # as in common.py


def ease(X: Any, l2: float) -> Any:
    """B, (n, n) float64: −P_ij/P_jj off the diagonal, 0 on it."""
    G = (X.T @ X).toarray().astype(np.float64, copy=False)
    G[np.diag_indices_from(G)] += l2
    B = np.linalg.inv(G)
    del G
    B /= -B.diagonal().copy()
    np.fill_diagonal(B, 0)
    return B


def best(scores: Any, seen: Any, k: int) -> Any:
    """The k best columns of each row, without those that stand in the CSR `seen`."""
    rows = np.arange(len(scores))[:, None]
    scores[np.repeat(rows[:, 0], np.diff(seen.indptr)), seen.indices] = -np.inf
    top = np.argpartition(scores, -k, axis=1)[:, -k:]
    return top[rows, np.argsort(-scores[rows, top], axis=1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--l2", type=float, default=300)
    parser.add_argument("--k", type=int, default=100)
    chosen = parser.parse_args()
    X = sp.csr_matrix(sp.load_npz(chosen.data / "train.npz")).astype(np.float64)
    B = ease(X, chosen.l2)
    n_held_out = sp.load_npz(chosen.data / "target.npz").shape[0]
    found = {}
    for name, begin in (("first", 0), ("held_out", X.shape[0] - n_held_out)):
        some = X[begin : begin + KEPT]
        found[name] = best(np.asarray(some @ B), some, chosen.k)
    np.savez(chosen.data / f"reference-{chosen.l2:g}.npz", **found)


if __name__ == "__main__":
    main()
