"""BSPM: ŷ = x(S + ζ·D^−½VVᵀD^½)·q(S)^n, S = R̃ᵀR̃; q: a step of an ODE solver for dz/dt = −z·S."""

from __future__ import annotations

from math import factorial
from typing import ClassVar, Literal

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

from shoal.base.hyper import hyper
from shoal.base.polynomial_filter import ONE, PolynomialFilter, series
from shoal.kernels.arrays import Double

ORDER = {"euler": 1, "rk4": 4}  # q is the Taylor polynomial of e^−τs of this degree


class BSPM(PolynomialFilter):
    """Blurring-sharpening process (Choi, Hong, Park and Cho, SIGIR 2023) as an exact polynomial.

    Nothing is trained. R̃ = D_u^−½XD^−½, V its k first right singular vectors. A history is blurred
    once by S and by the low-pass filter, then sharpened in n steps of τ = T/n. Defaults are the
    authors' for Gowalla; Yelp2018: solver=euler, time=1.2, average=true, zeta=0.3, factors=384;
    Amazon-book: steps=2, time=2.2, zeta=0. Scores take two passes over the training histories for
    each degree of q^n, and two more; the model keeps these histories without the ids of the users.
    """

    name: ClassVar[str] = "bspm"

    factors: int = hyper(
        448, "k: singular vectors of the low-pass filter", ge=1, search=(64, 1024), scale="log"
    )
    solver: Literal["rk4", "euler"] = hyper("rk4", "how a step sharpens: Runge-Kutta 4 or Euler")
    steps: int = hyper(1, "n: steps of sharpening", ge=1, le=16)
    time: float = hyper(2.5, "T: how long the sharpening lasts", ge=0, search=(0, 4), le=50)
    merge: Literal["early", "late"] = hyper(
        "early", "low-pass filter added before the sharpening (EM) or after it (LM)"
    )
    average: bool = hyper(False, "mean of the blurred history and of all sharpened ones")

    def _polynomials(self) -> tuple[Chebyshev, Chebyshev]:
        """The polynomials of the history, blurred by S, and of the low-pass filter."""
        order = ORDER[self.solver]
        tau, degree = self.time / self.steps, order * self.steps
        step = Polynomial([(-tau) ** j / factorial(j) for j in range(order + 1)])

        def sharpening(s: Double, blurred: int) -> Double:
            if not self.average:
                return np.asarray(step(s) ** self.steps)
            powers = [step(s) ** n for n in range(1, self.steps + 1)]
            return np.asarray((sum(powers) + blurred) / (self.steps + 1))

        h = series(lambda s: s * sharpening(s, 1), degree + 1)
        return h, series(lambda s: sharpening(s, 0), degree) if self.merge == "early" else ONE

    @property
    def _exponents(self) -> tuple[float, float]:
        return 0, 0.5
