"""Example people: their histories, and what two models recommend to them, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shoal.base.recommender import Recommender
from shoal.data.interactions import Interactions
from shoal.data.titles import title_of
from shoal.experiments.comparison.measure import kind_of
from shoal.inference.recommend import recommend
from shoal.inference.recommendations import Recommendations
from shoal.kernels.arrays import Int, Long
from shoal.maps.item_map import titles_of
from shoal.run import Run
from shoal.splitting.held_out import HeldOut
from shoal.web import shortened

K, REASONS, MOST_TITLES, LETTERS = 10, 2, 12, 90
_WHO = ((0.5, "of usual length"), (0.9, "that is long"), (0.1, "that is short"))

Labelled = tuple[str, Recommender]


def example_people(
    models: Sequence[Labelled], test: HeldOut, run: Run, seed: int
) -> dict[str, Any] | None:
    """Three test users with their lists; nobody's id is told.

    Parameters
    ----------
    models : sequence of (label, fitted model)
    test : HeldOut
    run : Run
    seed : int
        Of the split, for the text that says who was chosen.

    Returns
    -------
    dict or None
        ``rule`` (who was chosen) and ``persons``; None without a model.
    """
    if not models:
        return None
    lengths = np.diff(test.history.indptr)
    persons = []
    for code, which in _chosen(lengths):
        history = test.history.only_user(code)
        codes = _telling(history)
        held_out = {str(i) for i in test.target.items.take(test.target.only_user(code).indices)}
        lists = [_list(label, model, test.history, code, held_out, run) for label, model in models]
        persons.append(
            {
                "title": f"A history {which}: {lengths[code]:,} items, {len(held_out):,} held out",
                "history": _titles(models[0][1], test.history.items.take(codes[:MOST_TITLES])),
                "more": max(0, len(codes) - MOST_TITLES),
                "lists": lists,
            }
        )
    rule = (
        f"Test users of seed {seed} whose number of items in the history is nearest to the median, "
        "to the 90 % quantile and to the 10 % quantile: nobody chose them by their lists."
    )
    return {"rule": rule, "persons": persons}


def _chosen(lengths: Long) -> list[tuple[int, str]]:
    """Rows of users with histories of usual length, long and short; all different."""
    chosen: list[tuple[int, str]] = []
    for share, which in _WHO:
        far = np.abs(lengths - np.quantile(lengths, share))
        far[[code for code, _ in chosen]] = np.inf
        code = int(np.argmin(far))
        if np.isfinite(far[code]):
            chosen.append((code, which))
    return chosen


def _telling(history: Interactions) -> Int:
    """The items of one user: the latest first, where there are times."""
    codes = history.indices
    if history.times is not None:
        return codes[np.argsort(-history.times, kind="stable")]
    return codes


def _list(
    label: str, model: Recommender, histories: Interactions, code: int, held_out: set[str], run: Run
) -> dict[str, Any]:
    """What a model recommends to a user, with its strongest reasons where it has exact ones."""
    user = histories.users.take([code])[0]
    answer: Recommendations = recommend(
        model,
        histories,
        min(K, model.n_items),
        user=user,
        because=REASONS if model.explains else False,
        run=run,
    )
    rows = [
        {
            "title": _cut(title_of(one.attributes) or one.item),
            "hit": str(one.item) in held_out,
            "reasons": [
                {"title": _cut(title_of(r.attributes) or r.item), "amount": r.contribution}
                for r in one.because or ()
            ],
        }
        for one in answer
    ]
    return {"label": label, "kind": kind_of(model), "rows": rows}


def _titles(model: Recommender, ids: Sequence[Any]) -> list[str]:
    return [_cut(title) for title in titles_of(model.item_table[model.items.lookup(ids)], ids)]


def _cut(title: Any) -> str:
    return shortened(str(title), LETTERS)
