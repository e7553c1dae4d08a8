"""The recursive inverse against numpy, at sizes on both sides of every split."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from shoal.kernels import spd
from shoal.kernels.threads import use_threads


def positive_definite(n: int, seed: int = 0) -> NDArray[np.float64]:
    """Well conditioned (eigenvalues 1 to about 5), and exact in float32."""
    A = np.random.default_rng(seed).normal(size=(n, n)) / np.sqrt(n)
    return (A @ A.T + np.eye(n)).astype(np.float32).astype(np.float64)


def inverted(matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    out = matrix.astype(np.float32)
    spd.invert_upper(out)
    return out


# splits lie on multiples of 256, so a leaf cannot be smaller
@pytest.mark.parametrize("n", [1, 2, 3, 255, 256, 257, 300, 511, 512, 513, 700, 1030])
def test_it_is_the_inverse(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spd, "LEAF", 256)
    A = positive_definite(n)
    np.testing.assert_allclose(np.triu(inverted(A)), np.triu(np.linalg.inv(A)), atol=2e-6)


def test_it_is_the_inverse_at_a_real_size() -> None:
    n = 2500  # two levels above the leaf
    assert n > 2 * spd.LEAF
    A = positive_definite(n)
    P = inverted(A)
    P = np.triu(P) + np.triu(P, 1).T
    probe = np.random.default_rng(1).normal(size=(n, 20))
    np.testing.assert_allclose(A @ (P @ probe), probe, atol=2e-5)


def test_only_the_upper_triangle_is_read_and_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spd, "LEAF", 256)
    A = positive_definite(600)
    below = np.tril_indices(600, -1)
    marked = A.astype(np.float32)
    marked[below] = np.nan
    spd.invert_upper(marked)
    assert np.isnan(marked[below]).all()
    np.testing.assert_array_equal(np.triu(marked), np.triu(inverted(A)))


def test_progress_adds_up_to_all_flops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spd, "LEAF", 256)
    done: list[float] = []
    spd.invert_upper(positive_definite(700).astype(np.float32), done.append)
    assert sum(done) == pytest.approx(700**3)


@pytest.mark.parametrize("at", [0, 299, 300, 599])
def test_what_is_not_positive_definite_is_an_error(
    at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spd, "LEAF", 256)
    A = positive_definite(600)
    A[at, at] = -1
    with pytest.raises(spd.NotPositiveDefiniteError):
        inverted(A)


def test_a_singular_matrix_is_an_error() -> None:
    with pytest.raises(spd.NotPositiveDefiniteError):
        inverted(np.ones((5, 5)))


@pytest.mark.parametrize(
    "matrix",
    [
        np.eye(3, dtype=np.int64),
        np.eye(3, 4, dtype=np.float32),
        np.asfortranarray(np.ones((3, 3), np.float32)),
        np.eye(6, dtype=np.float32)[::2, ::2],
    ],
    ids=["integers", "not square", "Fortran order", "a view with gaps"],
)
def test_other_arrays_are_refused(matrix: NDArray[np.float32]) -> None:
    with pytest.raises(ValueError, match="square C-ordered float32"):
        spd.invert_upper(matrix)


def test_nothing_to_invert() -> None:
    spd.invert_upper(np.empty((0, 0), np.float32))


def test_threads_agree() -> None:
    A = positive_definite(1200).astype(np.float32)
    results = []
    for count in (1, 2):
        out = A.copy()
        with use_threads(count):
            spd.invert_upper(out)
        results.append(np.triu(out))
    np.testing.assert_allclose(results[0], results[1], atol=1e-6)
