"""L3AE: B = I − P·diag(Λ + μ) + λ_E·P·C, P = (XᵀX + Λ)⁻¹, C = EASE on item vectors, diag(B) = 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np

from shoal.base.hyper import hyper
from shoal.base.semantic import Composition, SemanticRecommender
from shoal.base.text_ease import text_ease


class L3AE(SemanticRecommender):
    """Linear autoencoder guided by texts (Moon, Park and Lee, CIKM 2025, arXiv:2508.13500).

    min ‖X − XB‖² + λ_X‖B‖² + λ_E‖B − C‖² with diag(B) = 0. Here λ = λ_X + λ_E, so the authors'
    best λ_X < 0 means λ < λ_E. λ_E = 0 is EASE. The paper does not have ξ, dropout, α and β (from
    RDLAE and DAN), item vectors of length 1, and `cold`: by the formula, an item without users
    counts as one that all users passed over, and its column of B is λ_E·P·C; `cold=text` ignores
    the interactions for such items, and their column is λ_E/λ·C.
    """

    name: ClassVar[str] = "l3ae"
    contains: ClassVar[Mapping[str, Mapping[str, Any]]] = {"rdlae": {"text": 0}}
    ridges: ClassVar[tuple[str, ...]] = ("l2", "text")

    l2: float = hyper(
        200.0,
        "ridge λ = λ_X + λ_E on the weights",
        gt=0,
        search=(10, 2000),
        scale="log",
        allow_inf_nan=False,
    )
    text: float = hyper(
        100.0,
        "λ_E: how strongly B is drawn to C, the weights from texts",
        ge=0,
        search=(5, 2000),
        scale="log",
        allow_inf_nan=False,
    )
    text_l2: float = hyper(
        10.0,
        "ridge λ_F of C, the weights from texts",
        gt=0,
        search=(0.1, 100),
        scale="log",
        allow_inf_nan=False,
    )
    dropout: float = hyper(0.0, "probability p of dropping an input", ge=0, lt=1, search=(0, 0.7))
    xi: float = hyper(
        0.0, "ξ: largest diagonal weight; 0: diag(B) = 0", ge=0, le=1, search=(0, 0.7)
    )
    alpha: float = hyper(
        0.0,
        "α of DAN: damp popular items by c^−α",
        ge=0,
        le=1,
        search=(0, 0.5),
        allow_inf_nan=False,
    )
    beta: float = hyper(
        0.0, "β of DAN: damp long histories by d^−β", ge=0, le=1, search=(0, 1), allow_inf_nan=False
    )
    cold: Literal["text", "log"] = hyper(
        "text", "weights to items without users: λ_E/λ·C (text) or λ_E·P·C (log)"
    )

    def _combine(self) -> Composition:
        R, w = text_ease(self.item_vectors, self.text_l2, self.name)
        R *= np.float32(self.text)
        p, text_scale = self._diagonal, self.text * (w - 1)
        product = np.einsum("jd,jd->j", self._left, R, dtype=np.float64)
        pc = product - text_scale * p  # λ_E·diag(P·C)
        constrained = (1 + pc - self.xi) / p
        if self.xi:
            constrained = np.where(1 + pc - self._ridge * p > self.xi, constrained, self._ridge)
        diagonal = 1 + pc - constrained * p if self.xi else np.zeros_like(p)
        return Composition(constrained + text_scale, R, diagonal, text_scale, pc)
