"""RLAE: B = I − P·diag(λ + μ), P = (XᵀX + λI)⁻¹, μ ≥ 0 such that diag(B) ≤ ξ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from shoal.base.closed_form import ClosedForm, bounded_diagonal
from shoal.base.hyper import hyper
from shoal.kernels.arrays import Double


class RLAE(ClosedForm):
    """Relaxed linear autoencoder (Moon, Kim and Lee, SIGIR 2023, arXiv:2305.12922).

    μ ≥ 0 keeps each diagonal weight of B at ξ or below. ξ = 0 is EASE, ξ ≥ 1 is LAE; in between,
    rarely chosen items keep some weight for themselves.
    """

    name: ClassVar[str] = "rlae"
    contains: ClassVar[Mapping[str, Mapping[str, Any]]] = {"ease": {"xi": 0}, "lae": {"xi": 1}}

    xi: float = hyper(0.3, "ξ: largest weight of an item for itself", ge=0, le=1, search=(0, 0.9))

    def _multiplier(self, p_diagonal: Double, ridge: Double) -> Double:
        return bounded_diagonal(p_diagonal, ridge, self.xi)
