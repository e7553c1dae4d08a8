"""Reasons as a person sees them: bars around a middle, for to the right and against to the left."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from shoal.design.bars import reason_bar
from shoal.service.views.scores import decimals
from shoal.service.words import with_minus

FOR, AGAINST = 3, 2  # reasons of each kind that are shown at once; the others unfold
MOST = 100  # that unfold
SMALL = 0.02  # of the strongest reason of an item; what is smaller unfolds too


def with_reasons(rows: list[dict[str, Any]], less: Collection[Any] = ()) -> list[dict[str, Any]]:
    """Add to each row of a list what `because` of macros.html shows.

    Parameters
    ----------
    rows : list of dict
        As `answers.row` makes them, with all reasons in ``because``. All bars of the list have one
        scale, so that they can be compared.
    less : ids
        Items of which less is wanted; their reasons say so.

    Returns
    -------
    list of dict
        The same rows. `reasons` are the strongest for and against, in this order; `others` all
        others, from the strongest for to the strongest against; `n_others` how many there are.
        A reason that adds nothing is none of them.
    """
    every = [reason for row in rows for reason in row["because"]]
    longest = max((abs(reason["contribution"]) for reason in every), default=0.0)
    digits = decimals([reason["contribution"] for reason in every])
    for reason in every:
        reason.update(reason_bar(reason["contribution"], longest))
        rounded = round(reason["contribution"], digits) + 0.0  # never −0
        reason["shown"] = with_minus(f"{rounded:+.{digits}f}")
        reason["less"] = reason["item"] in less
    for row in rows:
        telling = [reason for reason in row["because"] if reason["contribution"]]
        ordered = sorted(telling, key=lambda reason: -reason["contribution"])
        least = SMALL * max((abs(reason["contribution"]) for reason in ordered), default=0.0)
        speaking_for = [r for r in ordered if r["contribution"] > 0 and r["contribution"] >= least]
        speaking_against = [
            r for r in ordered if r["contribution"] < 0 and -r["contribution"] >= least
        ]
        strongest = speaking_for[:FOR] + speaking_against[-AGAINST:]
        shown = {id(reason) for reason in strongest}
        others = [reason for reason in ordered if id(reason) not in shown]
        row["reasons"], row["n_others"] = strongest, len(others)
        row["others"] = sorted(
            sorted(others, key=lambda reason: -abs(reason["contribution"]))[:MOST],
            key=lambda reason: -reason["contribution"],
        )
    return rows
