"""EDLAE: B = I − P/diag(P), P = (XᵀX + diag Λ)⁻¹, Λ_j = λ + p/(1−p)·c_j, diag(B) = 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from shoal.base.closed_form import ClosedForm, zero_diagonal
from shoal.base.hyper import hyper
from shoal.kernels.arrays import Double


class EDLAE(ClosedForm):
    """Emphasised denoising linear autoencoder, full rank (Steck, NeurIPS 2020).

    Inputs are dropped as in DLAE, but only dropped entries count in the loss; this amounts to
    diag(B) = 0. c_j is the diagonal of XᵀX.
    """

    name: ClassVar[str] = "edlae"
    contains: ClassVar[Mapping[str, Mapping[str, Any]]] = {"ease": {"dropout": 0}}

    dropout: float = hyper(0.3, "probability p of dropping an input", ge=0, lt=1, search=(0.1, 0.9))

    def _multiplier(self, p_diagonal: Double, ridge: Double) -> Double:
        return zero_diagonal(p_diagonal, ridge)
