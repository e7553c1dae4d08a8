"""Add-EASE: B = (1 − α)·EASE(X) + α·EASE(F), F the item vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from shoal.base.hyper import hyper
from shoal.base.semantic import Composition, SemanticRecommender
from shoal.base.text_ease import text_ease


class AddEASE(SemanticRecommender):
    """Additive EASE (Jeunen, Van Balen and Goethals, RecSys 2020): a weighted sum of two models.

    EASE(X) is fitted to the interactions, EASE(F) to the item vectors.
    """

    name: ClassVar[str] = "add-ease"
    contains: ClassVar[Mapping[str, Mapping[str, Any]]] = {"ease": {"text": 0}}
    projects: ClassVar[bool] = False

    text: float = hyper(
        0.2, "α: share of EASE(F), the model fitted to item vectors", ge=0, le=1, search=(0, 1)
    )
    text_l2: float = hyper(
        10.0,
        "ridge λ_F of EASE(F), the model fitted to item vectors",
        gt=0,
        search=(0.1, 100),
        scale="log",
        allow_inf_nan=False,
    )

    def _combine(self) -> Composition:
        R, _ = text_ease(self.item_vectors, self.text_l2, self.name)
        R *= np.float32(self.text)
        zeros = np.zeros_like(self._diagonal)
        return Composition((1 - self.text) / self._diagonal, R, zeros, zeros, zeros)
