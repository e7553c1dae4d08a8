"""What a model answers to each item alone, and which answers are alike."""

from __future__ import annotations

import numpy as np

from shoal.base.recommender import Recommender
from shoal.data.interactions import CSR
from shoal.errors import DataError, ModelError
from shoal.kernels.arrays import Double, Float, Long
from shoal.run import Run

COMPONENTS = 16  # of the responses, for clusters; the first two are where a layout begins

_BLOCK_BYTES = 64_000_000  # of scores, or of cosines, at a time
_SWEEPS = 3  # of centring; each leaves about 1/n of what there was
_PASSES = 6  # of subspace iteration
_EXACT = 300  # up to so many items all singular vectors are computed


def rows_at_once(width: int) -> int:
    """How many rows of float32 of this width a block has."""
    return max(1, _BLOCK_BYTES // (4 * width))


def responses(model: Recommender, chosen: Long, run: Run) -> Float:
    """The scores of all items for each chosen item alone, (m, n)."""
    m, n = len(chosen), model.n_items
    out = np.empty((m, n), np.float32)
    size = rows_at_once(n)
    with run.progress.step(f"{model.name}: responses", m) as step:
        for begin in range(0, m, size):
            part = chosen[begin : begin + size]
            alone = CSR(
                (np.ones(len(part), np.float32), part, np.arange(len(part) + 1)),
                shape=(len(part), n),
            )
            out[begin : begin + size] = model.score(alone)
            step.advance(len(part))
    if not np.isfinite(out.sum(dtype=np.float64)) and not np.isfinite(out).all():
        raise ModelError(f"{model.name} gave a score that is not a number: fit it again")
    return out


def centre(R: Float, chosen: Long, name: str) -> int:
    """Make responses (m, n) comparable by inner product, in place.

    Own entries become 0, columns and rows of the others get mean 0, and rows length 1.

    Returns
    -------
    int
        How many rows had one score for all.

    Raises
    ------
    DataError
        All rows are the same.
    """
    m, n = R.shape
    at = np.arange(m)
    largest = max(R.max(), -R.min())
    R[at, chosen] = R[at, (chosen + 1) % n]  # any other entry, so that the range is the others'
    silent = R.max(axis=1) - R.min(axis=1) <= 1e-6 * largest
    others = np.full(n, m, np.float64)
    others[chosen] -= 1
    R[at, chosen] = 0
    # each disturbs the other a little, since own entries are missing; columns first, so that rows
    # that are the same but for own entries become 0 at once
    for _ in range(_SWEEPS):
        R -= (R.sum(axis=0, dtype=np.float64) / np.maximum(others, 1)).astype(np.float32)
        R[at, chosen] = 0
        R -= (R.sum(axis=1, dtype=np.float64) / (n - 1)).astype(np.float32)[:, None]
        R[at, chosen] = 0
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
            Q, _ = np.linalg.qr(R.T @ np.linalg.qr(R @ Q)[0])
        U, s, _ = np.linalg.svd(R @ Q, full_matrices=False)
    order = np.argsort(-s, kind="stable")[:k]
    parts: Double = U[:, order].astype(np.float64) * s[order]
    signs = np.sign(parts[np.abs(parts).argmax(axis=0), np.arange(k)])
    return parts * np.where(signs == 0, 1, signs)


def nearest_rows(R: Float, k: int) -> tuple[Long, Double]:
    """The k nearest rows of each, (m, k) each: numbers, and distances √(2 − 2·cosine)."""
    m = len(R)
    near, far = np.empty((m, k), np.int64), np.empty((m, k))
    for begin in range(0, m, rows_at_once(m)):
        part = slice(begin, min(m, begin + rows_at_once(m)))
        cosine = R[part] @ R.T
        cosine[np.arange(part.stop - begin), np.arange(begin, part.stop)] = -np.inf
        best = np.argpartition(-cosine, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(cosine, best, axis=1)
        order = np.lexsort((best, -values))
        near[part] = np.take_along_axis(best, order, axis=1)
        far[part] = np.take_along_axis(values, order, axis=1)
    return near, np.sqrt(np.maximum(2 - 2 * far, 0))
