"""Draw the picture of docs/closed-forms.md: what each filter does to the spectrum of MovieLens-1M.

    SHOAL_DATA=… python docs/closed_forms.py

The eigenvalues are those of S = R̃ᵀR̃, R̃ = D_u^−½XD^−½, computed from the dense matrix. The
polynomials of ChebyCF and BSPM are those of their models. Takes some seconds.
"""

# ruff: noqa: T201
from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
import matplotlib.pyplot as plt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the folder that holds benchmarks/
from benchmarks.harness.data import ml_1m
from shoal.base.graph import degrees, inverse_power
from shoal.data.interactions import Interactions
from shoal.kernels.arrays import Double
from shoal.models.bspm import BSPM
from shoal.models.chebycf import ChebyCF

PICTURE = Path(__file__).parent / "images" / "closed-forms.png"
RANK = 128  # of the low-pass filters in the picture


@dataclass(frozen=True)
class Filter:
    """A line of the picture: h(s) + ζ·f(s), the second for the first RANK eigenvalues only."""

    label: str
    colour: str
    h: Callable[[Double], Double]
    zeta: float = 0.0
    f: Callable[[Double], Double] = np.ones_like
    line: str = "-"

    def over(self, values: Double) -> Double:
        """The filter at eigenvalues, the largest first, as a share of its first."""
        low = np.arange(values.size) < RANK
        gains = self.h(values) + self.zeta * low * self.f(values)
        return np.asarray(gains / gains[0])


def dlae(dropout: float) -> Callable[[Double], Double]:
    """s/(s + γ), γ = p/(1−p)."""
    gamma = dropout / (1 - dropout)
    return lambda s: s / (s + gamma)


def filters() -> list[Filter]:
    """The lines, with the settings that the page names."""
    cheby, bspm = ChebyCF(), BSPM()
    (of_cheby, _), (of_bspm, low_of_bspm) = cheby._polynomials(), bspm._polynomials()
    return [
        Filter("GF-CF without low-pass, RP3β: s", "#8a8f98", lambda s: s, line="--"),
        Filter("GF-CF: s, ζ 0.3", "#8a8f98", lambda s: s, 0.3),
        Filter("Turbo-CF: 2s − s²", "#b58900", lambda s: 2 * s - s**2),
        Filter("DLAE: s/(s + γ), p 0.62", "#0b6e8a", dlae(0.62), line="--"),
        Filter("low-pass-rdlae: the same, ζ 0.1", "#0b6e8a", dlae(0.62), 0.1),
        Filter("DLAE, p 0.1", "#5b4b9a", dlae(0.1), line="--"),
        Filter("ChebyCF, ζ 0.2", "#c44e52", of_cheby, cheby.zeta),
        Filter("BSPM, ζ 0.2", "#2e8b57", of_bspm, bspm.zeta, low_of_bspm),
    ]


def spectrum(log: Interactions) -> Double:
    """The eigenvalues of S, the largest first."""
    users, items = (inverse_power(sums, 0.5) for sums in degrees(log))
    R = log.matrix.toarray() * users[:, None] * items
    return np.clip(np.linalg.eigvalsh((R.T @ R).astype(np.float64))[::-1], 0, 1)


def draw(values: Double) -> None:
    """The eigenvalues themselves on the left, the filters by rank on the right."""
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11, 4.6), layout="constrained", width_ratios=[1, 1.9]
    )
    ranks = np.arange(1, values.size + 1)
    left.loglog(ranks, np.maximum(values, 1e-9), color="#444444")
    left.set(ylim=(1e-3, 1.2), xlabel="number of the eigenvalue", ylabel="s")
    left.set_title("Eigenvalues of S, MovieLens-1M", loc="left")
    for each in filters():
        right.semilogx(ranks, each.over(values), each.line, color=each.colour, label=each.label)
    right.set(ylim=(0, 1.05), xlabel="number of the eigenvalue")
    right.set_title("h as a share of its value at the first", loc="left")
    right.legend(frameon=False, loc="upper right", fontsize=9)
    right.text(RANK * 1.08, 0.4, f"k = {RANK}", color="#666666", fontsize=9)
    for axes in (left, right):
        axes.axvline(RANK, color="#bbbbbb", lw=0.8)
        axes.grid(alpha=0.3)
    figure.savefig(PICTURE, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    values = spectrum(ml_1m().train)
    print([(k, round(float(values[k - 1]), 3)) for k in (1, 2, 8, 32, 128, 512, values.size)])
    draw(values)
