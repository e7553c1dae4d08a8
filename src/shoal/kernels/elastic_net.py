"""The non-negative elastic net of one column, on the Gram matrix of its candidates.

With r = g − Gw, where G = XᵀX and g is its column j, one coordinate's minimum is
w_k = max(0, r_k + G_kk·w_k − l1) / (G_kk + l2) (Friedman et al., J. Stat. Software 2010, §2.2).

* Working set. Sweeps run over the weights above zero and the candidates that violate optimality
  most, on a small dense copy of their part of G; then r is computed anew for all candidates.
* Stop. f(w) exceeds the minimum by at most the duality gap (dual point x_j − Xw): the sum over k
  of (r_k − l1 − l2·w_k)²/(2·l2) where r_k ≥ l1, and of (l1 − r_k)·w_k + l2·w_k²/2 elsewhere.
"""

from __future__ import annotations

import numpy as np

from shoal.kernels.arrays import Float, Int, Long
from shoal.kernels.compiling import jit
from shoal.kernels.selection import item_of, keep_best, key_of

ROOM = 2048  # coordinates of the largest working set
_NEWCOMERS = 32  # candidates that join the first working set
_ROUNDS = 200  # largest number of working sets of a column
_SWEEPS = 1000  # largest number of sweeps over one working set


@jit()
def _gap(r: Float, w: Float, l1: float, l2: float) -> float:
    """Return the duality gap of the weights w with r = g − Gw, both (p,)."""
    total = 0.0
    for k in range(w.size):
        s = np.float64(r[k]) - l1
        if s >= 0:
            total += (s - l2 * w[k]) ** 2 / (2 * l2)
        elif w[k] > 0:
            total += w[k] * (l2 / 2 * w[k] - s)
    return total


@jit(fastmath={"contract"})
def _residuals(G: Float, candidates: Int, g: Float, w: Float, full: Float, r: Float) -> None:
    """Write g − Gw of the candidates into r; g, w and r are (p,), `full` is (n,) work space."""
    r[:] = g
    if 4 * r.size < full.size:
        for k in range(w.size):
            if w[k] > 0:
                row, wk = G[candidates[k]], w[k]
                for b in range(r.size):
                    r[b] -= wk * row[candidates[b]]
        return
    full[:] = 0  # from about n/4 candidates on, whole rows are faster than picking columns
    for k in range(w.size):
        if w[k] > 0:
            row, wk = G[candidates[k]], w[k]
            for b in range(full.size):
                full[b] += wk * row[b]
    for b in range(r.size):
        r[b] -= full[candidates[b]]


@jit()
def _working_set(
    r: Float, w: Float, l1: float, l2: float, off: Float, keys: Long, active: Int
) -> int:
    """Write all weights above zero and the worst violators of optimality to `active`, ascending.

    Returns their number; `off` and `keys`, (p,) each, are work space.
    """
    positive = 0
    for k in range(w.size):
        positive += w[k] > 0
    # if more weights are above zero than fit, take those furthest from optimality
    crowded = 2 * positive > active.size
    bits, size = off.view(np.int32), 0
    for k in range(w.size):
        off[k] = abs(r[k] - np.float32(l1) - np.float32(l2) * w[k])
        if (w[k] == 0 and r[k] > l1) or (w[k] > 0 and crowded):
            keys[size] = key_of(bits[k], k)
            size += 1
    most = active.size if crowded else min(max(_NEWCOMERS, positive), active.size - positive)
    if size > most:
        keep_best(keys, size, most)
        size = most
    for at in range(size):
        active[at] = item_of(keys[at])
    if not crowded:
        for k in range(w.size):
            if w[k] > 0:
                active[size] = k
                size += 1
    active[:size].sort()
    return size


@jit(fastmath={"contract"})
def _sweeps(
    table: Float, r: Float, w: Float, l1: float, l2: float, target: float
) -> tuple[int, np.bool_]:
    """Minimise f over a working set, whose part of G is `table`; update its r and w in place.

    Returns the number of sweeps, and whether the last one changed weights by rounding only.
    """
    a = w.size
    for sweep in range(_SWEEPS):
        moved, largest = np.float32(0), np.float32(0)
        for k in range(a):
            old = w[k]
            s = r[k] - np.float32(l1)
            if old == 0 and s <= 0:
                continue
            row = table[k * a : (k + 1) * a]
            new = max(np.float32(0), (s + row[k] * old) / (row[k] + np.float32(l2)))
            step = new - old
            if step != 0:
                w[k] = new
                for b in range(a):
                    r[b] -= step * row[b]
            moved = max(moved, abs(step))
            largest = max(largest, new)
        still = moved <= np.float32(2e-7) * largest
        if still or _gap(r, w, l1, l2) <= target:
            return sweep + 1, still
    return _SWEEPS, still


@jit()
def solve_column(
    G: Float,
    candidates: Int,
    g: Float,
    w: Float,
    l1: float,
    l2: float,
    limit: float,
    full: Float,
    table: Float,
) -> tuple[float, int]:
    """Solve one column from the weights w, in place; return the duality gap and the sweeps."""
    p = w.size
    r, off, keys = np.empty(p, np.float32), np.empty(p, np.float32), np.empty(p, np.int64)
    active = np.empty(min(p, ROOM), np.int32)
    part, weights = np.empty(active.size, np.float32), np.empty(active.size, np.float32)
    _residuals(G, candidates, g, w, full, r)
    gap, sweeps = _gap(r, w, l1, l2), 0
    for _ in range(_ROUNDS):
        if gap <= limit:
            break
        a = _working_set(r, w, l1, l2, off, keys, active)
        for x in range(a):
            k = active[x]
            row = G[candidates[k]]
            part[x], weights[x] = r[k], w[k]
            for y in range(a):
                table[x * a + y] = row[candidates[active[y]]]
        target = max(0.3 * limit, 0.03 * gap)
        count, still = _sweeps(table, part[:a], weights[:a], l1, l2, target)
        if still and count == 1:
            break
        sweeps += count
        for x in range(a):
            w[active[x]] = weights[x]
        _residuals(G, candidates, g, w, full, r)
        gap = _gap(r, w, l1, l2)
    return gap, sweeps
