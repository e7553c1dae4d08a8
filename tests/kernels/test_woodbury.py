"""Corrections of low rank, against numpy's inverse in float64."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from shoal.kernels import lapack, linear, woodbury
from shoal.kernels.arrays import Float, Sparse
from shoal.kernels.spd import NotPositiveDefiniteError

Matrix = NDArray[np.float64]


def rows(k: int, n: int, seed: int = 0) -> tuple[Matrix, Sparse]:
    rng = np.random.default_rng(seed)
    U = sp.random_array((k, n), density=0.2, rng=rng, format="csr", dtype=np.float32)
    arrays = U.indptr.astype(np.int64), U.indices.astype(np.int32), U.data
    return U.toarray().astype(float), arrays


def spd(n: int, seed: int = 1) -> Matrix:
    half = np.random.default_rng(seed).normal(size=(2 * n, n))
    return half.T @ half / n + np.eye(n)


def whole(upper: Float) -> Matrix:
    return np.triu(upper) + np.triu(upper, 1).T


@pytest.mark.parametrize(("n", "k"), [(1, 1), (7, 3), (90, 1), (300, 40), (130, 400)])
def test_adding_and_removing_rows_is_what_numpy_inverts(n: int, k: int) -> None:
    U, arrays = rows(k, n)
    A = spd(n)
    P = np.linalg.inv(A).astype(np.float32)
    woodbury.correct(P, arrays, 1)
    expected = np.linalg.inv(A + U.T @ U)
    np.testing.assert_allclose(whole(P), expected, atol=2e-6)
    linear.mirror_upper(P)
    woodbury.correct(P, arrays, -1)
    # errors grow as what is left of the direction of which most is removed
    left = np.linalg.eigvalsh(np.eye(k) - U @ expected @ U.T).min()
    np.testing.assert_allclose(whole(P), np.linalg.inv(A), atol=2e-6 / left)


def test_what_would_be_indefinite_is_refused_and_leaves_p_alone() -> None:
    U, arrays = rows(5, 20)
    P = np.linalg.inv(np.eye(20) + 0.5 * U.T @ U).astype(np.float32)
    before = P.copy()
    with pytest.raises(NotPositiveDefiniteError):
        woodbury.correct(P, (arrays[0], arrays[1], 10 * arrays[2]), -1)
    np.testing.assert_array_equal(P, before)
    broken = arrays[2].copy()
    broken[0] = np.nan
    with pytest.raises(NotPositiveDefiniteError):
        woodbury.correct(P, (arrays[0], arrays[1], broken), 1)


@pytest.mark.parametrize("panel", [1, 16, 1024])
def test_the_square_is_added_panel_by_panel(panel: int) -> None:
    rng = np.random.default_rng(0)
    V = rng.normal(size=(9, 75)).astype(np.float32)
    out = rng.normal(size=(75, 75)).astype(np.float32)
    expected = np.triu(out - 2 * V.T @ V)
    lapack.add_square_of_columns(out, V, -2.0, panel)
    np.testing.assert_allclose(np.triu(out), expected, atol=2e-5)
    with pytest.raises(ValueError, match="C-ordered"):
        lapack.add_square_of_columns(out, V[:, :70], 1.0, panel)


@pytest.mark.parametrize("threads", [1, 2])
def test_p_is_got_back_from_the_weights_that_were_made_of_it(threads: int) -> None:
    from shoal.kernels.threads import use_threads

    n, rng = 150, np.random.default_rng(3)
    P = np.linalg.inv(spd(n)).astype(np.float32)
    scale, left = rng.uniform(0.5, 9, (2, n)).astype(np.float32)
    W = P.copy()
    linear.weights_from_inverse(W, scale, left, 1 / left)
    positions = np.sort(rng.choice(n + 6, n, replace=False)).astype(np.int32)
    out = np.full((n + 6, n + 6), 7, np.float32)
    with use_threads(threads):
        woodbury.recover(W, 1 / left, left / scale, positions, out)
    found = out[np.ix_(positions, positions)]
    off = ~np.eye(n, dtype=bool)
    np.testing.assert_allclose(found[off], P[off], rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(found, found.T)
    others = np.setdiff1d(np.arange(n + 6), positions)
    assert (out[others] == 7).all()
