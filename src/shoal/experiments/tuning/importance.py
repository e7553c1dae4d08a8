"""Which hyper-parameters mattered: shares of the variance of the score over the space.

A polynomial of second order is fitted to the trials by least squares, in terms that are orthonormal
over the space (Legendre polynomials of each hyper-parameter on its scale, contrasts between
choices, and products of two linear terms). The squares of its coefficients then are the parts of
the score's variance over the space, whatever trials there were: Sobol's indices by polynomial chaos
(Sudret, Reliability Engineering & System Safety 93, 2008). A product of two counts for both, and
shares are divided by their sum.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from shoal.base.ranges import Choices, Range, Space
from shoal.experiments.tuning.space import contains
from shoal.experiments.tuning.trials import COMPLETE, Trial
from shoal.kernels.arrays import Double

FEWEST = 8  # with fewer trials nothing is said
EXPLAINED = 0.5  # the share of the variance among trials that the polynomial must explain

# the hyper-parameters that a term depends on, and its values for all trials
Term = tuple[frozenset[str], Double]


def importance(trials: Sequence[Trial], space: Space) -> dict[str, float]:
    """Estimate how much each hyper-parameter contributed to differences of the score.

    Parameters
    ----------
    trials : sequence of Trial
    space : mapping of name to Range or Choices

    Returns
    -------
    dict of str to float
        Shares that add up to 1, largest first. Empty if there are too few completed trials in the
        space, all scores are equal, or the polynomial explains less than half of their variance.
    """
    counted = [
        t
        for t in trials
        if t.state == COMPLETE
        and math.isfinite(t.score)
        and all(contains(values, t.settings[name]) for name, values in space.items())
    ]
    if len(counted) < FEWEST or not space:
        return {}
    scores = np.array([t.score for t in counted])
    scores = scores - scores.mean()
    total = float(np.square(scores).sum())
    terms = _terms(counted, space)
    if not terms or total <= 1e-18:
        return {}
    design = np.column_stack([np.ones(len(counted)), *(values for _, values in terms)])
    # a little ridge, for designs in which a term does not vary or follows from others
    penalty = 1e-6 * len(counted) * np.eye(design.shape[1])
    penalty[0, 0] = 0
    coefficients = np.linalg.solve(design.T @ design + penalty, design.T @ scores)
    left = float(np.square(scores - design @ coefficients).sum())
    if left > (1 - EXPLAINED) * total:
        return {}
    parts = dict.fromkeys(space, 0.0)
    for (names, _), coefficient in zip(terms, coefficients[1:], strict=True):
        for name in names:
            parts[name] += float(coefficient**2)
    whole = sum(parts.values())
    if whole <= 0:
        return {}
    return dict(sorted(((n, p / whole) for n, p in parts.items()), key=lambda item: -item[1]))


def _terms(trials: Sequence[Trial], space: Space) -> list[Term]:
    """The terms that so many trials can determine: linear, then of second order, then products."""
    linear: list[Term] = []
    second: list[Term] = []
    for name, values in space.items():
        column = [t.settings[name] for t in trials]
        if isinstance(values, Choices):
            linear += [(frozenset([name]), c) for c in _contrasts(values, column)]
            continue
        z = _position(values, np.array(column, np.float64))
        linear.append((frozenset([name]), math.sqrt(3) * z))
        second.append((frozenset([name]), math.sqrt(5) * (3 * z**2 - 1) / 2))
    products = [
        (a | b, x * y) for (a, x), (b, y) in itertools.combinations(linear, 2) if a.isdisjoint(b)
    ]
    room = len(trials) - 2
    if len(linear) > room:
        return []
    chosen = linear
    for more in (second, products):
        if len(chosen) + len(more) > room:
            break
        chosen = chosen + more
    return chosen


def _position(values: Range, numbers: Double) -> Double:
    """Positions in a range, from −1 to 1 on its scale."""
    if values.low == values.high:
        return np.zeros_like(numbers)
    if values.scale == "log":
        position = np.log(numbers / values.low) / math.log(values.high / values.low)
    else:
        position = (numbers - values.low) / (values.high - values.low)
    return 2 * position - 1


def _contrasts(values: Choices, column: Sequence[Any]) -> list[Double]:
    """Orthonormal contrasts between choices (Helmert's), of which each is as likely as another."""
    count = len(values.values)
    places = np.array([values.values.index(value) for value in column])
    contrasts = []
    for k in range(1, count):
        levels = np.zeros(count)
        levels[:k], levels[k] = -1, k
        contrasts.append((levels * math.sqrt(count / (k * (k + 1))))[places])
    return contrasts
