"""Words that databases and programs write for a missing id, such as NULL and NaN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import polars as pl

from shoal.data.ids import CANONICAL_INT

_ALWAYS = "\\N"  # what MySQL and Hive write into dumps; nobody is called so
WORDS = (
    *(_ALWAYS, "NULL", "null", "Null", "NaN", "nan", "NAN", "None", "none", "NONE", "NA", "N/A"),
    *("n/a", "#N/A", "<NA>", "NaT", "nil", "(null)", "undefined"),
)
_ROLES = ("user", "item")


def placeholder_flags(schema: Mapping[str, pl.DataType]) -> dict[str, pl.Expr]:
    """Whether each row has such a word as its text id, by the name of the count."""
    return {
        f"placeholders {role}": (pl.col(role).is_in(WORDS) & pl.col("chosen")).fill_null(
            value=False
        )
        for role in _ROLES
        if schema[role] == pl.String
    }


def judge_placeholders(
    ask: Callable[[Callable[[pl.LazyFrame], Any]], list[Any]],
    chosen: pl.Expr,
    counts: Mapping[str, Any],
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Decide whether such words are ids.

    Among numbers they stand for a missing id; among words, where somebody may be called so, they
    are ids, but for the one that MySQL and Hive write.

    Parameters
    ----------
    ask : callable
        Answers a question about the rows, which have columns ``user`` and ``item``; an answer for
        each part of the log.
    chosen : expression
        Which rows count.
    counts : mapping
        With the counts of `placeholder_flags`.

    Returns
    -------
    missing : dict of role to tuple of str
        The words that stand for missing ids in the column of that role.
    notes : list of str
        What is noted for the user of the others.
    """
    missing: dict[str, tuple[str, ...]] = {}
    notes = []
    for role in _ROLES:
        n = counts.get(f"placeholders {role}", 0)
        if not n:
            continue
        found = ask(partial(_words, chosen, role))
        words = sorted(set().union(*found))
        if all(ask(partial(_others_are_numbers, chosen, role))):
            missing[role] = WORDS
            continue
        if _ALWAYS in words:
            missing[role] = (_ALWAYS,)
            words.remove(_ALWAYS)
        if words:
            notes.append(
                f"the {role} id {' or '.join(map(repr, words))} is kept as an id, since other "
                f"{role} ids are words too"
            )
    return missing, notes


def _words(chosen: pl.Expr, role: str, rows: pl.LazyFrame) -> list[str]:
    """Which of the words there are."""
    found = rows.filter(chosen & pl.col(role).is_in(WORDS)).select(pl.col(role).unique())
    return found.collect(engine="streaming")[role].to_list()


def _others_are_numbers(chosen: pl.Expr, role: str, rows: pl.LazyFrame) -> bool:
    others = rows.filter(chosen & ~pl.col(role).is_in(WORDS) & pl.col(role).is_not_null())
    numbers = others.select(pl.col(role).str.contains(CANONICAL_INT).all())
    return bool(numbers.collect(engine="streaming").item())
