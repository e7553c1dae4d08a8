# mypy: ignore-errors
"""What the SLIM scripts share: penalties, and the weights that are handed back."""

from __future__ import annotations

import argparse
from typing import Any

import scipy.sparse as sp
from common import Bench


class SlimBench(Bench):
    """One peer's fit of SLIM with the penalties `l1` and `l2` in units of XᵀX."""

    def more_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--l1", type=float, required=True)

    @property
    def l1(self) -> float:
        """Lasso penalty."""
        return float(self.chosen.l1)

    @property
    def alpha(self) -> float:
        """Of scikit-learn's convention, in which the loss is divided by the number of users."""
        return (self.l1 + self.l2) / int(self.X.shape[0])

    @property
    def l1_ratio(self) -> float:
        """Of the same convention."""
        return self.l1 / (self.l1 + self.l2)

    def weights(self, B: Any) -> None:
        """Keep B, items × items, column i for the candidate i; its objective is computed apart."""
        sp.save_npz(self.out.with_suffix(".weights.npz"), sp.csc_matrix(B), compressed=False)
