"""DLAE: B = I − P·diag(Λ), P = (XᵀX + diag Λ)⁻¹, Λ_j = λ + p/(1−p)·c_j."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from shoal.base.closed_form import ClosedForm
from shoal.base.hyper import hyper


class DLAE(ClosedForm):
    """Denoising linear autoencoder (Steck, NeurIPS 2020, "Autoencoders that don't overfit").

    The closed-form minimum of the squared error, in expectation over inputs that are dropped with
    probability p. c_j is the diagonal of XᵀX: with binary data, the number of users of item j.
    """

    name: ClassVar[str] = "dlae"
    contains: ClassVar[Mapping[str, Mapping[str, Any]]] = {"lae": {"dropout": 0}}

    dropout: float = hyper(0.3, "probability p of dropping an input", ge=0, lt=1, search=(0.1, 0.9))
