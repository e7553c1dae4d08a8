"""EASE on the items' vectors in place of interactions, without an n × n matrix."""

from __future__ import annotations

import numpy as np

from shoal.errors import ModelError
from shoal.kernels import dense
from shoal.kernels.arrays import Double, Float
from shoal.kernels.spd import NotPositiveDefiniteError


def text_ease(V: Float, l2: float, name: str) -> tuple[Float, Double]:
    """Solve EASE on the items' vectors, C = V·Wᵀ − diag(w − 1), without the n × n matrix.

    Parameters
    ----------
    V : (n, d) float32
        Fᵀ: one row per item.
    l2 : float
        λ_F.
    name : str
        Model name, for error messages.

    Returns
    -------
    W : (n, d) float32
        w_j·M f_j.
    w : (n,) float64
        1/(1 − f_jᵀM f_j).

    Raises
    ------
    ModelError
        λ_F is too small for these vectors.
    """
    K = dense.cross(V, V)
    np.einsum("ii->i", K)[:] += l2
    try:
        W, h = dense.quadratic(V, dense.inverse(K))
    except NotPositiveDefiniteError:
        h = np.ones(1)
    if not (h < 1).all():
        raise ModelError(f"{name}: text_l2={l2:g} is too small for these vectors: raise it")
    w: Double = 1 / (1 - h)
    W *= w[:, None].astype(np.float32)
    return W, w
