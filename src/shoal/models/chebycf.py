"""ChebyCF: ŷ = x·D^−b(Σ_k c_k T_k(I − 2S) + ζVVᵀ)D^b, S = R̃ᵀR̃, c from the plateau of φ."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.polynomial import Chebyshev, chebyshev

from shoal.base.hyper import hyper
from shoal.base.polynomial_filter import ONE, UNIT, PolynomialFilter
from shoal.kernels.arrays import Double


def plateau(t: Double, flatness: float) -> Double:
    """½ − ½·t^φ for t ≥ 0, else ½ + ½·(−t)^φ: from 1 at t = −1 to 0 at t = 1, flat in between."""
    return np.asarray(0.5 - 0.5 * np.sign(t) * np.abs(t) ** flatness)


class ChebyCF(PolynomialFilter):
    """Graph filter by Chebyshev interpolation (Kim, Sung, Han and Lee, SIGIR 2025).

    Nothing is trained. R̃ = D_u^−½XD^−½, V its k first right singular vectors. As in the authors'
    code, the values that the polynomial takes at the roots t_0 … t_K of T_{K+1} are those of the
    plateau at the extrema −cos(πj/K) of T_K (there they are rounded to three decimals). Defaults
    are the authors' for Gowalla; Amazon-book: flatness=10, b=0; Last-FM: flatness=15, factors=256,
    zeta=0.1, b=0.2. Scores take 2K − 1 passes over the training histories, which the model keeps
    without the ids of the users; a pass serves 32 histories.
    """

    name: ClassVar[str] = "chebycf"

    degree: int = hyper(8, "K: degree of the polynomial", ge=1, le=64)
    flatness: float = hyper(
        1.5, "φ: how flat the filter is between its ends", gt=0, search=(1, 20), scale="log", le=100
    )
    b: float = hyper(0.4, "exponent of the item counts D", ge=0, le=1, search=(0, 0.5))

    def _polynomials(self) -> tuple[Chebyshev, Chebyshev]:
        """The polynomial in s, where t = 1 − 2s, and 1."""
        nodes = chebyshev.chebpts1(self.degree + 1)  # ascending t, as the extrema
        values = plateau(chebyshev.chebpts2(self.degree + 1), self.flatness)
        coefficients = chebyshev.chebvander(nodes, self.degree).T @ values
        coefficients *= 2 / (self.degree + 1)
        coefficients[0] /= 2
        signs = np.where(np.arange(self.degree + 1) % 2, -1, 1)  # T_k(−t) = (−1)^k T_k(t)
        return Chebyshev(coefficients * signs, domain=UNIT), ONE

    @property
    def _exponents(self) -> tuple[float, float]:
        return self.b, self.b
