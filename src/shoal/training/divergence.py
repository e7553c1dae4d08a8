"""Whether training has diverged: weights, scores or a metric that are NaN or infinite."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from shoal.data.interactions import CSR

MOST_ROWS = 32  # most training rows whose scores are checked after an epoch
MOST_SCORES = 2**20  # most scores that are checked, so fewer rows for many items
LARGEST = 1e18  # largest weight: the squares of larger ones, as in norms, are infinite in float32


class DivergedError(ArithmeticError):
    """Something that has to be finite is NaN or infinite; the message says what and where."""


def all_finite(array: NDArray[np.floating]) -> bool:
    """Whether no number of an array is NaN or infinite, without a copy of the array."""
    if array.size == 0:
        return True
    return bool(np.isfinite(array.min()) and np.isfinite(array.max()))


def weights_are_finite(network: torch.nn.Module) -> bool:
    """Whether all weights of a network are numbers up to `LARGEST`, without a copy of them."""
    for tensor in network.state_dict().values():
        if tensor.is_floating_point() and tensor.numel():
            low, high = torch.aminmax(tensor.detach())  # both are NaN if any weight is NaN
            if not (low >= -LARGEST and high <= LARGEST):
                return False
    return True


def rows_to_check(examples: CSR) -> CSR:
    """Choose the training rows whose scores are checked after each epoch.

    They are the longest row, whose sums overflow first, and others at equal distances.

    Parameters
    ----------
    examples : CSR array (m, n)

    Returns
    -------
    CSR array (at most `MOST_ROWS`, n)
    """
    m, n = examples.shape
    count = max(1, min(m, MOST_ROWS, MOST_SCORES // n))
    rows = np.linspace(0, m - 1, count).astype(np.int64)
    rows[0] = np.argmax(np.diff(examples.indptr))
    return examples[np.unique(rows)]
