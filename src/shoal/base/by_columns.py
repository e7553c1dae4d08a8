"""Fits that go over all columns (items) once or several times, each column without the others.

A model names its passes. What all columns read is made first; each pass computes something for any
range of columns, and joins the ranges to one result, which the later passes read as well. A column
has the same bits in whichever range it is, so a fit here is one range, and a fit on a cluster is
the same with many ranges (`shoal.cluster.columns`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from shoal.base.linear import LinearRecommender
from shoal.data.interactions import Interactions
from shoal.kernels.arrays import Double
from shoal.run import Progress, Run

Done = Callable[[float], None]
Known = Sequence[Any]

WORK_OF_A_RANGE = 0.5e9  # nanoseconds, by the estimates of `Pass.work`
MOST_RANGES = 4096


class Pass(ABC):
    """One pass over columns.

    `known` is what all columns read, then the results of the passes before; none of it is changed.
    A pass is given to other processes with its settings, so it holds little.
    """

    label: ClassVar[str]

    @abstractmethod
    def work(self, known: Known) -> Double:
        """Nanoseconds of one thread that each column takes, roughly; empty to skip the pass."""

    @abstractmethod
    def columns(self, begin: int, end: int, done: Done, known: Known) -> Any:
        """Compute columns begin … end − 1; `done` is told how many more are finished."""

    @abstractmethod
    def joined(self, parts: Sequence[Any], known: Known) -> Any:
        """Make the result of all columns from those of all ranges, in their order."""

    def all_columns(self, progress: Progress, name: str, known: Known) -> Any:
        """Compute all columns in this process."""
        n = len(self.work(known))
        if not n:
            return self.joined([], known)
        with progress.step(f"{name}: {self.label}", n) as step:
            part = self.columns(0, n, step.advance, known)
            return self.joined([part], known)


def work_of_rows(meetings: Double) -> Double:
    """Nanoseconds for rows of XᵀX with a selection in each, measured on Gowalla and MovieLens-1M.

    Parameters
    ----------
    meetings : (n,) float64
        Steps of each row (`shoal.kernels.gram.meetings`), which reach at most n items.
    """
    work: Double = 2 * meetings + 15 * np.minimum(meetings, meetings.size) + 100
    return work


def ranges_of(work: Double) -> list[tuple[int, int]]:
    """Divide columns into ranges of about equal work; what is more than that is a range alone.

    Their number is a matter of the work alone, so it is the same wherever the ranges are computed.

    Parameters
    ----------
    work : (n,) float64
        As `Pass.work` estimates it.

    Returns
    -------
    list of (begin, end)
    """
    if not work.size:
        return []
    reached = np.cumsum(work)
    n_ranges = int(min(np.ceil(reached[-1] / WORK_OF_A_RANGE), work.size, MOST_RANGES)) or 1
    shares = reached[-1] * np.arange(1, n_ranges) / n_ranges
    heavy = np.flatnonzero(work > reached[-1] / n_ranges)
    cuts = np.unique([0, *np.searchsorted(reached, shares), *heavy, *(heavy + 1), work.size])
    return [(int(begin), int(end)) for begin, end in pairwise(cuts)]


class ColumnwiseRecommender(LinearRecommender):
    """Base class of linear models whose B is found column by column.

    A subclass writes `_shared`, `_passes` and `_learn`; they are all that a fit is, here and on a
    cluster. One that may need XᵀX alone writes `_of_gram` as well.
    """

    def _of_gram(self, gram: Any) -> Known | None:
        """What is known once XᵀX, or a handle of it, is; None if passes need more of a log."""
        return None

    @abstractmethod
    def _shared(self, log: Interactions, run: Run) -> Any:
        """Make what all columns read: plain arrays, in a tuple that is only read afterwards."""

    @abstractmethod
    def _passes(self, n_items: int) -> Sequence[Pass]:
        """The passes over a catalogue of so many items, in their order."""

    @abstractmethod
    def _learn(self, known: Known) -> None:
        """Take weights and facts from what is known after the last pass."""

    def _fit(self, interactions: Interactions, run: Run) -> None:
        known = [self._shared(interactions, run)]
        self._learn(self._go_on(known, self._passes(interactions.n_items), run))

    def _go_on(self, known: Known, passes: Sequence[Pass], run: Run) -> Known:
        """Do the passes whose results are not known yet, in this process."""
        known = list(known)
        for each in passes[len(known) - 1 :]:
            known.append(each.all_columns(run.progress, self.name, known))
        return known
