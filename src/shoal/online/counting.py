"""One pass over the lists of an experiment: what each variant's users were shown and clicked."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from shoal.events.event import ExperimentList, Promotion
from shoal.kernels.arrays import Long
from shoal.online.definition import Experiment
from shoal.online.sequence import ClickSums


@dataclass(slots=True)
class VariantCounts:
    """What is counted of a variant.

    Parameters
    ----------
    sums : ClickSums
    lists : int
    shown : array of int
        How often each item was shown, by its place in `Counts.items`.
    """

    sums: ClickSums = field(default_factory=ClickSums)
    lists: int = 0
    shown: array[int] = field(default_factory=lambda: array("q"))


@dataclass(slots=True)
class Counts:
    """What is counted of an experiment, and what is left out.

    Parameters
    ----------
    variants : dict of str to VariantCounts
    items : dict of str to int
        A place for each item that was shown.
    without_user : int
        Lists that were shown to nobody in particular: nobody can be assigned again.
    while_promoted : int
        Lists from the time in which everybody got one variant.
    unknown_variants : dict of str to int
        Lists of variants that the experiment does not have.
    of_another_variant : int
        Lists of a variant other than that of the user's first list.
    users_moved : int
        Users with such lists.
    users_elsewhere : int
        Users whose first list is of a variant other than the one they are assigned.
    clicks_not_shown : int
        Clicks on items that were not in the list.
    first, last : float or None
        When the first and the last list that is counted was shown.
    """

    variants: dict[str, VariantCounts]
    items: dict[str, int] = field(default_factory=dict)
    without_user: int = 0
    while_promoted: int = 0
    unknown_variants: dict[str, int] = field(default_factory=dict)
    of_another_variant: int = 0
    users_moved: int = 0
    users_elsewhere: int = 0
    clicks_not_shown: int = 0
    first: float | None = None
    last: float | None = None

    def shown(self, variant: str) -> Long:
        """How often each item of `items` was shown to users of a variant."""
        counts = np.zeros(len(self.items), np.int64)
        shown = self.variants[variant].shown
        counts[: len(shown)] = shown
        return counts


def count(
    lists: Iterable[ExperimentList], experiment: Experiment, decisions: Sequence[Promotion] = ()
) -> Counts:
    """Count what users of each variant were shown and clicked.

    A user belongs to the variant of the first list; lists of other variants that the user was shown
    later are left out, since what a user clicks may follow from both.

    Parameters
    ----------
    lists : iterable of ExperimentList
        Lists of one user follow each other, as `EventStore.experiment_lists` gives them.
    experiment : Experiment
    decisions : sequence of Promotion
        What was decided of the experiment, the oldest first.
    """
    counting = _Counting(experiment, decisions)
    for shown in lists:
        counting.add(shown)
    return counting.finished()


class _Counting:
    """Counts lists one by one; of all users, only the present one's clicks are remembered."""

    def __init__(self, experiment: Experiment, decisions: Sequence[Promotion]) -> None:
        self._experiment, self._decisions = experiment, decisions
        self._counts = Counts({name: VariantCounts() for name in experiment.variants})
        self._user: str | None = None
        self._variant = ""
        self._clicks = self._impressions = 0
        self._moved = False

    def add(self, shown: ExperimentList) -> None:
        counts = self._counts
        if shown.user is None:
            counts.without_user += 1
        elif self._was_decided(shown.time):
            counts.while_promoted += 1
        elif shown.variant not in counts.variants:
            name = shown.variant
            counts.unknown_variants[name] = counts.unknown_variants.get(name, 0) + 1
        else:
            if shown.user != self._user:
                self._close_user()
                self._user, self._variant, self._moved = shown.user, shown.variant, False
                counts.users_elsewhere += self._experiment.variant_of(shown.user) != shown.variant
            if shown.variant == self._variant:
                self._count(shown)
            else:
                counts.of_another_variant += 1
                counts.users_moved += not self._moved
                self._moved = True

    def finished(self) -> Counts:
        self._close_user()
        return self._counts

    def _was_decided(self, time: float) -> bool:
        """Whether everybody got one variant at a time."""
        decided = False
        for decision in self._decisions:
            if decision.time > time:
                break
            decided = decision.variant is not None
        return decided

    def _count(self, shown: ExperimentList) -> None:
        counts, variant = self._counts, self._counts.variants[self._variant]
        items = dict.fromkeys(shown.items)  # an item that stands twice in a list was shown once
        clicked = sum(item in items for item in shown.clicked)
        counts.clicks_not_shown += len(shown.clicked) - clicked
        self._clicks += clicked
        self._impressions += len(items)
        variant.lists += 1
        for item in items:
            place = counts.items.setdefault(item, len(counts.items))
            if place >= len(variant.shown):
                variant.shown.extend([0] * (len(counts.items) - len(variant.shown)))
            variant.shown[place] += 1
        counts.first = shown.time if counts.first is None else min(counts.first, shown.time)
        counts.last = shown.time if counts.last is None else max(counts.last, shown.time)

    def _close_user(self) -> None:
        if self._impressions:
            self._counts.variants[self._variant].sums.add(self._clicks, self._impressions)
        self._clicks = self._impressions = 0
