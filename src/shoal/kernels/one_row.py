"""Inner products of one vector u with the rows of V, and the k best of them without reading all V.

For one u, u·Vᵀ takes as long as reading V. A copy of V in 8 bits, a quarter of V, is read instead.
It gives each product within a bound, so that most items cannot be among the best. The others are
computed from V itself, by the same machine code that computes all of them where there is no copy,
so that the bits of a score depend neither on the copy nor on the other items.

    v = s·q + e,  u = t·p + r,  |u·v − t·s·(p·q)| ≤ ‖r‖·‖s·q‖ + ‖u‖·‖e‖       (Cauchy–Schwarz)

with whole numbers q (8 bits) and p (16 bits).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from shoal.kernels import topk
from shoal.kernels.arrays import Bool, Float, Int, Ranking, Seen
from shoal.kernels.compiling import jit

_LANES = 64  # sums that run beside each other
_LARGEST = 127  # of a number of 8 bits
_FEW = 8  # one in so many items may be left; where more are, all products take as long


@dataclass(frozen=True)
class Rounded:
    """A copy of V in 8 bits: row i of V is about scale[i]·numbers[i].

    Parameters
    ----------
    numbers : (n, d) int8
    scale : (n,) float32
    length : (n,) float32
        ‖scale·numbers‖.
    error : (n,) float32
        ‖v − scale·numbers‖.
    """

    numbers: Any
    scale: Float
    length: Float
    error: Float


@jit(nogil=True, fastmath={"contract"})
def _dots(V: Float, rows: Int, u: Float, out: Float) -> None:
    whole = u.size - u.size % _LANES
    sums = np.empty(_LANES, np.float32)
    for i in range(rows.size):
        row = V[rows[i]]
        sums[:] = 0.0
        for begin in range(0, whole, _LANES):
            for lane in range(_LANES):
                sums[lane] += row[begin + lane] * u[begin + lane]
        for j in range(whole, u.size):
            sums[j - whole] += row[j] * u[j]
        width = _LANES // 2
        while width > 0:
            for lane in range(width):
                sums[lane] += sums[lane + width]
            width //= 2
        out[i] = sums[0]


def dots(V: Float, u: Float, rows: Int | None = None) -> Float:
    """Return the inner products of u (d,) with all rows of V (n, d), or with some of them.

    Each is summed in the same order, whichever others are computed with it.
    """
    rows = np.arange(len(V), dtype=np.int32) if rows is None else rows
    out = np.empty(rows.size, np.float32)
    _dots(V, rows, u, out)
    return out


@jit(nogil=True)
def _round(V: Float, numbers: Any, scale: Float, length: Float, error: Float) -> None:
    for i in range(V.shape[0]):
        largest = np.float32(0.0)
        for j in range(V.shape[1]):
            largest = max(largest, abs(V[i, j]))
        scale[i] = largest / _LARGEST
        step = max(scale[i], np.float32(1e-30))
        squares, errors = 0.0, 0.0
        for j in range(V.shape[1]):
            number = round(V[i, j] / step)
            numbers[i, j] = max(-_LARGEST, min(_LARGEST, number))
            near = np.float64(scale[i]) * numbers[i, j]
            squares += near**2
            errors += (V[i, j] - near) ** 2
        length[i], error[i] = np.sqrt(squares), np.sqrt(errors)


def rounded(V: Float) -> Rounded | None:
    """Round V (n, d) to 8 bits; None if it holds NaN or infinity."""
    n = len(V)
    copy = Rounded(np.empty(V.shape, np.int8), *(np.empty(n, np.float32) for _ in range(3)))
    _round(V, copy.numbers, copy.scale, copy.length, copy.error)
    return copy if np.isfinite(copy.error).all() and np.isfinite(copy.length).all() else None


@jit(nogil=True)
def _whole_products(numbers: Any, p: Any, out: Int) -> None:
    for i in range(numbers.shape[0]):
        total = np.int32(0)
        for j in range(numbers.shape[1]):
            total += np.int32(numbers[i, j]) * np.int32(p[j])
        out[i] = total  # of 32 bits, so that LLVM sums in 32 bits


@jit(nogil=True)
def _enclose(
    totals: Int,
    scale: Float,
    length: Float,
    error: Float,
    step: float,
    rest: float,
    size: float,
    slack: float,
    lower: Float,
    upper: Float,
) -> None:
    """Write bounds of all products: rest is ‖r‖, size ‖u‖, slack the share that rounding takes."""
    for i in range(totals.size):
        middle = step * scale[i] * totals[i]
        reach = rest * length[i] + size * error[i] + slack * size * (length[i] + error[i])
        lower[i], upper[i] = middle - reach, middle + reach


def enclosed(u: Float, copy: Rounded) -> tuple[Float, Float] | None:
    """Bounds of u·v for all rows v of V, as `dots` computes it; None where there are none."""
    d, largest = u.size, float(np.abs(u).max())
    if not 0 < largest < np.inf:
        return None
    most = min(2**15 - 1, (2**31 - 1) // (_LARGEST * d))
    if most < _LARGEST:
        return None
    step = largest / most
    exact = u.astype(np.float64)
    p = np.rint(exact / step)
    rest, size = float(np.linalg.norm(exact - p * step)), float(np.linalg.norm(exact))
    lower, upper = np.empty((2, len(copy.scale)), np.float32)
    slack = (d + 8) * 2.0**-23  # of a sum of d products in float32, and of the bounds themselves
    totals = np.empty(len(copy.scale), np.int32)
    _whole_products(copy.numbers, p.astype(np.int16), totals)
    parts = copy.scale, copy.length, copy.error
    _enclose(totals, *parts, step, rest, size, slack, lower, upper)
    return lower, upper


@jit(nogil=True)
def _at_least(upper: Float, floor: float, allowed: Bool, left: Int) -> int:
    """Write the allowed items with such a bound, as many as there is room for; return how many."""
    size = 0
    for i in range(upper.size):
        if upper[i] >= floor and allowed[i]:
            if size < left.size:
                left[size] = i
            size += 1
    return size


def candidates(
    u: Float, copy: Rounded, k: int, barred: Int, free: Int, allowed: Bool
) -> Int | None:
    """Find the items among which the k highest products of u and rows of V are.

    Parameters
    ----------
    u : (d,) float32
    copy : Rounded
        Of V.
    k : int
    barred : (b,) int32
        Items that may not be chosen.
    free : (f,) int32
        Items whose scores are other than the products; they are always among the candidates.
    allowed : (n,) bool
        Items that may be chosen at all.

    Returns
    -------
    (c,) int32, ascending; or None if the bounds leave too many
    """
    bounds = enclosed(u, copy)
    if bounds is None:
        return None
    lower, upper = bounds
    lower[free], upper[free] = -np.inf, np.inf
    upper[barred] = -np.inf
    extents = np.array([0, barred.size], np.int64)
    _, best = topk.best(lower[None], k, extents, barred, allowed)
    floor = best[0, k - 1]
    if floor == -np.inf:  # fewer than k items can be chosen
        return None
    left = np.empty(upper.size // _FEW, np.int32)
    size = _at_least(upper, floor, allowed, left)
    return left[:size] if size <= left.size else None


def best_of_candidates(scores: Float, items: Int, k: int) -> Ranking:
    """Choose the k best of some items.

    Parameters
    ----------
    scores : (c,) float32
    items : (c,) int32
        Ascending.
    k : int

    Returns
    -------
    items, scores : (1, k) each, as of `topk.best`
    """
    nothing: Seen = np.zeros(2, np.int64), np.empty(0, np.int32)
    places, values = topk.best(scores[None], k, *nothing, np.ones(items.size, np.bool_))
    return np.where(places >= 0, items[places], np.int32(-1)), values


def spread(scores: Float, items: Int, n_items: int) -> Float:
    """Put the scores of some items in their places in a row, (1, n_items); −inf elsewhere."""
    row = np.full((1, n_items), -np.inf, np.float32)
    row[0, items] = scores
    return row
