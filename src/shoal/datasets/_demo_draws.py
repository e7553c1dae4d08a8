"""Random numbers that are the same on every machine.

Only `Generator.random` is drawn from: its stream is the one that numpy keeps the same everywhere.
"""

from __future__ import annotations

import numpy as np

from shoal.kernels.arrays import Double, Long


def bell(rng: np.random.Generator, *shape: int) -> Double:
    """Draw near-normal numbers of mean 0 and variance 1, within ±3 (a sum of three uniforms)."""
    return (rng.random(shape) + rng.random(shape) + rng.random(shape) - 1.5) * 2.0


def integers(rng: np.random.Generator, below: int, size: int) -> Long:
    """Draw whole numbers from 0 to `below` - 1."""
    return np.floor(rng.random(size) * below).astype(np.int64)


def pick(rng: np.random.Generator, weights: Double) -> int:
    """Draw a place, each as likely as its weight says."""
    cumulative = np.cumsum(weights)
    return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))


def turns(key: Double, group: Long) -> Long:
    """Count for each entry how many of its group have a smaller key."""
    order = np.lexsort((key, group))
    counted = np.empty_like(order)
    counted[order] = np.arange(len(group)) - np.searchsorted(group[order], group[order])
    return counted
