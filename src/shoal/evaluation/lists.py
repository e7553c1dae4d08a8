"""`evaluate_lists`: the metrics of lists that any other program made, on the same users."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from shoal.data.ranked import RankedLists, read_lists
from shoal.errors import DataError
from shoal.evaluation.evaluate import (
    DEFAULT_METRICS,
    Evaluation,
    as_held_out,
    parse_metrics,
    scores_of_lists,
)
from shoal.kernels import topk
from shoal.kernels.arrays import Bool, Int
from shoal.run import how_many
from shoal.splitting.held_out import HeldOut

# what `Evaluation` says of a model, and nobody knows of lists
_OF_MODELS = ("parameters", "unknown_items", "unknown_targets", "fitted_on_other_data")


@dataclass(frozen=True)
class ListCounts:
    """What in the lists could not be scored as it was meant.

    Parameters
    ----------
    k : int
        The longest list that a metric asks for; what stands beyond it is not looked at.
    users_without_list : int
        Test users of whom there is no list. They count as users with an empty list.
    other_users : int
        Users with a list who are no test users. They are left out.
    unknown_items : int
        Places that hold an item which is not in the catalogue of the split.
    history_items : int
        Places that hold an item of the user's own history.
    other_candidates : int
        Places that hold an item which is not to be ranked in this split.
    short_lists : int
        Lists with fewer than k items.
    """

    k: int
    users_without_list: int
    other_users: int
    unknown_items: int
    history_items: int
    other_candidates: int
    short_lists: int

    @property
    def notes(self) -> tuple[str, ...]:
        """The same in sentences; often nothing."""
        missed = "they keep their places and count as misses"
        said = (
            (self.users_without_list, "test user", "without a list: they count as empty lists"),
            (self.other_users, "user", "of the lists left out: they are no test users"),
            (self.unknown_items, "place", f"with items that the split does not know: {missed}"),
            (self.history_items, "place", f"with items of the user's own history: {missed}"),
            (self.other_candidates, "place", f"with items that are not ranked here: {missed}"),
            (
                self.short_lists,
                "list",
                f"with fewer than {self.k:,} items: the places that lack count as misses",
            ),
        )
        return tuple(f"{how_many(n, what)} {why}" for n, what, why in said if n)


@dataclass(frozen=True)
class ListsEvaluation(Evaluation):
    """The result of `evaluate_lists`: an `Evaluation` whose model is the name of the lists.

    Parameters
    ----------
    counts : ListCounts
    reading : tuple of str
        Which columns were taken, in words.
    """

    counts: ListCounts = ListCounts(0, 0, 0, 0, 0, 0, 0)
    reading: tuple[str, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Which columns were taken, and what could not be scored as it was meant."""
        return (*self.reading, *super().notes, *self.counts.notes)

    def to_dict(self) -> dict[str, Any]:
        """Give the result as plain data for JSON, without the values per user."""
        known = {k: v for k, v in super().to_dict().items() if k not in _OF_MODELS}
        return known | {"lists": vars(self.counts) | {"notes": list(self.reading)}}


def evaluate_lists(
    lists: Any,
    held_out: HeldOut,
    metrics: str | Iterable[str] = DEFAULT_METRICS,
    *,
    columns: Mapping[str, str] | None = None,
    name: str | None = None,
) -> ListsEvaluation:
    """Score lists of recommendations of any origin as `evaluate` scores those of a model.

    A list is scored as it is: an item that the split does not know, or that stands in the user's
    history, keeps its place and counts as a miss, and so do the places that a list lacks. Test
    users without a list have an empty one. So no list gains by what it leaves out.

    Parameters
    ----------
    lists : path, frame or mapping
        User, item and rank: any file or frame that `shoal.read` reads, among them those that
        `shoal.recommend_all` and ``shoal recommend`` make, or a mapping of users to lists of
        items. Ids are those of the log; other users than the test users are left out. See
        `shoal.data.ranked.read_lists`.
    held_out : HeldOut
        ``split(...).test`` or ``.validation``; of a whole split, the test users are taken.
    metrics : str or iterable of str
        As for `evaluate`.
    columns : mapping of role to column name, optional
        Roles are ``user``, ``item``, ``rank``, ``score``; those not given are guessed.
    name : str, optional
        Name of the lists in tables; that of the file, unless given.

    Returns
    -------
    ListsEvaluation
        An `Evaluation`, which `paired` compares with that of a model on the same users.

    Raises
    ------
    DataError
        Lists that cannot be read, that name an item or a rank of a user twice, or that have none
        of the test users or none of the items; an unknown metric, or k above the catalogue.
    """
    held_out = as_held_out(held_out)
    parsed = parse_metrics(metrics, held_out.history.n_items)
    ranked = read_lists(lists, columns)
    began = time.perf_counter()
    k = max(metric.k for metric in parsed)
    found, counts = _on_split(ranked, held_out, k)
    target = held_out.target
    hits = topk.hits(found, target.indptr, target.indices, target.n_items)
    if held_out.candidates is not None:
        hits &= _within(held_out.candidates, found)
    per_user, scores = scores_of_lists(parsed, found, hits, held_out)
    return ListsEvaluation(
        name or ranked.name,
        {},
        held_out.name,
        scores,
        per_user,
        held_out.history.users,
        held_out.dropped,
        time.perf_counter() - began,
        counts=counts,
        reading=ranked.notes,
    )


def _on_split(ranked: RankedLists, held_out: HeldOut, k: int) -> tuple[Int, ListCounts]:
    """The first k items of each test user, −1 where there is none that the split knows."""
    history = held_out.history
    users, items = history.users.match(ranked.users), history.items.match(ranked.items)
    for what, codes, mine, theirs in (
        ("users of the lists is a test user", users, history.users, ranked.users),
        ("items of the lists is in the catalogue", items, history.items, ranked.items),
    ):
        if not (codes >= 0).any():
            raise DataError(
                f"{ranked.name}: none of the {what} of this split: are the ids written alike, and "
                f"the columns the right ones (--list-columns)? (split: {mine!r}; lists: {theirs!r})"
            )
    user_codes = users[ranked.user_codes]
    used = (user_codes >= 0) & (ranked.places < k)
    rows, places, codes = user_codes[used], ranked.places[used], items[ranked.item_codes[used]]
    found = np.full((held_out.n_users, k), -1, np.int32)
    found[rows, places] = codes
    there = np.bincount(user_codes[user_codes >= 0], minlength=held_out.n_users) > 0
    lengths = np.bincount(rows, minlength=held_out.n_users)
    in_history = topk.hits(found, history.indptr, history.indices, history.n_items)
    others = 0
    if held_out.candidates is not None:
        others = int(((found >= 0) & ~_within(held_out.candidates, found)).sum())
    counts = ListCounts(
        k,
        int((~there).sum()),
        int((users < 0).sum()),
        int((codes < 0).sum()),
        int(in_history.sum()),
        others,
        int((there & (lengths < k)).sum()),
    )
    return found, counts


def _within(candidates: Bool, lists: Int) -> Bool:
    """Whether the item at each place is a candidate; places without an item are not."""
    return np.append(candidates, False)[lists]  # −1 takes the last entry
