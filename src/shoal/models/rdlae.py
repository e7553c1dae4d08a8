"""RDLAE: B = I − P·diag(Λ + μ), P = (XᵀX + diag Λ)⁻¹, Λ_j = λ + p/(1−p)·c_j, diag(B) ≤ ξ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from shoal.base.closed_form import ClosedForm, bounded_diagonal
from shoal.base.hyper import hyper
from shoal.kernels.arrays import Double


class RDLAE(ClosedForm):
    """Relaxed denoising linear autoencoder (Moon, Kim and Lee, SIGIR 2023, arXiv:2305.12922).

    Inputs are dropped with probability p; μ ≥ 0 keeps each diagonal weight of B at ξ or below.
    ξ = 0 is EDLAE, ξ ≥ 1 is DLAE, p = 0 is RLAE. c_j is the diagonal of XᵀX.
    """

    name: ClassVar[str] = "rdlae"
    contains: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "edlae": {"xi": 0},
        "rlae": {"dropout": 0},
        "dlae": {"xi": 1},
    }

    dropout: float = hyper(0.3, "probability p of dropping an input", ge=0, lt=1, search=(0.1, 0.9))
    xi: float = hyper(0.3, "ξ: largest weight of an item for itself", ge=0, le=1, search=(0, 0.9))

    def _multiplier(self, p_diagonal: Double, ridge: Double) -> Double:
        return bounded_diagonal(p_diagonal, ridge, self.xi)
