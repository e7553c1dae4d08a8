"""The scores that a model gives for each item alone, and which of them are alike."""

from __future__ import annotations

import numpy as np

from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR
from shoal.errors import DataError, ModelError
from shoal.kernels.arrays import Double, Float, Long
from shoal.kernels.threads import one_blas_thread
from shoal.run import Run

COMPONENTS = 16  # main components for clusters; a layout begins at the first two

_BLOCK_BYTES = 64_000_000  # bytes of scores, or of cosines, in one block
_SWEEPS = 3  # passes of centring; each leaves about 1/n of the means that there were
_PASSES = 6  # passes of subspace iteration
_EXACT = 300  # all singular vectors are computed for up to this many items


def rows_at_once(width: int) -> int:
    """How many rows of `width` float32 numbers fit into one block."""
    return max(1, _BLOCK_BYTES // (4 * width))


def responses(
    model: Recommender,
    chosen: Long,
    run: Run,
    scored: Long | None = None,
    label: str = "responses",
) -> Float:
    """The scores of items for each of the m chosen items as the only one of a history.

    They are those of the items at the positions `scored`, or of all. `label` is the text of the
    progress bar, after the model's name.
    """
    m, n = len(chosen), model.n_items
    out = np.empty((m, n if scored is None else len(scored)), np.float32)
    size = rows_at_once(n)
    with run.progress.step(f"{model.name}: {label}", m) as step:
        for begin in range(0, m, size):
            part = chosen[begin : begin + size]
            alone = CSR(
                (np.ones(len(part), np.float32), part, np.arange(len(part) + 1)),
                shape=(len(part), n),
            )
            scores = model.score(alone)
            out[begin : begin + size] = scores if scored is None else scores[:, scored]
            step.advance(len(part))
    if not np.isfinite(out.sum(dtype=np.float64)) and not np.isfinite(out).all():
        raise ModelError(f"{model.name} gave a score that is not a number: fit it again")
    return out


def centre(R: Float, own: Long, name: str) -> int:
    """Make responses (m, n) comparable by inner product, in place.

    The score of an item for itself, which row i has in column own[i], becomes 0; columns and rows
    of the other scores get mean 0, and rows length 1.

    Returns
    -------
    int
        Number of rows in which all items had the same score.

    Raises
    ------
    DataError
        All rows are the same.
    """
    m, n = R.shape
    rows = np.arange(m)
    largest = max(R.max(), -R.min())
    R[rows, own] = R[rows, (own + 1) % n]  # any other entry, so that the range is the others'
    silent = R.max(axis=1) - R.min(axis=1) <= 1e-6 * largest
    others = np.full(n, m, np.float64)
    others[own] -= 1
    R[rows, own] = 0
    # each undoes a little of the other, since own entries are left out; columns come first, so
    # that rows that differ in own entries only become 0 at once
    for _ in range(_SWEEPS):
        R -= (R.sum(axis=0, dtype=np.float64) / np.maximum(others, 1)).astype(np.float32)
        R[rows, own] = 0
        R -= (R.sum(axis=1, dtype=np.float64) / (n - 1)).astype(np.float32)[:, None]
        R[rows, own] = 0
    length = np.sqrt(np.einsum("ij,ij->i", R, R))
    if length.max() <= 1e-6 * largest * np.sqrt(n):
        raise DataError(
            f"{name} answers alike to every history: a map would show nothing (personal models "
            "such as ease, rdlae or mult-vae can be mapped)"
        )
    R /= np.maximum(length, np.finfo(np.float32).tiny)[:, None]
    return int(silent.sum())


def main_components(R: Float, seed: int) -> Double:
    """Main components of the responses (m, n), each with its weight: (m, up to 16).

    References
    ----------
    N. Halko, P. G. Martinsson, J. A. Tropp, *Finding structure with randomness*, SIAM Review 2011:
    subspace iteration, for catalogues of more than 300 items.
    """
    m, n = R.shape
    k = min(COMPONENTS, m, n)
    if min(m, n) <= _EXACT:
        U, s, _ = np.linalg.svd(R, full_matrices=False)
    else:  # randomised, so that noise costs no more than structure does
        Q = np.random.default_rng(seed).standard_normal((n, 2 * k)).astype(np.float32)
        for _ in range(_PASSES):
            Q = _orthonormal(R.T @ _orthonormal(R @ Q))
        product = R @ Q
        with one_blas_thread():
            U, s, _ = np.linalg.svd(product, full_matrices=False)
    order = np.argsort(-s, kind="stable")[:k]
    parts: Double = U[:, order].astype(np.float64) * s[order]
    signs = np.sign(parts[np.abs(parts).argmax(axis=0), np.arange(k)])
    return parts * np.where(signs == 0, 1, signs)


def _orthonormal(block: Float) -> Float:
    """Q of the QR decomposition, in one thread, since LAPACK calls BLAS for each of few columns."""
    with one_blas_thread():
        return np.linalg.qr(block)[0]


def nearest_rows(R: Float, k: int) -> tuple[Long, Double]:
    """The k nearest rows of each of m rows: (m, k) row numbers, and distances √(2 − 2·cosine)."""
    m = len(R)
    near, cosines = np.empty((m, k), np.int64), np.empty((m, k))
    for begin in range(0, m, rows_at_once(m)):
        part = slice(begin, min(m, begin + rows_at_once(m)))
        cosine = R[part] @ R.T
        cosine[np.arange(part.stop - begin), np.arange(begin, part.stop)] = -np.inf
        best = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(cosine, best, axis=1)
        order = np.lexsort((best, -values))
        near[part] = np.take_along_axis(best, order, axis=1)
        cosines[part] = np.take_along_axis(values, order, axis=1)
    return near, np.sqrt(np.maximum(2 - 2 * cosines, 0))
