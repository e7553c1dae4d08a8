"""EASE: B = I − P/diag(P) column by column, P = (XᵀX + λI)⁻¹, diag(B) = 0."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from shoal.base.closed_form import ClosedForm, zero_diagonal
from shoal.base.hyper import hyper
from shoal.kernels.arrays import Double, Float


class EASE(ClosedForm):
    """Embarrassingly shallow autoencoder (Steck, WWW 2019, arXiv:1905.03375).

    min ‖X − XB‖² + λ‖B‖² with diag(B) = 0. The fact ``negative_weights`` is the share of learned
    weights below zero. `nonnegative` sets them to zero after the fit, as in the paper's ablation;
    that is not the best solution among those without negative weights.
    """

    name: ClassVar[str] = "ease"

    nonnegative: bool = hyper(False, "set negative weights to zero (the paper's ablation)")

    @property
    def can_share_inverse(self) -> bool:
        """Return whether B is that of the formula."""
        return not self.nonnegative

    def _multiplier(self, p_diagonal: Double, ridge: Double) -> Double:
        return zero_diagonal(p_diagonal, ridge)

    def _finish(self, B: Float) -> dict[str, float]:
        np.fill_diagonal(B, 0)  # it is zero up to rounding; make it exact
        facts = super()._finish(B)
        if self.nonnegative:
            np.maximum(B, 0, out=B)
        return facts
