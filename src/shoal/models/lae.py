"""LAE: B = I − λP = P·XᵀX, P = (XᵀX + λI)⁻¹, with a free diagonal."""

from __future__ import annotations

from typing import ClassVar

from shoal.base.closed_form import ClosedForm
from shoal.base.hyper import hyper


class LAE(ClosedForm):
    """Linear autoencoder: ridge regression of X on itself, without a constraint on the diagonal.

    min ‖X − XB‖² + λ‖B‖². The best λ is 10 to 50 times that of EASE.
    """

    name: ClassVar[str] = "lae"

    l2: float = hyper(
        5000.0,
        "ridge λ on the weights",
        gt=0,
        search=(50, 50_000),
        scale="log",
        allow_inf_nan=False,
    )
